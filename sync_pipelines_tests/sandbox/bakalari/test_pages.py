"""The public timetable's pages (contracts/bakalari.md C13), apart from what a client makes of them."""

import re
from html import unescape
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from sync_pipelines.sandbox.bakalari import Room, School

PAGE = "/Timetable/Public"


@pytest.mark.parametrize("path", [PAGE, "/timetable/public", "/TIMETABLE/Public/"])
def test_nobody_logs_in_and_letters_may_be_of_any_size(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_the_first_option_is_empty_and_texts_have_newlines_and_entities(
    http: httpx.Client, school: School
) -> None:
    school.teachers[0].name = "Žák & <syn> Řehoř"
    page = http.get(PAGE).text
    for kind, count in (("Class", school.classes), ("Teacher", school.teachers), ("Room", school.rooms)):
        select = re.search(rf'<select id="selected{kind}".*?</select>', page, re.DOTALL)
        assert select
        options = re.findall(r'<option value="(.*?)".*?>(.*?)</option>', select[0], re.DOTALL)
        assert options[0] == ("", "")
        assert len(options) == len(count) + 1
    assert "&#381;&#225;k &amp; &lt;syn&gt;" in page
    assert f'value="{school.teachers[0].id}"' in page
    assert "\n                " in page


def test_details_are_json_escaped_twice_and_a_guards_is_of_another_shape(
    http: httpx.Client, school: School
) -> None:
    school.rooms = [Room(" 1", "101", 'učebna "A" & <b>')]
    page = http.get(f"{PAGE}/Actual/Class/{school.classes[0].id}").text
    details = [unescape(text) for text in re.findall(r'data-detail="(.*?)"', page)]
    assert any("učebna &quot;A&quot; &amp; &lt;b&gt;" in text for text in details)
    assert {re.findall(r'"type": "(\w+)"', text)[0] for text in details} == {"atom", "removed", "guard"}
    assert "2026" not in page


def test_links_lead_to_the_schools_own_pages(http: httpx.Client, school: School, url: str) -> None:
    school.pages = "embedded"
    page = http.get(PAGE).text
    links = [unescape(link) for link in re.findall(r'href="(.*?)"', page)]
    assert len(links) == len(school.classes) + len(school.teachers) + len(school.rooms)
    for link in links:
        assert httpx.get(httpx.URL(url).join(link)).status_code == 200


def test_a_script_is_not_ended_by_a_name(http: httpx.Client, school: School) -> None:
    school.pages = "embedded"
    for subject in school.subjects:
        subject.name = "</script>"
    page = http.get(f"{PAGE}/Actual/Class/{school.classes[0].id}").text
    assert page.count("</script>") == 1


@pytest.mark.parametrize("pages", ["rendered", "embedded"])
def test_in_summer_and_on_holidays_there_are_targets_and_no_lessons(
    http: httpx.Client, school: School, pages: Any
) -> None:
    school.pages = pages
    for behaviour in ("summer", "holiday"):
        setattr(school, behaviour, True)
        page = http.get(f"{PAGE}/Actual/Class/{school.classes[0].id}").text
        assert all(class_.id in page for class_ in school.classes)
        assert "subjecttext" not in page
    assert "Podzimní prázdniny" in page


def test_what_is_not_published_redirects_to_the_page_of_errors(http: httpx.Client, school: School) -> None:
    unknown = http.get(f"{PAGE}/Actual/Class/{quote('none')}")
    school.pages = "none"
    for answer in (unknown, http.get(PAGE), http.get(f"{PAGE}/Actual/Class/{school.classes[0].id}")):
        assert answer.status_code == 302
        assert answer.next_request is not None
        assert "next/errinfo.aspx?e=K+po" in str(answer.next_request.url)
        assert http.send(answer.next_request).status_code == 200


def test_a_school_without_anything_has_a_page_with_empty_lists(server: str) -> None:
    page = httpx.get(f"{server}/empty{PAGE}").text
    assert page.count("<option") == 3
