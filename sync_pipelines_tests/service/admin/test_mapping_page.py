"""Which lesson belongs to which course, used as without scripts: by buttons as they stand on the page."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from sync_pipelines_tests.service.admin.visiting import Visitor

Query = Callable[..., list[Any]]
TITLES = ["Zlomky", "Žlutá <b>barva</b>", "Ułamki & 'liczby'", 'Kwiaty "', "Kosti"]


@pytest.fixture
def course(service: Any, query: Query) -> str:
    """A course that has the lessons 1 to 3 of five, and is shown with 3 and 4 on the platform."""
    for number, title in enumerate(TITLES, 1):
        query("UPDATE wtl.lessons SET title = :t WHERE wtl_lesson_id = :n", t=title, n=str(number))
    (made,) = query("INSERT INTO wtl.courses (wtl_course_id, title) VALUES ('7', 'Fyzika <i>2</i>') RETURNING id")
    for table, low, high in (("course_lessons", 1, 3), ("remote_course_lessons", 3, 4)):
        query(
            f"INSERT INTO wtl.{table} (course_id, lesson_id, position) SELECT :c, id, wtl_lesson_id::int - 1 "
            "FROM wtl.lessons WHERE wtl_lesson_id::int BETWEEN :low AND :high",
            c=made,
            low=low,
            high=high,
        )
    return str(made)


def stored(query: Query, course: str) -> list[tuple[str, bool]]:
    rows = query(
        "SELECT position, wtl_lesson_id, required FROM wtl.course_lessons m "
        "JOIN wtl.lessons l ON l.id = m.lesson_id WHERE course_id = :c ORDER BY position",
        c=course,
    )
    assert [row[0] for row in rows] == [*range(len(rows))]
    return [(lesson, required) for _, lesson, required in rows]


def shown(page: LexborHTMLParser) -> list[tuple[str, bool]]:
    """The lessons of the course by number, and whether each is required."""
    return [
        (number_of(lesson), '="true"' in str(one(lesson, "[role=switch]").html).partition("aria-checked")[2][:7])
        for lesson in page.css("#in-course > li")
    ]


def number_of(lesson: LexborNode) -> str:
    return one(lesson, ".hint").text(deep=False).strip().removeprefix("#")


def one(node: LexborHTMLParser | LexborNode, selector: str) -> LexborNode:
    found = node.css_first(selector)
    assert found is not None, selector
    return found


def said(page: LexborHTMLParser) -> str:
    return " ".join(one(page, "#said").text().split())


def pressed(visitor: Visitor, page: LexborHTMLParser, button: LexborNode) -> LexborHTMLParser:
    """The page that comes of a button."""
    held = {"csrf": str(one(page, "#change input").attributes["value"])}
    if button.attributes.get("name"):
        held[str(button.attributes["name"])] = button.attributes.get("value") or ""
    answer = visitor.post_form(str(button.attributes["formaction"]), held)
    assert answer.status_code == 303, answer.text
    return visitor.read(answer.headers["location"])


def press(visitor: Visitor, page: LexborHTMLParser, what: str, number: str) -> LexborHTMLParser:
    (lesson,) = [each for each in page.css("li.lesson") if number_of(each) == number]
    return pressed(visitor, page, one(lesson, f"button[id^={what}-]"))


def test_each_button_does_what_it_says_and_says_what_it_did(operator: Visitor, course: str, query: Query) -> None:
    page = operator.read(f"/admin/mapping/{course}")
    assert one(page, "h1").text() == "Fyzika <i>2</i>"
    assert [name.text() for name in page.css(".lesson .name")] == [*TITLES[:4], TITLES[4]]
    page = press(operator, page, "up", "3")
    assert said(page) == "Ułamki & 'liczby': position 2 of 3"
    page = press(operator, page, "down", "1")
    assert said(page) == "Zlomky: position 2 of 3"
    page = press(operator, page, "require", "2")
    assert said(page) == "Žlutá <b>barva</b>: required"
    page = press(operator, page, "pin", "5")
    assert said(page) == "Kosti: added at position 4 of 4"
    assert shown(page) == stored(query, course) == [("3", False), ("1", False), ("2", True), ("5", False)]
    page = press(operator, page, "unpin", "2")
    assert said(page) == "Žlutá <b>barva</b>: taken out of the course Put back at position 3"
    assert stored(query, course) == [("3", False), ("1", False), ("5", False)]
    undo = str(one(page, "#said form").attributes["action"])
    page = operator.read(operator.submit(page, undo).headers["location"])
    assert said(page) == "Žlutá <b>barva</b>: added at position 3 of 4"
    assert shown(page) == stored(query, course) == [("3", False), ("1", False), ("2", True), ("5", False)]
    page = pressed(operator, page, one(page, "#accept"))
    assert said(page) == "1 suggested lesson added"
    assert [lesson for lesson, _ in shown(page)] == ["3", "1", "2", "5", "4"]
    assert page.css("#accept, .suggested, #found li") == []


@given(presses=st.lists(st.tuples(st.integers(0, len(TITLES) - 1), st.integers(0, 11)), max_size=8))
@settings(max_examples=10)
def test_whatever_is_pressed_the_page_shows_what_a_plain_list_would(
    operator: Visitor, course: str, query: Query, presses: list[tuple[int, int]]
) -> None:
    query("DELETE FROM wtl.course_lessons")
    page = operator.read(f"/admin/mapping/{course}")
    model = shown(page)
    for lesson, button in presses:
        of_lesson = page.css("li.lesson")[lesson]
        button = of_lesson.css("button")[button % len(of_lesson.css("button"))]
        what, number = str(button.attributes["id"]).partition("-")[0], number_of(of_lesson)
        at = next((i for i, (each, _) in enumerate(model) if each == number), len(model))
        match what:
            case "up" | "down":
                place = at - 1 if what == "up" else at + 1
                model.insert(min(max(place, 0), len(model) - 1), model.pop(at))
            case "require":
                model[at] = (number, not model[at][1])
            case "unpin":
                del model[at]
            case _:
                model.append((number, False))
        page = pressed(operator, page, button)
        assert shown(page) == stored(query, course) == model
        assert len(page.css("li.lesson")) == len(TITLES)


def test_what_another_did_meanwhile_is_kept_and_told(operator: Visitor, course: str, query: Query) -> None:
    page = operator.read(f"/admin/mapping/{course}")
    fresh = press(operator, page, "unpin", "2")
    # From the page as it was: 3 goes before 2, which is gone, and to its end.
    page_after = press(operator, page, "up", "3")
    assert "at the end" in said(page_after)
    assert "no longer in this course" in said(press(operator, page, "require", "2"))
    press(operator, fresh, "pin", "2")
    assert "already" in said(press(operator, fresh, "pin", "2"))
    assert stored(query, course) == [("1", False), ("3", False), ("2", False)]


def test_who_only_looks_sees_it_without_buttons_and_changes_nothing(
    viewer: Visitor, visit: Callable[..., Visitor], operator: Visitor, course: str, query: Query
) -> None:
    page, theirs = (who.read(f"/admin/mapping/{course}") for who in (viewer, operator))
    assert page.css("li.lesson button, #change, #accept, .grip") == []
    assert len(page.css("li.lesson")) == len(theirs.css("li.lesson")) == len(TITLES)
    before = query("SELECT *, xmin::text FROM wtl.course_lessons ORDER BY 1, 2")
    addresses = {str(button.attributes["formaction"]) for button in theirs.css("button[formaction]")}
    assert {address.rpartition("/")[2] for address in addresses} == {
        "pin",
        "move",
        "require",
        "unpin",
        "suggestions",
    }
    csrf = str(one(page, "input[name=csrf]").attributes["value"])
    for address in addresses:
        assert viewer.post_form(address, {"csrf": csrf}).status_code == 403
        assert visit().post_form(address, {}).status_code == 303
        assert operator.post_form(address, {}).status_code == 403
        assert operator.get(address).status_code == 405
    assert query("SELECT *, xmin::text FROM wtl.course_lessons ORDER BY 1, 2") == before


def test_what_is_not_there_is_not_found_and_what_is_no_lesson_is_refused(
    operator: Visitor, course: str, query: Query
) -> None:
    page = operator.read(f"/admin/mapping/{course}")
    csrf = str(one(page, "#change input").attributes["value"])
    lesson = one(page, "#in-course > li").attributes["data-lesson"]

    def post(path: str, **fields: str) -> httpx.Response:
        return operator.post_form(f"/admin/mapping/{path}", {"csrf": csrf, **fields})

    before = stored(query, course)
    for path in (f"{uuid4()}", "7", "x", f"{course}/lessons"):
        assert operator.get(f"/admin/mapping/{path}").status_code == 404
    for path in (
        *(f"{uuid4()}/lessons/{lesson}/unpin", f"{course}/lessons/{uuid4()}/pin", f"{uuid4()}/suggestions"),
        *(f"{course}/lessons/1/pin", f"{course}/lessons/{lesson}/'"),
    ):
        assert post(path).status_code in (404, 422), path
    assert post(f"{course}/lessons/{lesson}/move", before="7").status_code == 422
    assert stored(query, course) == before


def test_the_script_is_answered_the_board_alone_and_nothing_where_it_has_it(
    operator: Visitor, course: str, query: Query
) -> None:
    at, script = f"/admin/mapping/{course}", {"HX-Request": "true"}
    answer = operator.get(at, headers=script)
    board = LexborHTMLParser(answer.text)
    assert board.css("header, main, script") == []
    version = one(board, ".board").attributes["data-version"]
    assert one(operator.read(at), ".board").attributes["data-version"] == version
    assert operator.get(at, params={"version": version}, headers=script).status_code == 204
    csrf = str(one(operator.read(at), "#change input").attributes["value"])
    lesson = one(board, "#found li").attributes["data-lesson"]
    answer = operator.post(f"{at}/lessons/{lesson}/pin", headers={**script, "X-CSRF-Token": csrf})
    assert answer.status_code == 200
    done = LexborHTMLParser(answer.text)
    assert said(done) == 'Kwiaty ": added at position 4 of 4'
    again = operator.get(at, params={"version": version}, headers=script)
    assert again.status_code == 200
    # What was said is said once.
    assert said(LexborHTMLParser(again.text)) == ""
    newer = one(done, ".board").attributes["data-version"]
    assert operator.get(at, params={"version": newer}, headers=script).status_code == 204


def test_who_has_to_log_in_first_is_sent_there_by_the_script_too(
    visit: Callable[..., Visitor], course: str
) -> None:
    answer = visit().get(f"/admin/mapping/{course}", headers={"HX-Request": "true", "HX-Current-URL": "/admin/x"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/admin/login")


def test_a_search_stays_while_lessons_are_put_into_the_course(
    operator: Visitor, course: str, query: Query
) -> None:
    page = operator.read(f"/admin/mapping/{course}?q=k")
    assert [number_of(lesson) for lesson in page.css("#found li")] == ["5", "4"]
    page = press(operator, page, "pin", "4")
    assert one(page, "#q").attributes["value"] == "k"
    assert [number_of(lesson) for lesson in page.css("#found li")] == ["5"]


def test_thousands_of_lessons_come_by_pages_and_each_is_on_one_of_them(
    operator: Visitor, course: str, query: Query
) -> None:
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) SELECT n, 'Lekce ' || n FROM generate_series(10, 200) n")
    at, seen = f"/admin/mapping/{course}?q=lekce", list[str]()
    while at:
        page = operator.read(at)
        seen += [number_of(lesson) for lesson in page.css("#found li")]
        assert len(page.css("#found li")) <= 30
        following = [link for link in page.css(".paging a") if link.text() == "Next"]
        at = str(following[0].attributes["href"]) if following else ""
    assert seen == [str(n) for n in range(10, 201)]


def test_what_vanished_on_the_platform_is_marked_and_stays(operator: Visitor, course: str, query: Query) -> None:
    query("UPDATE wtl.lessons SET remote_deleted_at = now() WHERE wtl_lesson_id IN ('2', '5')")
    query("UPDATE wtl.courses SET remote_deleted_at = now()")
    page = operator.read(f"/admin/mapping/{course}")
    marked = [number_of(lesson) for lesson in page.css("li.lesson") if lesson.css_first(".state.bad")]
    assert marked == ["2", "5"]
    assert "Vanished in WebToLearn" in one(page, ".course-title").text()
    listed = operator.read("/admin/mapping")
    assert "vanished" in one(listed, ".courses").text()
    assert "3 lessons" in one(listed, ".courses").text()
    assert "1 suggestion" in one(listed, ".courses").text()


@given(
    view=st.dictionaries(
        st.sampled_from(["q", "page", "said", "lesson", "position", "count", "before", "required", "version"]),
        st.text(max_size=8)
        | st.sampled_from(["1", "2", "-1", "9" * 30, "pinned", "unpinned", "accepted", "\0", "<i>", "%", "yes"])
        | st.uuids().map(str),
    ),
    course_itself=st.booleans(),
)
@settings(max_examples=60)
def test_whatever_an_address_says_a_page_answers(
    operator: Visitor, course: str, view: dict[str, str], course_itself: bool
) -> None:
    answer = operator.get(f"/admin/mapping/{course}" if course_itself else "/admin/mapping", params=view)
    assert answer.status_code in (200, 422)
    assert LexborHTMLParser(answer.text).css("main i, main b, script:not([src])") == []
