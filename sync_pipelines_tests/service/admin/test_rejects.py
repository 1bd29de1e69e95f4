"""The page of rejects: which there are, and each with its reason and its record."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines_tests.service.admin.visiting import Visitor

Query = Callable[..., list[Any]]
RECORD = {"id": "u7", "email": "anna.novakova@skola.cz", "name": "Anna Nováková", "status": "active", "visits": 12}


@pytest.fixture
def refused(service: Any, query: Query) -> list[int]:
    """120 users, a lesson of a course, a school's class, and one that is settled: their ids, the oldest first."""
    insert = (
        "INSERT INTO sync.rejects (system, type, external_id, stage, error, payload, last_seen_at, resolved_at) "
        "SELECT system, type, key, 'mapping', 'email: no address', :p, now() + n * interval '1 second', "
        "CASE WHEN type = 'course' THEN now() END "
        "FROM (SELECT 'wtl' AS system, 'user' AS type, 'u' || n AS key, n FROM generate_series(0, 119) n "
        "UNION ALL VALUES ('wtl:course/12', 'lesson', '9', 120), ('bakalari:skola', 'class', '2B', 121), "
        "('wtl', 'course', '7', 122)) records ORDER BY n RETURNING id"
    )
    return query(insert, p=json.dumps(RECORD))


def keys(page: Any) -> list[str]:
    return [node.text() for node in page.css("tbody .key")]


def test_every_open_reject_is_on_one_page_the_newest_first(viewer: Visitor, refused: list[int]) -> None:
    page = viewer.read("/admin/rejects")
    found = keys(page)
    while older := page.css_first("a[rel=next]"):
        page = viewer.read(str(older.attributes["href"]))
        found += keys(page)
    assert found == ["2B", "9", *(f"u{n}" for n in reversed(range(120)))]
    assert "101–122 of 122" in page.text()


def test_a_stream_has_its_own(viewer: Visitor, refused: list[int]) -> None:
    assert keys(viewer.read("/admin/rejects?stream=wtl/remote_course_lessons")) == ["9"]
    assert keys(viewer.read("/admin/rejects?stream=bakalari/classes")) == ["2B"]
    assert keys(viewer.read("/admin/rejects?stream=wtl/courses")) == []
    assert keys(viewer.read("/admin/rejects?stream=wtl/courses&all=1")) == ["7"]
    assert keys(viewer.read("/admin/rejects?stream=nothing")) == []


def test_whatever_page_is_asked_for_there_is_an_answer(viewer: Visitor, refused: list[int]) -> None:
    for page in ("0", "-1", "x", "9" * 30, "1.5", ""):
        assert viewer.get("/admin/rejects", params={"page": page}).status_code == 200


def test_a_record_is_shown_without_what_is_personal(viewer: Visitor, refused: list[int]) -> None:
    for address in (f"/admin/rejects/{refused[0]}", "/admin/rejects"):
        text = viewer.get(address).text.casefold()
        assert not [word for word in ("anna", "novak", "novák", "skola.cz") if word in text]
    payload = viewer.read(f"/admin/rejects/{refused[0]}").css_first("#payload")
    assert payload is not None
    shown = json.loads(payload.text())
    assert shown == {**RECORD, "email": "••••.••••••••@•••••.••", "name": "•••• ••••••••"}


def test_what_an_upstream_says_is_text_and_no_markup(viewer: Visitor, query: Query, service: Any) -> None:
    tag = "<img src=x onerror=alert(1)>"
    (reject,) = query(
        "INSERT INTO sync.rejects (system, type, external_id, stage, error, payload) "
        "VALUES ('wtl', 'user', :t, :t, :t, :p) RETURNING id",
        t=tag,
        p=json.dumps({tag: tag, "status": tag}),
    )
    for address in (f"/admin/rejects/{reject}", "/admin/rejects"):
        answer = viewer.get(address)
        assert answer.status_code == 200
        assert "<img src=x" not in answer.text


def test_an_operator_may_sync_an_open_one_again(operator: Visitor, refused: list[int]) -> None:
    """It is started with its upstream, which is not set up here."""
    page = operator.read(f"/admin/rejects/{refused[0]}")
    answer = operator.submit(page, f"/admin/rejects/{refused[0]}/retry")
    assert answer.status_code == 400
    assert operator.read(f"/admin/rejects/{refused[-1]}").css_first("form[action$=retry]") is None
