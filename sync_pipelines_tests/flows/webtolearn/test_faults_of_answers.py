"""Answers that are errors, or no lists: nothing of them reaches a table. The numbers are those of
contracts/faults.md."""

import pytest

from sync_pipelines.errors import (
    AccessRefused,
    GuardTripped,
    NotFound,
    RateLimited,
    SourceUnavailable,
    SyncError,
    UnexpectedAnswer,
)
from sync_pipelines.flows.webtolearn import COURSES, LESSON_CATALOG
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.flows.webtolearn.model import granted
from sync_pipelines_tests.flows.webtolearn.school import School

ATTEMPTS = 4


@pytest.fixture
def synced(school: School) -> School:
    """A school that is synced, and has gone on since."""
    school.sync()
    school.life_goes_on()
    return school


def refused(school: School, error: type[SyncError]) -> list[SyncError]:
    """Every flow ends with that error, and no row of any table is touched; without it all is well."""
    before = school.everything()
    errors = [outcome for outcome in school.outcomes().values() if isinstance(outcome, SyncError)]
    assert {type(found) for found in errors} == {error}
    # What concerns them all ends a run of courses as one; else each of the seven has its own.
    assert len(errors) == 3 + (1 if issubclass(error, (AccessRefused, RateLimited)) else 7)
    assert school.everything() == before
    school.mends()
    return errors


# --- empty ------------------------------------------------------------------------------------------------


def test_an_empty_list_where_there_was_something_marks_nothing(synced: School) -> None:
    """Fault 12."""
    synced.platform.switch_on("empty")
    for error in refused(synced, GuardTripped):
        assert "gave no record at all" in str(error)


def test_an_empty_list_where_there_never_was_anything_is_empty(school: School) -> None:
    """Fault 12."""
    school.platform.switch_on("empty")
    assert [(report.fetched, report.complete) for report in school.lists()] == [(0, True)] * 3
    school.mends()


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["licence", "licence-as-400"])
def test_an_expired_licence_stops_the_run_and_keeps_the_data(synced: School, fault: str) -> None:
    """Faults 31 and 41."""
    synced.platform.switch_on(fault)
    asked = len(synced.asked)
    assert all("licence" in str(error) and not error.transient for error in refused(synced, AccessRefused))
    assert synced.asked[asked : asked + 3] == ["/training/list", "/lesson/list", "/user/list"]


def test_a_token_that_is_refused_half_way_through_a_list_marks_nothing(school: School) -> None:
    """Fault 32."""
    school.open(Platform.invented(courses=20, lessons=20, users=20))
    school.platform.page_cap = 7
    school.lists()
    school.life_goes_on()
    before = school.everything()
    for flow in (COURSES, LESSON_CATALOG):
        school.platform.faults.clear()
        school.platform.switch_on("bad-token", after=2)
        assert type(school.ended_by(flow)) is AccessRefused
    assert school.everything() == before
    school.mends()


def test_a_token_that_is_refused_half_way_through_the_courses_ends_the_run_and_keeps_what_was_done(
    school: School,
) -> None:
    """Fault 32."""
    school.sync()
    before = school.grants()
    for grants in school.platform.course_users.values():
        grants.pop()
    school.platform.switch_on("bad-token", path="/training/*/user/list", after=3)
    done, error = school.courses_until()
    assert type(error) is AccessRefused
    assert 0 < len(done) <= 3
    now = granted(school.platform, school.ids("courses"))
    assert school.grants() == {
        pair: held
        for pair, held in before.items()
        if pair[0] not in done or pair in now
    } | {pair: held for pair, held in now.items() if pair[0] in done}  # fmt: skip
    assert {course for course, _ in school.closed()} <= set(done)
    school.mends()


@pytest.mark.parametrize("fault", ["not-found", "not-found-polish"])
def test_a_course_that_is_gone_between_two_calls_fails_alone(synced: School, fault: str) -> None:
    """Fault 33."""
    synced.lists()
    bad, *others = synced.known()
    before = synced.grants()
    synced.platform.switch_on(fault, path=f"/training/{bad}/user/list")
    done = synced.courses()
    assert type(done[bad].error) is NotFound
    assert bad in str(done[bad].error)
    assert all(done[course].report.complete for course in others)
    assert synced.grants() == granted(synced.platform, others) | {
        pair: held for pair, held in before.items() if pair[0] == bad
    }
    synced.mends()


def test_an_address_without_such_a_list_is_said_to_be_so_though_its_answer_is_empty(synced: School) -> None:
    """Fault 34."""
    synced.platform.switch_on("unknown-route")
    said = [str(error) for error in refused(synced, NotFound)]
    assert all("WTL_API_URL" in sentence for sentence in said[:3])


def test_a_request_the_platform_calls_bad_is_not_sent_again(synced: School) -> None:
    """Fault 35."""
    synced.platform.switch_on("bad-request")
    asked = len(synced.asked)
    errors = refused(synced, UnexpectedAnswer)
    assert [error.report.requests for error in errors[:3]] == [1, 1, 1]
    assert synced.asked[asked : asked + 3] == ["/training/list", "/lesson/list", "/user/list"]


def test_an_answer_of_status_201_is_an_answer(synced: School) -> None:
    """Fault 36."""
    synced.platform.switch_on("status-201")
    synced.sync()
    assert synced.held() == synced.listed()
    synced.mends()


@pytest.mark.parametrize("fault", ["login-page", "bad-gateway"])
def test_a_web_page_is_never_taken_for_a_list(synced: School, fault: str) -> None:
    """Fault 40."""
    synced.platform.switch_on(fault)
    errors = refused(synced, SourceUnavailable)
    assert [error.report.requests for error in errors[:3]] == [ATTEMPTS] * 3


def test_a_redirect_to_the_login_page_is_not_followed(synced: School) -> None:
    """Fault 40."""
    synced.platform.switch_on("redirect")
    asked = len(synced.asked)
    assert all("redirects" in str(error) for error in refused(synced, UnexpectedAnswer)[:3])
    assert not [path for path in synced.asked[asked:] if not path.endswith("/list")]


@pytest.mark.parametrize(
    ("fault", "error"),
    [("licence-as-400", AccessRefused), ("rate-limit", RateLimited), ("server-error", SourceUnavailable)],
)
def test_an_error_is_known_by_its_status_though_its_body_is_no_json(
    synced: School, fault: str, error: type[SyncError]
) -> None:
    """Fault 41."""
    synced.platform.switch_on(fault)
    refused(synced, error)


# --- shapes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["object", "wrapper", "null", "single-object", "error-object-200"])
def test_what_is_no_bare_list_is_refused_and_not_made_into_one(synced: School, fault: str) -> None:
    """Fault 42."""
    synced.platform.switch_on(fault)
    errors = refused(synced, UnexpectedAnswer)
    assert all("instead of a list" in str(error) for error in errors)
    assert [error.report.requests for error in errors[:3]] == [1, 1, 1]


def test_a_list_of_things_that_are_no_records_is_no_list_of_records(school: School) -> None:
    """Fault 43."""
    school.open(Platform.invented(courses=21, lessons=21, users=21))
    for course in school.ids("courses"):
        school.platform.course_users[course] = [
            {**user, "expired_at": "Forever"} for user in school.platform.users
        ]
    school.sync()
    before = school.everything()
    school.platform.switch_on("all-rows-null")
    assert {type(outcome) for outcome in school.outcomes().values()} == {UnexpectedAnswer}
    assert school.everything() == before
    school.mends()


# --- bytes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["bom", "bad-gzip", "wrong-charset"])
def test_bytes_that_are_no_utf_8_are_asked_for_again_and_then_refused(synced: School, fault: str) -> None:
    """Fault 45."""
    synced.platform.switch_on(fault)
    errors = refused(synced, SourceUnavailable)
    assert [error.report.requests for error in errors[:3]] == [ATTEMPTS] * 3


@pytest.mark.parametrize("fault", ["bom", "bad-gzip", "wrong-charset"])
def test_bytes_that_are_damaged_once_cost_a_request_and_nothing_else(synced: School, fault: str) -> None:
    """Fault 45."""
    synced.platform.switch_on(fault, times=1)
    report = synced.run(COURSES)
    assert (report.created, report.updated, report.deleted, report.failed) == (1, 1, 1, 0)
    assert (report.retries, report.complete) == (1, True)
    synced.mends()


@pytest.mark.parametrize("fault", ["nan", "giant-number", "deep-nesting"])
def test_json_beyond_what_a_list_can_hold_is_refused_whole(synced: School, fault: str) -> None:
    """Fault 46."""
    synced.platform.switch_on(fault)
    refused(synced, SourceUnavailable)


def test_a_body_larger_than_any_list_is_given_up(synced: School) -> None:
    """Fault 46."""
    before = synced.everything()
    synced.platform.switch_on("huge", path="/training/list")
    error = synced.ended_by(COURSES)
    assert type(error) is UnexpectedAnswer
    assert error.report.requests == 1
    assert synced.everything() == before
    synced.mends()


@pytest.mark.parametrize("times", [1, None])
def test_a_row_that_names_its_id_twice_is_no_record_and_nothing_is_marked_for_it(
    synced: School, times: int | None
) -> None:
    """Fault 46."""
    for path in ("/training/list", "/lesson/list", "/user/list"):
        synced.platform.switch_on("duplicate-keys", path=path, times=times)
    held = synced.held()
    for report in synced.lists():
        # On every page, the row is never the one that was held: that list does not prove its end.
        assert (report.failed, report.deleted, report.complete) == (1, 0, times == 1)
        assert ("were not marked as vanished" if times else "incomplete: ") in report.errors[-1]
    assert synced.marked() == set()
    for name, rows in synced.listed().items():
        first, *_ = rows
        assert synced.held()[name] == held[name] | rows | {first: held[name][first]}
    assert len(synced.rejects()) == 3
    synced.mends()


def test_a_grant_that_names_its_id_twice_is_no_record_and_nothing_is_closed_for_it(synced: School) -> None:
    """Fault 46."""
    synced.lists()
    before = synced.grants()
    synced.platform.switch_on("duplicate-keys", path="/training/*/user/list")
    for course, done in synced.courses().items():
        assert done.error is None
        assert done.report.failed == bool(synced.platform.course_users.get(course))
    assert synced.closed() == set()
    assert before.keys() <= synced.grants().keys()
    synced.mends()
