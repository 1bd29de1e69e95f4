"""Which lessons a course has: believed where the platform proves it, and only there (contracts/wtl.md A18)."""

import json
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from sync_pipelines.clients.http import Answer
from sync_pipelines.clients.webtolearn import Lesson, Records, Relation
from sync_pipelines.clients.webtolearn.relation import WAYS, Attempt, attempt_of, judge
from sync_pipelines.errors import NotFound, RateLimited, SourceError, UnexpectedAnswer
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app
from sync_pipelines.sandbox.webtolearn.ranges import MEANINGS
from sync_pipelines_tests.clients.webtolearn.asking import Query, Recording, client, listed, replying

Serve = Callable[[Any], str]
SHOWN = ["path", "filter", "query"]
BY_POSITION = [name for name in MEANINGS if name not in ("limit-offset", "page-size")]


def a_platform(relation: str, courses: int = 6, **behaviour: Any) -> Platform:
    platform = Platform.invented(courses=courses, lessons=90, users=3)
    for name, value in {"relation": relation, "limit_minute": 10**9, "limit_hour": 10**9, **behaviour}.items():
        setattr(platform, name, value)
    return platform


def ids(platform: Platform) -> list[str]:
    return [row["id"] for row in platform.courses]


def expected(platform: Platform, course: str) -> list[Lesson]:
    titles = {row["id"]: row["name"] for row in platform.lessons}
    lessons = enumerate(platform.course_lessons[course], 1)
    return sorted((Lesson(i, titles[i], place) for place, i in lessons), key=lambda lesson: int(lesson.id))


def records(result: Records[Lesson] | SourceError) -> Records[Lesson]:
    assert not isinstance(result, SourceError), result
    return result


def lessons(count: int, total: int | None = None) -> Response:
    rows = [{"id": str(n), "name": f"lesson {n}"} for n in range(count)]
    return listed(json.dumps(rows), count if total is None else total)


def asks_for(path: str, query: Query) -> str | None:
    """The course whose lessons are asked for, in whatever way; None where it is something else."""
    if path.endswith("/lesson/list"):
        return path.split("/")[1]
    if "filter" in query:
        return json.loads(query["filter"])[0]["value"]
    return query.get("training_id")


def found_on(serve: Serve, reply: Callable[[str | None, Query], Response | None], courses: int = 3) -> Relation:
    """What is found out of a platform that answers so to requests for a course's lessons, and to those for all."""
    app = replying(lambda path, query: reply(asks_for(path, query), query))
    with client(serve(app) + "/api/v1") as wtl:
        found = wtl.lesson_relation([str(n) for n in range(1, courses + 1)])
        assert wtl.lesson_relation([]) is found
    return found


@pytest.mark.parametrize("relation", SHOWN)
def test_a_relation_that_is_shown_is_found_and_read_exactly_and_in_the_order_asked(
    serve: Serve, relation: str
) -> None:
    platform = a_platform(relation)
    asked = random.Random(5).sample(ids(platform), 6)
    with client(serve(platform)) as wtl:
        found = wtl.lesson_relation(ids(platform))
        assert found.way is not None
        assert (found.way.name, found.all_lessons, found.known) == (relation, 90, True)
        assert wtl.facts["course_lessons"] == found.said
        before = wtl.requests
        results = list(wtl.course_lessons(asked, found))
        assert wtl.requests == before + len(asked)
    assert [course for course, _ in results] == asked
    for course, result in results:
        assert list(records(result).items) == expected(platform, course)
        assert records(result).complete


@pytest.mark.parametrize("meaning", BY_POSITION)
def test_whatever_a_range_means_the_relation_is_found_and_read_exactly(serve: Serve, meaning: str) -> None:
    platform = a_platform("query", range_meaning=meaning)
    url = serve(platform)
    for platform.page_cap in (None, 7):
        with client(url, page_size=10) as wtl:
            found = wtl.lesson_relation(ids(platform))
            results = list(wtl.course_lessons(ids(platform), found))
        for course, result in results:
            assert list(records(result).items) == expected(platform, course)
            assert records(result).complete


def test_where_nothing_is_shown_three_requests_find_it_out_and_it_is_remembered(serve: Serve) -> None:
    platform = a_platform("none")
    with client(serve(platform)) as wtl:
        found = wtl.lesson_relation(ids(platform))
        assert (found.way, found.known, wtl.requests) == (None, True, 3)
        assert found.said.startswith("not available; path absent:")
        assert wtl.lesson_relation(ids(platform)) is found
        assert wtl.requests == 3
        assert wtl.facts["course_lessons"] == found.said
        with pytest.raises(ValueError, match="no way to ask"):
            next(wtl.course_lessons(["1"], found))


def test_a_relation_that_is_shown_takes_few_requests_and_is_remembered(serve: Serve) -> None:
    platform = a_platform("path")
    app = Recording(webtolearn_app(platform))
    with client(serve(app) + "/api/v1") as wtl:
        found = wtl.lesson_relation(ids(platform))
        assert wtl.lesson_relation([]) is found
    first = ids(platform)[0]
    assert app.paths == ["training/-1/lesson/list", "lesson/list", f"training/{first}/lesson/list"]
    assert {query["range"] for _, _, query in app.asked} == {"[0,1]"}


@pytest.mark.parametrize("relation", ["none", "filter"])
def test_a_filter_that_is_ignored_is_not_believed(serve: Serve, relation: str) -> None:
    with client(serve(a_platform(relation, filters="ignored"))) as wtl:
        found = wtl.lesson_relation(["1", "2"])
    assert (found.way, found.known) == (None, True)
    assert "filter ignored: a course that cannot be has 90 lessons; query ignored" in found.said


def test_a_platform_that_shows_all_lessons_for_every_course_that_is_one_is_not_believed(serve: Serve) -> None:
    found = found_on(serve, lambda course, _: lessons(0) if course == "-1" else lessons(2, 90))
    assert found.way is None
    assert "path not proven: no course of 4 has lessons of its own" in found.said


def test_a_platform_that_shows_no_course_a_lesson_is_not_believed(serve: Serve) -> None:
    found = found_on(serve, lambda course, _: lessons(0) if course else lessons(2, 90))
    assert (found.way, found.known) == (None, True)
    assert found.said.count("not proven") == 3


def test_one_course_with_lessons_of_its_own_among_empty_ones_is_proof(serve: Serve) -> None:
    shown = {"3": lessons(2, 4), None: lessons(2, 90)}
    found = found_on(serve, lambda course, _: shown.get(course, lessons(0)))
    assert found.way == WAYS[0]
    assert "course 3 has lessons" in found.said


def test_a_course_without_lessons_is_judged_by_others_of_the_platform(serve: Serve) -> None:
    platform = a_platform("filter")
    empty, *_ = ids(platform)
    platform.course_lessons[empty] = []
    with client(serve(platform)) as wtl:
        found = wtl.lesson_relation([empty])
        assert (found.way and found.way.name, found.known) == ("filter", True)
        ((_, result),) = wtl.course_lessons([empty], found)
    assert (list(records(result).items), records(result).complete) == ([], True)


@pytest.mark.parametrize("fails", [Response(b"", 503), Response(b"", 500)])
def test_where_the_courses_looked_at_give_no_answer_it_is_not_clear(serve: Serve, fails: Response) -> None:
    shown = {"-1": lessons(0), None: lessons(2, 90)}
    found = found_on(serve, lambda course, _: shown.get(course, fails))
    assert (found.way, found.known) == (None, False)
    assert "path unclear: of 4 courses 4 gave no answer" in found.said


def test_no_more_than_a_few_courses_are_looked_at_for_proof(serve: Serve) -> None:
    app = replying(lambda path, query: lessons(0))
    with client(serve(app) + "/api/v1") as wtl:
        assert wtl.lesson_relation([str(n) for n in range(600)]).way is None
        assert wtl.requests <= 21


def test_without_a_course_to_look_at_nothing_is_proven(serve: Serve) -> None:
    assert found_on(serve, lambda course, _: lessons(0) if course else lessons(2, 90), courses=0).way is None


def test_a_course_that_is_not_found_counts_as_an_honest_answer_to_an_impossible_id(serve: Serve) -> None:
    gone = Response(b'{"success":false,"message":"Entity training with id -1 not found\\n"}', 404)
    shown = {"1": lessons(2, 4), None: lessons(2, 90)}
    assert found_on(serve, lambda course, _: shown.get(course, gone)).way == WAYS[0]


def test_rows_without_a_total_are_no_proof_for_a_course(serve: Serve) -> None:
    rows = listed('[{"id":"1","name":"x"}]', None)
    shown = {"-1": lessons(0), None: lessons(2, 90)}
    assert found_on(serve, lambda course, _: shown.get(course, rows)).way is None


def test_an_error_that_carries_rows_is_no_proof_for_a_course(serve: Serve) -> None:
    failure = lessons(2, 4)
    failure.status_code = 500
    shown = {"-1": lessons(0), None: lessons(2, 90)}
    assert found_on(serve, lambda course, _: shown.get(course, failure)).way is None


@pytest.mark.parametrize("all_of_them", [Response(b"", 503), listed('[{"id":"1","name":"x"}]', None)])
def test_a_platform_that_does_not_say_how_many_lessons_there_are_is_not_believed(
    serve: Serve, all_of_them: Response
) -> None:
    """What it shows of each course may be all of them."""
    shown = {"-1": lessons(0), None: all_of_them}
    assert found_on(serve, lambda course, _: shown.get(course, lessons(2, 90))).way is None


def test_a_course_that_shows_every_lesson_of_the_platform_is_not_believed_and_the_others_are(serve: Serve) -> None:
    platform = a_platform("path", courses=3)
    one, two, three = ids(platform)
    with client(serve(platform)) as wtl:
        found = wtl.lesson_relation([one])
        platform.course_lessons[two] = [row["id"] for row in platform.lessons]
        results = dict(wtl.course_lessons([one, two, three], found))
    refused = results.pop(two)
    assert isinstance(refused, UnexpectedAnswer)
    assert f"course {two} shows every lesson of the platform" in str(refused)
    assert all(list(records(results[course]).items) == expected(platform, course) for course in results)


def test_a_course_that_is_gone_is_not_found_and_the_others_go_on(serve: Serve) -> None:
    platform = a_platform("path", courses=3)
    with client(serve(platform)) as wtl:
        results = dict(wtl.course_lessons(["999", *ids(platform)], wtl.lesson_relation(ids(platform))))
    assert isinstance(results.pop("999"), NotFound)
    assert all(list(records(results[course]).items) == expected(platform, course) for course in results)


@pytest.mark.parametrize("answer", [Response(b"", 503), Response(b"<html>", media_type="text/html"), lessons(0)])
def test_a_platform_that_cannot_be_judged_is_not_known_to_have_no_relation(serve: Serve, answer: Response) -> None:
    """An answer that is no answer says nothing; all others were looked at."""
    found = found_on(serve, lambda course, query: answer if "filter" in query else lessons(2, 90))
    known = answer.status_code == 200 and answer.media_type == "application/json"
    assert (found.way, found.known) == (None, known)
    assert found.said.startswith("not available" if known else "not clear")


def test_a_way_that_fails_is_passed_over_for_one_that_is_proven(serve: Serve) -> None:
    failures = [Response(b"", 502)]
    shown = {"1": lessons(2, 4), "-1": lessons(0), None: lessons(2, 90)}
    found = found_on(serve, lambda course, _: failures.pop() if failures else shown[course])
    assert (found.way, found.known) == (WAYS[1], True)


def test_a_limit_that_is_used_up_is_no_finding_and_nothing_is_remembered(serve: Serve) -> None:
    spent = [Response(b"", 429, headers={"X-RateLimit-Remaining-Hour": "0"})]
    shown = {"1": lessons(2, 4), "-1": lessons(0), None: lessons(2, 90)}
    app = replying(lambda path, query: spent.pop() if spent else shown[asks_for(path, query)])
    url = serve(app) + "/api/v1"
    with client(url) as wtl, pytest.raises(RateLimited):
        wtl.lesson_relation(["1"])
    assert "course_lessons" not in wtl.facts
    with client(url) as wtl:
        assert wtl.lesson_relation(["1"]).way == WAYS[0]


@pytest.mark.parametrize(
    ("status", "body", "total", "verdict"),
    [
        (200, "[]", "0", "plausible"),
        (201, "[]", None, "plausible"),
        (200, "[]", "7", "ignored"),
        (200, '[{"id":"1"}]', "0", "ignored"),
        (200, '[{"id":"1"}]', None, "ignored"),
        (200, "{}", None, "unclear"),
        (200, "null", None, "unclear"),
        (200, "<html>", None, "unclear"),
        (200, "[", None, "unclear"),
        (200, "", None, "unclear"),
        (404, "", None, "absent"),
        (404, " \n", None, "absent"),
        (404, '{"success":false}', None, "plausible"),
        (400, '{"success":false}', None, "refused"),
        (402, "", None, "refused"),
        (403, '{"Code":403}', None, "refused"),
        (302, "", None, "refused"),
        (405, "", None, "refused"),
        (408, "", None, "unclear"),
        (429, "", None, "unclear"),
        (500, "[]", "0", "unclear"),
        (503, "", None, "unclear"),
    ],
)
def test_an_answer_to_an_impossible_id_is_judged_by_status_and_shape(
    status: int, body: str, total: str | None, verdict: str
) -> None:
    headers = httpx.Headers({} if total is None else {"Content-Range": f"lessons 0-2/{total}"})
    assert judge(attempt_of(Answer(status, headers, body.encode(), "lesson/list")))[0] == verdict


def test_no_answer_at_all_is_unclear() -> None:
    assert judge(Attempt(None, "no answer (SourceUnavailable)")) == ("unclear", "no answer (SourceUnavailable)")


def test_an_attempt_counts_fields_and_names_no_value() -> None:
    rows = [{"id": "1", "name": "Jan Kowalski"}, {"id": "2", "order": 3}, None, 5]
    answer = Answer(
        200, httpx.Headers({"Content-Range": "lessons 0-2/9"}), json.dumps(rows).encode(), "lesson/list"
    )
    attempt = attempt_of(answer)
    assert (attempt.shape, attempt.total, attempt.fields) == ("list of 4", 9, {"id": 2, "name": 1, "order": 1})
    assert "Kowalski" not in attempt.shape
