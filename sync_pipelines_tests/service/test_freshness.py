"""How old a flow may be, and what is said of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.alerts.states import FlowInUse
from sync_pipelines.flows.naming import FLOWS_BY_NAME
from sync_pipelines.postgres.alerts import StreamState
from sync_pipelines.service.freshness import Freshness, freshness_of, may_be_old
from sync_pipelines.settings import Settings

SINCE = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
WTL, COURSES, BAKALARI = (FLOWS_BY_NAME[name] for name in ("wtl", "wtl_courses", "bakalari"))
SCHOOLS = ("first", "second", "third")
Times = dict[str, datetime]


def states(times: Times, **counts: int) -> list[StreamState]:
    return [StreamState(stream, at, counts.get(stream.replace("/", "_"), 1)) for stream, at in times.items()]


def times_of(streams: list[str]) -> st.SearchStrategy[Times]:
    """Of some of them, when they were complete: before it is too late, or not."""
    return st.dictionaries(
        st.sampled_from(streams), st.integers(-3, 3).map(lambda minutes: SINCE + timedelta(minutes=minutes))
    )


@given(times=times_of(sorted(WTL.streams)))
def test_a_flow_is_fresh_where_each_of_its_streams_is(times: Times) -> None:
    found = freshness_of([FlowInUse(WTL)], states(times), SINCE)["wtl"]
    if times.keys() != WTL.streams:
        assert found == Freshness("never", None, "no complete sync so far")
    elif min(times.values()) >= SINCE:
        assert found == Freshness("fresh", min(times.values()))
    else:
        assert found == Freshness("stale", min(times.values()), "no complete sync since 2026-01-12 09:30 UTC")


@given(times=times_of([f"{stream}/{school}" for stream in sorted(BAKALARI.settled) for school in SCHOOLS]))
def test_of_schools_it_is_said_how_many_are_old_and_never_which(times: Times) -> None:
    found = freshness_of([FlowInUse(BAKALARI, SCHOOLS)], states(times), SINCE)["bakalari"]

    def stalest(school: str) -> datetime | None:
        its = [times.get(f"{stream}/{school}") for stream in BAKALARI.settled]
        return None if None in its else min(at for at in its if at)

    known = [stalest(school) for school in SCHOOLS]
    old = [at for at in known if at is None or at < SINCE]
    assert found.status == ("fresh" if not old else "stale" if any(known) else "never")
    assert found.last_complete_at == (None if None in known else min(at for at in known if at))
    assert (found.reason or "").partition(": ")[0] == (f"{len(old)} of 3 schools" if old else "")
    assert not [school for school in SCHOOLS if school in str(found)]


def test_of_one_school_no_number_is_said() -> None:
    found = freshness_of([FlowInUse(BAKALARI, ("first",))], [], SINCE)["bakalari"]
    assert found == Freshness("never", None, "no complete sync so far")


def test_a_flow_without_schools_is_empty() -> None:
    assert freshness_of([FlowInUse(BAKALARI, ())], [], SINCE)["bakalari"] == Freshness("empty")


@pytest.mark.parametrize("courses", [None, 0, 3])
def test_without_a_course_nothing_is_expected_of_what_is_read_by_course(courses: int | None) -> None:
    listed = [] if courses is None else [StreamState("wtl/courses", SINCE, courses)]
    found = freshness_of([FlowInUse(COURSES)], listed, SINCE)["wtl_courses"]
    assert found.status == ("never" if courses else "empty")


def test_of_courses_the_one_that_was_read_last_counts() -> None:
    """They are read in turn."""
    at = SINCE - timedelta(days=1)
    old = {f"{stream}/{course}": at for stream in COURSES.settled for course in (1, 2)}
    flows = [FlowInUse(COURSES)]
    assert freshness_of(flows, states({**old, "wtl/courses": SINCE}), SINCE)["wtl_courses"].status == "stale"
    new = {f"{stream}/2": SINCE for stream in COURSES.settled}
    assert freshness_of(flows, states({**old, **new}), SINCE)["wtl_courses"] == Freshness("fresh", SINCE)


def test_a_flow_may_be_as_old_as_the_settings_say_and_as_long_as_a_run_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SYNC_EVERY_MINUTES", "20")
    monkeypatch.setenv("SYNC_STALE_INTERVALS", "4")
    assert may_be_old(Settings.load()) == timedelta(minutes=85)
