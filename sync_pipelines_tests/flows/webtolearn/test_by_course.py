"""Who has access to a course: partitions, each for itself."""

from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.errors import (
    AccessRefused,
    NotFound,
    OriginChanged,
    RateLimited,
    SourceUnavailable,
    StateError,
    SyncError,
    UnexpectedAnswer,
)
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.webtolearn import COURSE_LESSONS, COURSE_USERS, COURSES, WTL_COURSES
from sync_pipelines_tests.flows.webtolearn.model import granted
from sync_pipelines_tests.flows.webtolearn.school import School

COUNTERS = ("fetched", "created", "updated", "skipped", "deleted", "restored", "failed", "complete")
Grants = dict[tuple[str, str], Any]


@pytest.fixture
def synced(school: School) -> School:
    """A school that is synced; since then one user of each course lost access, and another got it."""
    school.sync()
    for grants in school.platform.course_users.values():
        lost = grants[-1]["id"]
        new = next(u for u in school.platform.users if u["id"] not in {grant["id"] for grant in grants})
        grants[:] = [grant for grant in grants if grant["id"] != lost]
        grants.append({**new, "expired_at": "Forever"})
    return school


def of(grants: Grants, *courses: str) -> Grants:
    return {pair: held for pair, held in grants.items() if pair[0] in courses}


# --- each for itself --------------------------------------------------------------------------------------


def test_tables_equal_the_platforms_grants(synced: School) -> None:
    assert synced.courses().keys() == set(synced.ids("courses"))
    assert synced.grants() == granted(synced.platform, synced.ids("courses"))
    assert len(synced.closed()) == 8


def test_an_unchanged_second_run_writes_no_row(synced: School) -> None:
    synced.platform.relation = "path"
    synced.sync()
    before = synced.everything()
    for flow in (COURSE_USERS, COURSE_LESSONS):
        done = synced.courses(flow=flow)
        assert all(one.report.skipped == one.report.fetched and one.report.complete for one in done.values())
    assert synced.everything() == before


def test_only_the_courses_asked_for_are_read(synced: School) -> None:
    before = synced.grants()
    chosen, others = synced.known()[2:5], [*synced.known()[:2], *synced.known()[5:]]
    asked = len(synced.asked)
    assert list(synced.courses(*chosen, chosen[0])) == chosen
    assert synced.asked[asked:] == [f"/training/{course}/user/list" for course in chosen]
    assert synced.grants() == granted(synced.platform, chosen) | of(before, *others)
    assert {course for course, _ in synced.closed()} == set(chosen)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("not-found", NotFound),
        ("unknown-route", NotFound),
        ("bad-request", UnexpectedAnswer),
        ("server-error", SourceUnavailable),
        ("reset", SourceUnavailable),
        ("truncated", SourceUnavailable),
        ("cut-json", SourceUnavailable),
        ("login-page", SourceUnavailable),
        ("redirect", UnexpectedAnswer),
        ("error-object-200", UnexpectedAnswer),
        ("null", UnexpectedAnswer),
        ("empty-first-page", UnexpectedAnswer),
        ("bom", SourceUnavailable),
        ("deep-nesting", SourceUnavailable),
    ],
)
def test_a_course_that_cannot_be_read_fails_alone_and_closes_nothing(
    synced: School, fault: str, error: type[SyncError]
) -> None:
    before = synced.grants()
    bad, *others = synced.known()[3:] + synced.known()[:3]
    synced.platform.switch_on(fault, path=f"/training/{bad}/user/list")
    done = synced.courses()
    assert type(done[bad].error) is error
    assert done[bad].report.errors
    assert not done[bad].report.complete
    assert [done[course].error for course in others] == [None] * 7
    assert synced.grants() == granted(synced.platform, others) | of(before, bad)
    assert {course for course, _ in synced.closed()} == set(others)
    assert synced.known()[0] == bad
    synced.mends()


@pytest.mark.parametrize("fault", ["no-content-range", "total", "unsorted"])
def test_a_course_that_is_not_proven_to_be_read_whole_closes_nothing(synced: School, fault: str) -> None:
    synced.platform.page_cap = 3
    before = synced.grants()
    if fault == "total":
        # As if the server went on, and gave no more.
        def more(headers: dict[bytes, bytes]) -> None:
            headers[b"content-range"] += b"0"

        synced.alter = more
    else:
        synced.platform.switch_on(fault)
    done = synced.courses()
    assert not any(one.report.complete for one in done.values())
    assert synced.closed() == set()
    assert before.keys() <= synced.grants().keys()
    synced.platform.page_cap = None
    synced.mends()


def test_an_emptied_course_is_stopped_for_itself_and_can_be_approved(synced: School) -> None:
    before = synced.grants()
    one, two, *others = synced.known()
    synced.platform.course_users[one] = synced.platform.course_users[two] = []
    done = synced.courses()
    assert {course for course, partition in done.items() if partition.guarded} == {one, two}
    assert "--allow-mass-vanish" in str(done[one].error)
    assert synced.grants() == granted(synced.platform, others) | of(before, one, two)
    approved = synced.courses(one, allow_mass_vanish=True)
    assert approved[one].report.deleted == len(of(before, one))
    assert synced.grants() == granted(synced.platform, others) | of(before, two)
    assert synced.courses()[two].guarded
    assert synced.courses()[one].report.complete
    synced.courses(two, allow_mass_vanish=True)
    synced.mends()


# --- which there are --------------------------------------------------------------------------------------


def test_a_course_that_is_not_known_is_not_asked_for(synced: School) -> None:
    synced.platform.put("courses", "900", {"id": "900", "name": "Nowy"})
    asked = len(synced.asked)
    done = synced.courses("900", "4711")
    for course in ("900", "4711"):
        assert type(done[course].error) is StateError
        assert f"{course} is not known here: run wtl/courses" in str(done[course].error)
    assert synced.asked[asked:] == []
    synced.run(COURSES)
    assert synced.courses("900")["900"].report.complete


@pytest.mark.parametrize("flow", [COURSE_USERS, COURSE_LESSONS], ids=lambda flow: flow.stream)
def test_a_course_that_vanished_is_not_asked_for_and_keeps_what_it_had(synced: School, flow: Any) -> None:
    gone, *others = synced.known()
    synced.platform.remove("courses", gone)
    synced.lists()
    its = "SELECT id FROM wtl.courses WHERE wtl_course_id = :id"
    held = f"SELECT *, xmin::text FROM wtl.course_users WHERE course_id IN ({its}) ORDER BY id"
    before = synced.query(held, id=gone)
    asked = len(synced.asked)
    done = synced.courses(gone, flow=flow)[gone]
    assert (done.error, done.report.complete, done.report.fetched) == (None, True, 0)
    assert done.report.facts == {"wtl:course": "vanished upstream: not asked for"}
    assert synced.asked[asked:] == []
    assert synced.known() == others
    assert gone in PartitionRunner(synced.settings).keys(WTL_COURSES)
    assert synced.query(held, id=gone) == before != []
    synced.mends()


def test_no_course_is_no_request(synced: School) -> None:
    asked = len(synced.asked)
    runner = PartitionRunner(synced.settings)
    assert list(runner.run(COURSE_USERS, [])) == list(runner.run(COURSE_LESSONS, [])) == []
    assert synced.asked[asked:] == []


def test_partitions_are_in_the_order_of_their_numbers(school: School) -> None:
    school.platform.put("courses", "1000", {"id": "1000", "name": "Ostatni"})
    school.lists()
    assert PartitionRunner(school.settings).keys(WTL_COURSES) == sorted(school.ids("courses"), key=int)


def test_the_course_read_longest_ago_comes_first_and_before_it_one_never_read(school: School) -> None:
    school.lists()
    one, two, three, *rest = school.ids("courses")
    for course in (two, three, one):
        school.courses(course)
    assert school.known() == [*rest, two, three, one]
    school.platform.switch_on("null", path=f"/training/{two}/user/list")
    school.courses(two)
    assert school.known() == [*rest, two, three, one]


def test_what_is_due_are_courses_never_read_then_changed_ones_then_those_not_read_for_long(school: School) -> None:
    school.lists()
    one, two, three, four, *rest = school.ids("courses")
    for course in (four, one, two, three):
        school.courses(course)
    school.platform.put("courses", two, {"id": two, "name": "Inny tytul"})
    school.run(COURSES)
    runner = PartitionRunner(school.settings)
    assert runner.stalest_first(COURSE_USERS) == [*rest, two, four, one, three]
    within_an_hour = timedelta(hours=1)
    assert runner.stalest_first(COURSE_USERS, older_than=within_an_hour) == [*rest, two]
    school.query(
        "UPDATE sync.streams SET last_complete_at = last_complete_at - interval '2 hours' "
        f"WHERE stream = 'wtl/course_users/{one}'"
    )
    assert runner.stalest_first(COURSE_USERS, older_than=within_an_hour) == [*rest, one, two]
    for course in (*rest, two, one):
        school.courses(course)
    assert runner.stalest_first(COURSE_USERS, older_than=within_an_hour) == []


def test_another_platforms_courses_are_not_read_into_the_tables(synced: School) -> None:
    synced.query("UPDATE sync.streams SET origin = 'school.elms.pl' WHERE stream = 'wtl/course_users'")
    before = synced.everything()
    assert type(synced.ended_by(COURSE_USERS)) is OriginChanged
    assert synced.everything() == before
    synced.query("UPDATE sync.streams SET origin = NULL")
    synced.mends()


# --- what concerns all of them ----------------------------------------------------------------------------


def not_all_reached(school: School, before: Grants, done: list[str]) -> list[str]:
    """What was done is done, the others are as they were, and come first the next time."""
    others = [course for course in school.ids("courses") if course not in done]
    assert 0 < len(done) < 8
    assert school.grants() == granted(school.platform, done) | of(before, *others)
    assert {course for course, _ in school.closed()} == set(done)
    assert set(school.known()[: len(others)]) == set(others)
    assert school.known()[len(others) :] == done
    return others


def test_when_the_hour_is_used_up_what_was_done_stays_and_the_rest_comes_first(synced: School) -> None:
    before, order = synced.grants(), synced.known()
    synced.platform.switch_on("hour-used-up", path="/training/*/user/list", after=5)
    done, error = synced.courses_until()
    assert type(error) is RateLimited
    assert list(done) == order[: len(done)]
    others = not_all_reached(synced, before, list(done))
    synced.platform.faults.clear()
    asked = len(synced.asked)
    assert type(synced.courses_until()[1]) is RateLimited
    assert synced.asked[asked:] == []
    synced.clock.now += 3600
    assert list(synced.courses())[: len(others)] == order[len(done) :]
    synced.mends()


def test_a_tenth_of_the_hour_is_left_to_the_lists(synced: School) -> None:
    before = synced.grants()
    synced.platform.limit_hour = 60
    synced.clock.now += 3600
    for _ in range(8):
        synced.lists()
    done, error = synced.courses_until()
    assert type(error) is RateLimited
    not_all_reached(synced, before, list(done))
    assert synced.run(COURSES).complete
    synced.platform.limit_hour = 10**9
    synced.mends()


def test_a_refused_token_ends_the_run_for_all_courses(synced: School) -> None:
    before, there = synced.everything(), synced.token
    synced.token = "hunter22"
    done, error = synced.courses_until()
    assert (done, type(error)) == ({}, AccessRefused)
    assert synced.everything() == before
    synced.token = there
    synced.mends()


# --- plan -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", [COURSE_USERS, COURSE_LESSONS], ids=lambda flow: flow.stream)
def test_a_plan_of_courses_writes_nothing_and_says_what_the_run_then_does(synced: School, flow: Any) -> None:
    platform = synced.platform
    platform.relation = "path"
    for lessons in platform.course_lessons.values():
        lessons.reverse()
    platform.switch_on("null", path=f"/training/{synced.ids('courses')[2]}/*/list")
    platform.course_users[synced.ids("courses")[4]] = []
    everything = (*synced.everything(), "sync.streams", "wtl.course_lessons")

    def rows() -> list[Any]:
        return [synced.query(f"SELECT xmin::text, ctid::text, t::text FROM {t} t ORDER BY 2") for t in everything]

    def counted(**options: bool) -> dict[str, list[Any]]:
        done = synced.courses(flow=flow, **options)
        return {key: [*(getattr(one.report, c) for c in COUNTERS), one.guarded] for key, one in done.items()}

    before = rows()
    planned = counted(plan=True)
    assert rows() == before
    assert counted() == planned
    assert any(report[1] or report[2] for report in planned.values())
