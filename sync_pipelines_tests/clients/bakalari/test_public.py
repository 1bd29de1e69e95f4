"""The public timetable's lists, of both generations of pages, and what is none."""

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.bakalari import Item
from sync_pipelines.clients.bakalari.public import lessons_path, lists_of, page_of
from sync_pipelines.clients.bakalari.public_lessons import public_lessons
from sync_pipelines.errors import AccessRefused, NotFound, SourceError, SourceUnavailable, UnexpectedAnswer
from sync_pipelines_tests.clients.bakalari.answers import answer

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
LOGIN = "<form method=post action=login><input name=username><input type=password></form>"
ERROR = "<form action='ErrInfo.aspx?e=x'><span class=chyba>K požadované stránce nemáte přístup.</span></form>"
KEY = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=6).filter(
    str.strip
)
LABEL = st.text(st.characters(exclude_categories=["C"]), max_size=8)


def select(kind: str, *options: tuple[str, str]) -> str:
    shown = "".join(f'<option value="{escape(key)}">\n  {escape(label)}\n</option>' for key, label in options)
    return f'<select id="selected{kind}"><option value=""></option>{shown}</select>'


def canvas(kind: str, *links: tuple[str, str], where: str = "/x/TimeTable/Public/Actual") -> str:
    shown = "".join(
        f'<li><a href="{where}/{kind}/{quote(key, safe="")}">{escape(label)}</a>' for key, label in links
    )
    return f'<div id="{kind}_canvas" class="offcanvas"><ul>{shown}</ul></div>'


@given(st.dictionaries(KEY, LABEL, min_size=1), st.dictionaries(KEY, LABEL, min_size=1))
def test_either_form_lists_every_id_to_the_last_blank(classes: dict[str, str], teachers: dict[str, str]) -> None:
    for form, kinds in ((select, ("Class", "Teacher")), (canvas, ("class", "teacher"))):
        lists = lists_of(form(kinds[0], *classes.items()) + form(kinds[1], *teachers.items()))
        assert lists.classes == tuple(Item(k, " ".join(v.split()) or None, None) for k, v in classes.items())
        assert lists.teachers == tuple(Item(k, None, " ".join(v.split()) or None) for k, v in teachers.items())
        assert lists.rooms == ()


def test_a_page_that_has_both_forms_lists_each_once_in_page_order() -> None:
    page = select("Class", ("UA", "1.A"), ("UB", "")) + canvas("class", ("UC", "1.C"), ("UB", "1.B"), ("UA", "x"))
    assert lists_of(page).classes == (Item("UA", "1.A", None), Item("UB", "1.B", None), Item("UC", "1.C", None))


def test_entities_are_decoded_once_and_text_stands_on_one_line() -> None:
    page = '<select id=selectedTeacher><option value="U  1&amp;">Nov&#225;k\r\n &amp;amp; J&aacute;n</select>'
    assert lists_of(page).teachers == (Item("U  1&", None, "Novák &amp; Ján"),)


@pytest.mark.parametrize("where", ["/timetable/public/Actual", "https://a.cz/b/Timetable/PUBLIC/permanent"])
@pytest.mark.parametrize("tail", ["", "?x=1", "#top"])
def test_a_link_is_read_whatever_way_it_is_written(where: str, tail: str) -> None:
    page = f'<div id="class_canvas"><a href="{where}/CLASS/%206%2F%C4%8D{tail}">1.A</a><a href="/help">?</a></div>'
    assert lists_of(page).classes == (Item(" 6/č", "1.A", None),)


def test_an_id_that_cannot_be_is_no_list_with_a_hole() -> None:
    with pytest.raises(UnexpectedAnswer, match="longer than"):
        lists_of(select("Class", ("x" * 256, "1.A"), ("UB", "1.B")))


@pytest.mark.parametrize("read", [lists_of, public_lessons])
@pytest.mark.parametrize(
    ("page", "error"),
    [
        ("", UnexpectedAnswer),
        ("<p>Vítejte", UnexpectedAnswer),
        ("<select id=other><option value=1>1</select>", UnexpectedAnswer),
        (LOGIN, AccessRefused),
        (ERROR, AccessRefused),
    ],
    ids=["empty", "another", "another list", "login", "error"],
)
def test_a_page_that_lists_nothing_is_never_a_school_without_classes(
    read: Callable[[str], object], page: str, error: type[SourceError]
) -> None:
    with pytest.raises(SourceError) as caught:
        read(page)
    assert type(caught.value) is error


@pytest.mark.parametrize("page", [select("Class"), canvas("class"), select("Class") + select("Teacher") + LOGIN])
def test_lists_with_the_blank_option_alone_are_not_published(page: str) -> None:
    with pytest.raises(AccessRefused, match="publishes no timetable"):
        lists_of(page)


@pytest.mark.parametrize("read", [lists_of, public_lessons])
@given(
    st.lists(
        st.sampled_from(
            [
                *(
                    "<select id=selectedClass>",
                    "<option value=' 6'>",
                    "</select>",
                    "<div id=class_canvas>",
                    "</div>",
                ),
                *(
                    "<a href=/timetable/public/x/class/%FF>",
                    "<a href='//[/timetable/public'>",
                    "<input type=password>",
                ),
                *(
                    "<script>var timetableData = {",
                    '"Days":[{"Hours":[',
                    "]}",
                    "};</script>",
                    "<!--",
                    "\0",
                    "&#0;",
                ),
                *(
                    "<div class=bk-timetable-row>",
                    "<div class=day-item-hover data-detail='{",
                    '"subjecttext":"a|b"',
                    "}'>",
                ),
            ]
        )
        | st.text()
    ).map("".join)
)
def test_any_page_is_read_or_is_a_source_error(read: Callable[[str], object], page: str) -> None:
    try:
        read(page)
    except SourceError:
        return


@pytest.mark.parametrize(
    ("status", "location", "error"),
    [
        (302, "/skola/next/errinfo.aspx?e=K+po%c5%beadovan", AccessRefused),
        (302, "https://a.cz/skola/Login?ReturnUrl=x", AccessRefused),
        (302, "/skola/login/", AccessRefused),
        (301, "https://www.a.cz/", UnexpectedAnswer),
        (302, "http://[", UnexpectedAnswer),
        (307, "", UnexpectedAnswer),
        (401, "", AccessRefused),
        (403, "", AccessRefused),
        (404, "", NotFound),
        (500, "", SourceUnavailable),
    ],
)
def test_a_page_that_leads_elsewhere_says_why_there_is_none(
    status: int, location: str, error: type[SourceError]
) -> None:
    with pytest.raises(SourceError) as caught:
        page_of(answer(status=status, headers={"location": location}), NOW)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("Žák".encode("cp1250"), "text/html; charset=windows-1250", "Žák"),
        (
            "<meta charset=utf-8>Žák".encode("cp1250"),
            'text/html; charset="windows-1250"',
            "<meta charset=utf-8>Žák",
        ),
        ('<META http-equiv=x content="text/html; Charset=Windows-1250">Ž'.encode("cp1250"), "text/html", None),
        ("Žák".encode(), "text/html", "Žák"),
        ("Žák".encode(), "text/html; charset=no-such", "Žák"),
        ("Žák".encode(), "text/html; charset=base64", "Žák"),
        ("Žák".encode(), "text/html; charset=idna", "Žák"),
        ("Žák".encode("cp1250"), "text/html", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}k"),
    ],
)
def test_a_page_is_text_in_the_charset_it_names(body: bytes, content_type: str, text: str | None) -> None:
    page = page_of(answer(body=body + b"</HTML>", headers={"content-type": content_type}), NOW)
    assert page == f"{text}</HTML>" if text else page.endswith("Ž</HTML>")


@given(st.binary(), st.text())
def test_any_bytes_are_some_text(body: bytes, charset: str) -> None:
    page_of(answer(body=body + b"</html>", headers={"content-type": f"text/html; charset={charset}"}), NOW)


@given(st.integers(0, 300))
def test_a_page_that_was_cut_is_not_a_shorter_list(kept: int) -> None:
    page = f"<html><body>{select('Class', *((f'U{n}', f'{n}.A') for n in range(9)))}</body></html>\n".encode()
    with pytest.raises(SourceUnavailable, match="whole page"):
        page_of(answer(body=page[: kept % (len(page) - 8)]), NOW)
    assert len(lists_of(page_of(answer(body=page), NOW)).classes) == 9


@given(KEY)
def test_an_id_is_one_part_of_the_path_to_its_lessons(key: str) -> None:
    assert lessons_path("class", key, "permanent") == f"Timetable/Public/Permanent/Class/{quote(key, safe='')}"
