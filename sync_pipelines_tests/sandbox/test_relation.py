"""The four ways in which the platform may show which lessons a course has; by default none, as the real one."""

from collections.abc import Callable

import httpx
import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.sandbox.asking import BY_ID, EVERYTHING, ids, total, training

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform.invented(courses=3, lessons=40, users=5)


@pytest.fixture
def ask(api: httpx.Client) -> Callable[[str, object], httpx.Response]:
    def ask(relation: str, course: object, **more: str) -> httpx.Response:
        params = {"range": EVERYTHING} | more
        match relation:
            case "path":
                return api.get(f"/training/{course}/lesson/list", params=params)
            case "filter":
                return api.get("/lesson/list", params=params | {"filter": training(course)})
            case _:
                return api.get("/lesson/list", params=params | {"training_id": str(course)})

    return ask


SHOWN = pytest.mark.parametrize("relation", ["path", "filter", "query"])


@SHOWN
def test_a_courses_lessons_come_in_its_order(ask: Ask, platform: Platform, relation: str) -> None:
    platform.relation = relation
    for course, lessons in platform.course_lessons.items():
        answer = ask(relation, course)
        assert ids(answer) == lessons
        assert [row["order"] for row in answer.json()] == [*range(1, len(lessons) + 1)]
        assert answer.headers["Content-Range"] == f"lessons 0-100001/{len(lessons)}"


@SHOWN
def test_or_by_id_where_that_is_asked_for(ask: Ask, platform: Platform, relation: str) -> None:
    platform.relation = relation
    course, lessons = next(iter(platform.course_lessons.items()))
    answer = ask(relation, course, sort=BY_ID)
    assert ids(answer) == sorted(lessons, key=int)
    assert {row["id"]: row["order"] for row in answer.json()} == {lesson: i for i, lesson in enumerate(lessons, 1)}


@SHOWN
def test_pages_and_caps_hold_there_too(ask: Ask, platform: Platform, relation: str) -> None:
    platform.relation, platform.page_cap = relation, 3
    course, lessons = next(iter(platform.course_lessons.items()))
    assert ids(ask(relation, course, range="[2,9]")) == lessons[2:5]


@SHOWN
def test_it_is_shown_in_one_way_only(ask: Ask, platform: Platform, relation: str) -> None:
    course = platform.courses[0]["id"]
    for platform.relation in {"none", "path", "filter", "query"} - {relation}:
        answer = ask(relation, course)
        if relation == "path":
            assert (answer.status_code, answer.content) == (404, b"")
        else:
            assert total(answer) == len(platform.lessons)
            assert "order" not in answer.json()[0]


@SHOWN
def test_a_course_that_is_not_there_has_no_lessons(ask: Ask, platform: Platform, relation: str) -> None:
    platform.relation = relation
    answer = ask(relation, "-1")
    if relation == "path":
        assert (answer.status_code, answer.json()["message"]) == (404, "Entity training with id -1 not found")
    else:
        assert (answer.json(), total(answer)) == ([], 0)


def test_a_course_without_lessons_has_an_empty_list(ask: Ask, platform: Platform) -> None:
    platform.relation = "path"
    platform.courses.append({"id": "900", "name": "Pusty kurs"})
    assert (ask("path", 900).json(), total(ask("path", 900))) == ([], 0)


def test_the_filter_takes_a_number_too(ask: Ask, platform: Platform) -> None:
    platform.relation = "filter"
    course, lessons = next(iter(platform.course_lessons.items()))
    assert ids(ask("filter", int(course))) == lessons


def test_a_platform_that_ignores_filters_ignores_this_one(ask: Ask, platform: Platform) -> None:
    platform.relation, platform.filters = "filter", "ignored"
    assert total(ask("filter", platform.courses[0]["id"])) == len(platform.lessons)


def test_a_lesson_that_is_gone_is_not_shown(ask: Ask, platform: Platform) -> None:
    platform.relation = "path"
    course, lessons = next(iter(platform.course_lessons.items()))
    platform.lessons = [row for row in platform.lessons if row["id"] != lessons[0]]
    assert ids(ask("path", course)) == lessons[1:]
