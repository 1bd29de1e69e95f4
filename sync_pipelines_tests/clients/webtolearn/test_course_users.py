"""Who has access to each course, of many courses (contracts/wtl.md A7, A8, A16; faults.md 24, 33, 43, 79)."""

import json
import random
from collections.abc import Callable, Generator
from itertools import product
from typing import Any

import pytest
from starlette.responses import Response

from sync_pipelines.clients.webtolearn import Grant, Records, RefusedRow, WebToLearnClient
from sync_pipelines.clients.webtolearn.records import collapsed
from sync_pipelines.errors import NotFound, SourceError, SourceUnavailable, UnexpectedAnswer
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app
from sync_pipelines.sandbox.webtolearn.ranges import MEANINGS
from sync_pipelines_tests.clients.webtolearn.asking import Query, Recording, answering, client, listed, replying

Serve = Callable[[Any], str]
Of = dict[str, Records[Grant] | SourceError]


def a_platform(courses: int = 12, **behaviour: Any) -> Platform:
    platform = Platform.invented(courses=courses, lessons=3, users=60)
    for name, value in {"limit_minute": 10**9, "limit_hour": 10**9, **behaviour}.items():
        setattr(platform, name, value)
    return platform


def expected(platform: Platform, course: str) -> list[Grant]:
    """One grant a user, in the order of the users' ids."""
    grants = [Grant.from_row(row) for row in platform.course_users.get(course, [])]
    users = sorted({grant.id for grant in grants}, key=int)
    return [collapsed(grant for grant in grants if grant.id == user) for user in users]


def ids(platform: Platform) -> list[str]:
    return [row["id"] for row in platform.courses]


def records(result: Records[Grant] | SourceError) -> Records[Grant]:
    assert not isinstance(result, SourceError), result
    return result


def reading(body: list[Any], total: int | None = None) -> Response:
    return listed(json.dumps(body), len(body) if total is None else total)


def users_of(serve: Serve, *answers: Response) -> Records[Grant]:
    """The users of a course which is answered so."""
    with client(serve(answering(*answers))) as wtl:
        ((course, result),) = wtl.course_users(["7"])
    assert course == "7"
    return records(result)


def test_each_course_comes_whole_in_the_order_asked_with_one_request_and_one_grant_a_user(serve: Serve) -> None:
    platform = a_platform()
    asked = random.Random(5).sample(ids(platform), 12)
    with client(serve(platform)) as wtl:
        results = list(wtl.course_users(asked))
        assert wtl.requests == len(asked)
    assert [course for course, _ in results] == asked
    for course, result in results:
        assert list(records(result).items) == expected(platform, course)
        assert records(result).complete
    assert any(len(platform.course_users[course]) > len(expected(platform, course)) for course in asked)


def test_of_a_users_grants_the_one_for_ever_counts_and_else_the_latest(serve: Serve) -> None:
    rows = [
        {"id": "1", "expired_at": "2027-06-18UTC01:39:31.06"},
        {"id": "1", "expired_at": "Forever"},
        {"id": "1", "expired_at": "2029-06-18UTC01:39:31.06"},
        {"id": "2", "expired_at": "2027-06-18UTC11:00:00.06"},
        {"id": "2", "expired_at": "2027-06-18UTC01:00:00.06"},
    ]
    found = users_of(serve, reading(rows))
    assert [(g.id, g.expires_raw) for g in found.items if isinstance(g, Grant)] == [
        ("1", "Forever"),
        ("2", "2027-06-18UTC11:00:00.06"),
    ]


def test_a_course_that_is_gone_is_not_found_and_the_others_go_on(serve: Serve) -> None:
    platform = a_platform(courses=4)
    first, *others = ids(platform)
    with client(serve(platform)) as wtl:
        results: Of = dict(wtl.course_users([first, "999999", *others]))
    assert list(results) == [first, "999999", *others]
    gone = results.pop("999999")
    assert isinstance(gone, NotFound)
    assert "no course 999999" in str(gone)
    assert all(list(records(results[course]).items) == expected(platform, course) for course in results)


def test_a_course_that_fails_for_good_leaves_the_others(serve: Serve) -> None:
    platform = a_platform(courses=5)
    third = ids(platform)[2]
    app = replying(lambda path, _: Response(b"", 503) if path == f"training/{third}/user/list" else None, platform)
    with client(serve(app) + "/api/v1") as wtl:
        results: Of = dict(wtl.course_users(ids(platform)))
        assert wtl.requests == 4 + 4
    assert isinstance(results.pop(third), SourceUnavailable)
    assert all(records(result).complete for result in results.values())


@pytest.mark.parametrize("meaning", MEANINGS)
def test_whatever_a_range_means_a_course_comes_exactly_or_not_as_complete(serve: Serve, meaning: str) -> None:
    platform = a_platform(range_meaning=meaning)
    url = serve(platform)
    for platform.page_cap, page_size in product([None, 7, 20], [5, 1000]):
        with client(url, page_size=page_size) as wtl:
            results = list(wtl.course_users(ids(platform)))
        for course, result in results:
            if meaning == "limit-offset":
                assert isinstance(result, UnexpectedAnswer)
            elif meaning != "page-size":
                assert records(result).complete
            if isinstance(result, Records) and result.complete:
                assert list(result.items) == expected(platform, course)


def test_a_list_longer_than_a_page_is_asked_for_once_more_and_whole(serve: Serve) -> None:
    platform = a_platform(courses=1)
    (course,) = ids(platform)
    total = len(platform.course_users[course])
    app = Recording(webtolearn_app(platform))
    with client(serve(app) + "/api/v1", page_size=total - 3) as wtl:
        ((_, result),) = wtl.course_users([course])
    assert list(records(result).items) == expected(platform, course)
    (_, first), (start, end) = (json.loads(query["range"]) for _, _, query in app.asked)
    assert first == total - 3
    assert (start, end >= total) == (0, True)


def test_a_capped_list_is_read_once_page_by_page(serve: Serve) -> None:
    platform = a_platform(courses=1, page_cap=7)
    (course,) = ids(platform)
    app = Recording(webtolearn_app(platform))
    with client(serve(app) + "/api/v1") as wtl:
        ((_, result),) = wtl.course_users([course])
    assert list(records(result).items) == expected(platform, course)
    assert records(result).complete
    begun = [query["range"] for _, _, query in app.asked].count("[0,1000]")
    assert begun == 1


def test_a_capped_list_that_is_never_the_same_is_not_complete(serve: Serve) -> None:
    rows = [{"id": str(n), "expired_at": "Forever"} for n in range(30)]

    def moving(path: str, query: Query) -> Response:
        a, _ = json.loads(query["range"])
        rows.pop(0)
        return listed(json.dumps(rows[a : a + 7]), len(rows))

    with client(serve(replying(moving)) + "/api/v1") as wtl:
        ((_, result),) = wtl.course_users(["1"])
    assert not records(result).complete
    assert "rows" in (records(result).reason or "")


def test_a_course_without_users_is_complete_and_empty(serve: Serve) -> None:
    found = users_of(serve, reading([]))
    assert (list(found.items), found.complete) == ([], True)


def test_without_a_total_nothing_is_proven(serve: Serve) -> None:
    found = users_of(serve, listed('[{"id":"1","expired_at":"Forever"}]', None))
    assert (len(found.items), found.complete) == (0, False)
    assert "Content-Range" in (found.reason or "")


def test_a_grant_that_cannot_be_read_hides_when_access_ends_unless_another_is_for_ever(serve: Serve) -> None:
    rows = [
        {"id": "1", "expired_at": "soon"},
        {"id": "1", "expired_at": "2029-06-18UTC01:39:31.06"},
        {"id": "2", "expired_at": "soon"},
        {"id": "2", "expired_at": "Forever"},
        {"id": "3"},
        {"expired_at": "Forever"},
        {"id": "x", "expired_at": "Forever"},
        {"id": "4", "expired_at": "Forever"},
    ]
    found = users_of(serve, reading(rows))
    assert [(type(item), item.id) for item in found.items] == [
        (RefusedRow, "1"),
        (Grant, "2"),
        (RefusedRow, "3"),
        (RefusedRow, None),
        (RefusedRow, None),
        (Grant, "4"),
    ]
    assert found.complete


@pytest.mark.parametrize(
    ("odd", "good", "believed"), [(20, 1, True), (21, 400, True), (21, 100, False), (21, 0, False)]
)
def test_a_list_with_many_things_that_are_no_records_is_no_list_of_records(
    serve: Serve, odd: int, good: int, *, believed: bool
) -> None:
    rows: list[Any] = [None] * odd + [{"id": str(n), "expired_at": "Forever", "name": "x"} for n in range(good)]

    def reply(path: str, query: Query) -> Response | None:
        first, _ = json.loads(query["range"])
        return None if path == "training/2/user/list" else reading(rows[first:], len(rows))

    app = replying(reply, a_platform())
    with client(serve(app) + "/api/v1") as wtl:
        odd_one, fine = wtl.course_users(["1", "2"])
        assert records(fine[1]).complete
        if believed:
            assert len(records(odd_one[1]).items) == odd + good
            assert len(wtl.courses().items) == odd + good
        else:
            assert isinstance(odd_one[1], UnexpectedAnswer)
            with pytest.raises(
                UnexpectedAnswer, match=f"{odd} of {odd + good} rows of training/list are no objects"
            ):
                wtl.courses()


def test_courses_are_asked_for_as_they_are_needed_and_few_at_a_time(serve: Serve) -> None:
    platform, taken = a_platform(courses=3), list[str]()

    def endless() -> Generator[str, None, None]:
        while True:
            taken.append(ids(platform)[len(taken) % 3])
            yield taken[-1]

    with client(serve(platform)) as wtl:
        results = wtl.course_users(endless())
        assert [next(results)[0] for _ in range(4)] == [*ids(platform), ids(platform)[0]]
        results.close()
        assert len(taken) <= 4 + 5
        assert wtl.requests <= len(taken)


def test_clients_of_one_platform_and_token_know_what_each_other_were_told(serve: Serve) -> None:
    url = serve(Platform.invented(courses=1))
    with WebToLearnClient(url, "sandbox-token") as one, WebToLearnClient(url + "/", "sandbox-token") as two:
        assert two.facts == {}
        one.probe()
        assert two.facts == one.facts == {"requests_left_minute": 359, "requests_left_hour": 3599}
    with WebToLearnClient(url, "another") as stranger:
        assert stranger.facts == {}
