"""What is said of a platform is what it does, and what a run meets there. The sandbox plays the platforms."""

import json
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sync_pipelines.clients.webtolearn import Lesson, WebToLearnClient
from sync_pipelines.clients.webtolearn.diagnosis import ALIASES, diagnose_lessons
from sync_pipelines.clients.webtolearn.findings import Diagnosis, Endpoint
from sync_pipelines.errors import AccessRefused, NotFound, RateLimited, SourceError, UnexpectedAnswer
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.sandbox.webtolearn.platform import FILTERS, RELATIONS
from sync_pipelines.sandbox.webtolearn.ranges import MEANINGS
from sync_pipelines.sandbox.webtolearn.row_defects import ROW_DEFECTS

Serve = Callable[[Any], str]
Diagnose = Callable[..., Diagnosis]
COURSE = "1"
WITHOUT_LESSONS, UNKNOWN = "900", "901"


def a_platform(lessons: int = 40, **behaviour: Any) -> Platform:
    platform = Platform.invented(courses=3, lessons=lessons, users=30)
    platform.courses.append({"id": WITHOUT_LESSONS, "name": "Kurs bez lekcji"})
    for name, value in {"limit_minute": 10**9, "limit_hour": 10**9, **behaviour}.items():
        setattr(platform, name, value)
    return platform


@pytest.fixture
def diagnose(serve: Serve) -> Diagnose:
    """Looks at a platform."""

    def diagnose(platform: Platform, course: str = COURSE) -> Diagnosis:
        return diagnose_lessons(serve(platform), platform.token, course)

    return diagnose


def advice(found: Diagnosis, state: str) -> str:
    return " ".join(advice.text for advice in found.recommendations if advice.state == state)


def asked(found: Diagnosis, name: str) -> Endpoint:
    (endpoint,) = (endpoint for endpoint in found.endpoints if endpoint.name == name)
    return endpoint


# --- what a range means -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [None, 2, 7])
@pytest.mark.parametrize("lessons", [3, 4, 40])
@pytest.mark.parametrize("meaning", MEANINGS)
def test_a_range_is_called_what_it_means(diagnose: Diagnose, meaning: str, lessons: int, cap: int | None) -> None:
    found = diagnose(a_platform(lessons, range_meaning=meaning, page_cap=cap))
    assert found.range.state == meaning
    assert list(found.range.rows) == ["[0,1]", "[1,1]", "[1,2]", "[0,1000]"]


@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("lessons", [0, 1, 2])
def test_of_too_few_rows_nothing_is_concluded(diagnose: Diagnose, meaning: str, lessons: int) -> None:
    found = diagnose(a_platform(lessons, range_meaning=meaning))
    assert found.range.state == found.sort_by_id.state == "too_few_rows"
    assert "three lessons" in advice(found, "warning")


@pytest.mark.parametrize(
    "behaviour", [{"page_cap": 1}, {"faults": "empty-first-page"}, {"faults": "unsorted"}, {"faults": "empty"}]
)
def test_a_range_that_fits_no_meaning_is_given_none(diagnose: Diagnose, behaviour: dict[str, Any]) -> None:
    platform = a_platform()
    if fault := behaviour.get("faults"):
        platform.switch_on(fault)
    else:
        platform.page_cap = behaviour["page_cap"]
    assert diagnose(platform).range.state in ("unclear", "too_few_rows")


@pytest.mark.parametrize("sort_ignored", [False, True])
@pytest.mark.parametrize("cap", [None, 10])
@pytest.mark.parametrize("meaning", MEANINGS)
def test_what_is_said_of_the_list_is_what_a_sync_meets(
    serve: Serve, meaning: str, cap: int | None, sort_ignored: bool
) -> None:
    platform = a_platform(range_meaning=meaning, page_cap=cap, sort_ignored=sort_ignored)
    url = serve(platform)
    found = diagnose_lessons(url, platform.token, COURSE)
    with WebToLearnClient(url, platform.token) as client:
        try:
            sync = "right" if client.lessons().complete else "incomplete"
        except SourceError:
            sync = "error"
    said = advice(found, "problem")
    if "stop with an error" in said:
        assert sync == "error"
    elif "end incomplete" in said:
        assert sync == "incomplete"
    elif "sort by id is ignored" in advice(found, "warning"):
        assert sync == ("right" if cap is None else "error")
    else:
        assert sync == "right"
        assert "a sync reads it right" in advice(found, "ok")


def stubborn(rows: int, headers: dict[str, str]) -> Starlette:
    """Shows all of its lessons, whatever is asked for."""

    async def lessons(request: Request) -> Response:
        return JSONResponse([{"id": str(i), "name": f"Lekcja {i}"} for i in range(1, rows + 1)], headers=headers)

    return Starlette(routes=[Route("/{path:path}", lessons)])


@pytest.mark.parametrize("headers", [{}, {"Content-Range": "lessons 0-11/9"}])
def test_a_server_that_ignores_all_it_is_asked_is_seen_through(serve: Serve, headers: dict[str, str]) -> None:
    url = serve(stubborn(9, headers))
    found = diagnose_lessons(url, "token", COURSE)
    assert (found.range.state, found.sort_by_id.state) == ("ignored", "ascending")
    assert found.relation.state == "not_available"
    with WebToLearnClient(url, "token") as client:
        assert not client.lessons().complete
    assert "end incomplete" in advice(found, "problem")


def test_an_answer_that_is_cut_short_of_a_thousand_is_mentioned(diagnose: Diagnose) -> None:
    found = diagnose(a_platform(page_cap=10))
    assert found.range.why.endswith("[0,1000] brings 10 of 40: an answer is cut there")
    assert "cut" not in diagnose(a_platform()).range.why


# --- sort and Content-Range -------------------------------------------------------------------------------


def test_whether_the_order_asked_for_is_kept(diagnose: Diagnose) -> None:
    assert diagnose(a_platform()).sort_by_id.state == "honoured"
    ignored = diagnose(a_platform(sort_ignored=True))
    assert ignored.sort_by_id.state == "ignored"
    assert "sort by id is ignored" in advice(ignored, "warning")


def test_sorting_by_order_does_nothing_where_there_is_no_order(diagnose: Diagnose) -> None:
    found = diagnose(a_platform())
    assert found.sort_by_order.state == asked(found, "all lessons, by order").verdict == "ignored"
    assert 'sort=["order","ASC"] does nothing' in advice(found, "ok")


def test_sorting_by_order_is_judged_by_the_courses_lessons_where_they_are_shown(diagnose: Diagnose) -> None:
    found = diagnose(a_platform(relation="path"))
    assert found.sort_by_order.state == asked(found, "path, by order").verdict == "honoured"
    assert asked(found, "path, by order").fields["order"] == {"order": asked(found, "path, by order").rows}


def test_without_content_range_nothing_would_be_marked_as_vanished(diagnose: Diagnose) -> None:
    platform = a_platform(relation="path")
    assert diagnose(platform).content_range.state == "sent"
    platform.switch_on("no-content-range", path="*/lesson/list")
    found = diagnose(platform)
    assert found.content_range.state == "missing"
    assert found.range.state == "inclusive"
    assert "nothing would ever be marked as vanished" in advice(found, "problem")
    assert (found.relation.state, asked(found, "path, this course").verdict) == ("not_clear", "not_proven")


def test_a_total_that_is_less_than_what_came_is_wrong(diagnose: Diagnose) -> None:
    platform = a_platform()
    platform.switch_on("total-too-small", path="/lesson/list")
    found = diagnose(platform)
    assert (found.content_range.state, found.range.state) == ("wrong", "inclusive")
    assert "39, where 40 rows came" in advice(found, "warning")


# --- the relation -----------------------------------------------------------------------------------------


def relation_platforms() -> Iterator[tuple[str, str, str, str]]:
    yield from product(RELATIONS, FILTERS, MEANINGS, (COURSE, WITHOUT_LESSONS, UNKNOWN))


def test_the_relation_is_what_a_run_would_find(serve: Serve) -> None:
    platform = a_platform()
    url = serve(platform)
    states = set[str]()
    for platform.relation, platform.filters, platform.range_meaning, course in relation_platforms():
        found = diagnose_lessons(url, platform.token, course).relation
        agrees(url, platform, course, found)
        states.add(found.state)
    assert states == {"available", "not_available", "not_proven"}


def agrees(url: str, platform: Platform, course: str, found: Any) -> None:
    with WebToLearnClient(url, platform.token) as client:
        relation = client.lesson_relation([course])
    assert (found.why, found.known) == (relation.said, relation.known)
    assert found.way == (relation.way and relation.way.name)
    assert (found.state == "available") == (relation.way is not None)
    assert (found.state == "not_clear") == (not relation.known and relation.way is None)


@pytest.mark.parametrize(
    "fault",
    [
        "bad-request", "server-error", "login-page", "reset", "object", "error-object-200", "no-content-range",
        "bad-token", "not-found", "unknown-route", "total-too-small", "empty", "empty-first-page", "status-201",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("relation", "path"),
    [
        ("none", "/lesson/list"),
        ("path", "/lesson/list"),
        ("path", "/training/*/lesson/list"),
        ("filter", "/lesson/list"),
        ("query", "/lesson/list"),
    ],
)
def test_it_is_so_where_lists_fail_too(serve: Serve, relation: str, fault: str, path: str) -> None:
    platform = a_platform(relation=relation)
    platform.switch_on(fault, path=path)
    url = serve(platform)
    agrees(url, platform, COURSE, diagnose_lessons(url, platform.token, COURSE).relation)


@pytest.mark.parametrize("relation", ["path", "filter", "query"])
def test_where_lessons_of_a_course_are_shown_the_way_is_named(diagnose: Diagnose, relation: str) -> None:
    platform = a_platform(relation=relation)
    found = diagnose(platform)
    assert (found.relation.state, found.relation.way) == ("available", relation)
    shown = asked(found, f"{relation}, this course")
    assert (shown.verdict, shown.total) == ("shown", len(platform.course_lessons[COURSE]))
    assert asked(found, f"{relation}, no such course").verdict == "plausible"
    assert f"can be read by {relation}" in advice(found, "ok")


def test_lessons_without_an_order_are_pointed_out(diagnose: Diagnose, serve: Serve) -> None:
    async def answer(request: Request) -> Response:
        if "-1" in request.url.path:
            return JSONResponse({"success": False}, 404)
        rows = [
            {"id": str(i), "name": f"Lekcja {i}"} for i in range(1, 3 if "/training/1/" in request.url.path else 9)
        ]
        return JSONResponse(rows, headers={"Content-Range": f"lessons 0-1/{len(rows)}"})

    found = diagnose_lessons(serve(Starlette(routes=[Route("/{path:path}", answer)])), "token", COURSE)
    assert found.relation.way == "path"
    assert "have no order" in advice(found, "warning")
    assert "have no order" not in advice(diagnose(a_platform(relation="path")), "warning")


@pytest.mark.parametrize("relation", ["none", "filter"])
def test_ignored_filters_are_not_believed(diagnose: Diagnose, relation: str) -> None:
    found = diagnose(a_platform(relation=relation, filters="ignored"))
    assert found.relation.state == "not_available"
    assert [asked(found, f"filter, {who}").verdict for who in ("no such course", "this course")] == ["ignored"] * 2
    assert asked(found, "path, this course").verdict == "absent"
    assert "use the local mapping wtl.course_lessons" in advice(found, "warning")


def test_a_course_without_lessons_proves_nothing_and_another_may(diagnose: Diagnose) -> None:
    platform = a_platform(relation="path")
    found = diagnose(platform, WITHOUT_LESSONS)
    assert (found.course.state, found.relation.state) == ("known", "available")
    assert f"Of course {WITHOUT_LESSONS} itself: the course has no lesson" in advice(found, "warning")
    platform.course_lessons.update({course: [] for course in platform.course_lessons})
    found = diagnose(platform, WITHOUT_LESSONS)
    assert (found.course.state, found.relation.state) == ("known", "not_proven")
    assert "ask about one that has some lessons" in advice(found, "warning")


def test_nor_does_a_course_that_has_them_all(diagnose: Diagnose) -> None:
    platform = a_platform(relation="path")
    platform.course_lessons[COURSE] = [row["id"] for row in platform.lessons]
    found = diagnose(platform)
    assert (found.relation.state, asked(found, "path, this course").verdict) == ("available", "not_proven")
    assert f"Of course {COURSE} itself: it shows all" in advice(found, "warning")


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_course_that_is_not_there_is_called_so(diagnose: Diagnose, relation: str) -> None:
    found = diagnose(a_platform(relation=relation), UNKNOWN)
    assert found.course.state == "unknown"
    assert f"does not know course {UNKNOWN} (404)" in advice(found, "problem")
    assert found.range.state == "inclusive"


# --- what cannot be looked at -----------------------------------------------------------------------------


def test_a_refused_token_ends_it_at_once(serve: Serve) -> None:
    with pytest.raises(AccessRefused, match="WTL_API_TOKEN"):
        diagnose_lessons(serve(a_platform()), "hunter22", COURSE)


def test_so_do_a_wrong_address_a_redirect_and_a_used_up_hour(serve: Serve) -> None:
    platform = a_platform()
    url = serve(platform)
    with pytest.raises(NotFound, match="WTL_API_URL"):
        diagnose_lessons(url.removesuffix("/api/v1"), platform.token, COURSE)
    platform.switch_on("redirect", path="/training/list")
    with pytest.raises(UnexpectedAnswer, match="redirects"):
        diagnose_lessons(url, platform.token, COURSE)
    platform.faults.clear()
    platform.switch_on("hour-used-up", path="/lesson/list")
    with pytest.raises(RateLimited):
        diagnose_lessons(url, platform.token, COURSE)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("bad-token", "status 403"),
        ("server-error", "status 500"),
        ("login-page", "status 200, web page"),
        ("object", "status 200, object"),
        ("null", "status 200, null"),
        ("cut-json", "status 200, not JSON"),
        ("not-found", "status 404"),
        ("unknown-route", "no such endpoint"),
        ("reset", "no answer"),
    ],
)
def test_lessons_that_cannot_be_listed_are_a_finding(diagnose: Diagnose, fault: str, says: str) -> None:
    platform = a_platform(relation="path")
    platform.switch_on(fault, path="/lesson/list")
    found = diagnose(platform)
    assert found.endpoints[0].rows is None
    assert {found.range.state, found.sort_by_id.state, found.content_range.state} == {"unclear"}
    assert "cannot be listed" in advice(found, "problem")
    assert says in advice(found, "problem")


def test_few_requests_left_are_a_warning(diagnose: Diagnose) -> None:
    few = diagnose(a_platform(limit_minute=360, limit_hour=90))
    left = few.requests["left_hour"]
    assert isinstance(left, int)
    assert left < 90
    assert f"Only {left} requests are left this hour" in advice(few, "warning")


# --- what is told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "names"), ALIASES.items())
def test_the_names_looked_for_are_those_that_a_lesson_is_read_by(kind: str, names: tuple[str, ...]) -> None:
    row = {"id": "7", "title": "x", "order": 3}
    for name in names:
        others = {other: value for other, value in row.items() if other != kind}
        assert getattr(Lesson.from_row({**others, name: row[kind]}), kind) == row[kind]


def test_fields_are_counted_where_they_have_a_value(serve: Serve) -> None:
    rows = [
        {"id": "1", "name": "a", "title": None, "sequence": 4},
        {"lessonId": "2", "title": "b", "name": "b", "tags": [], "jan@example.com": 1},
        {"lesson_id": "3", "name": None},
        None,
    ]

    async def lessons(request: Request) -> Response:
        return JSONResponse(rows, headers={"Content-Range": "lessons 0-1/4"})

    found = diagnose_lessons(serve(Starlette(routes=[Route("/{path:path}", lessons)])), "token", COURSE)
    assert found.endpoints[0].fields == {
        "id": {"id": 1, "lesson_id": 1, "lessonId": 1},
        "title": {"title": 1, "name": 2},
        "order": {"sequence": 1},
        "other": {"tags": 1},
    }
    assert found.endpoints[0].refused == {"title is missing": 1, "the row is not an object (null)": 1}
    assert "2 of 4 rows are no lessons" in advice(found, "warning")


@pytest.mark.parametrize("defect", [None, *ROW_DEFECTS])
def test_no_value_of_a_row_is_told(diagnose: Diagnose, defect: str | None) -> None:
    platform = a_platform(relation="path")
    if defect is not None:
        platform.switch_on(defect)
    told = json.dumps(diagnose(platform).to_dict(), ensure_ascii=False)
    values = {row["name"] for row in [*platform.courses, *platform.lessons]} | {u["email"] for u in platform.users}
    values |= {"<script>", "ŻŻŻ", "Inny", "kiedyś", "C:", "9" * 20}
    assert not [value for value in values if value in told]
    assert platform.token not in told


def test_every_question_is_asked_once_and_counted(serve: Serve) -> None:
    platform = a_platform(relation="filter")
    url = serve(platform)
    found = diagnose_lessons(url, platform.token, COURSE)
    counts = httpx.get(url.removesuffix("/api/v1") + "/control").json()["statistics"]
    assert found.requests["used"] == counts["requests"] <= 20
    questions = [(e.path, *e.query.items()) for e in found.endpoints]
    assert len(set(questions)) == len(questions)
