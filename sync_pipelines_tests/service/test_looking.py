"""What is said of a run, made of its events."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.flows.naming import FLOWS_BY_NAME
from sync_pipelines.service.looking import Record, nouns
from sync_pipelines.service.orchestrator import LIVE, Event, Run, Status

COURSES = FLOWS_BY_NAME["wtl_courses"]
STREAM, STEP = "wtl/lessons", "wtl__lessons"
COUNTERS = ("created", "updated", "skipped", "failed", "deleted", "restored")
BEGAN = datetime(2026, 1, 12, tzinfo=UTC)
counts = st.fixed_dictionaries({name: st.integers(0, 50) for name in COUNTERS})
#: Of each partition, what came of it: the counts, and the kind of error where it failed.
outcomes = st.dictionaries(
    st.sampled_from("12345"), st.tuples(counts, st.sampled_from([None, None, "SourceUnavailable", "GuardTripped"]))
)


def run(status: Status) -> Run:
    ended = None if status in LIVE else BEGAN + timedelta(seconds=2)
    return Run("run", COURSES.job, status, BEGAN, BEGAN, ended, {}, {}, frozenset())


def said_by_dagster(of: dict[str, tuple[dict[str, int], str | None]]) -> list[Event]:
    """A materialization of each that is done, then the step's end."""
    done = {key: numbers for key, (numbers, error) in of.items() if error is None}
    bad = [
        {"stream": STREAM, "partition": k, **numbers, "failure": e, "complete": False}
        for k, (numbers, e) in of.items()
        if e
    ]
    made = [Event("made", STEP, STREAM, key, {**numbers, "complete": True}) for key, numbers in done.items()]
    end = (
        Event("failed", STEP, None, None, {"failed_partitions": bad})
        if bad
        else Event("done", STEP, None, None, {})
    )
    return [Event("started", STEP, None, None, {}), *made, end]


@given(outcomes, st.lists(st.integers(0, 9), max_size=4))
def test_counts_are_those_of_all_partitions_and_errors_those_of_the_failed(
    of: dict[str, tuple[dict[str, int], str | None]], cuts: list[int]
) -> None:
    """In whatever pieces the events are read."""
    events, record = said_by_dagster(of), Record(COURSES)
    places = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    for begin, end in pairwise(places):
        record.take(events[begin:end])
    failed = sorted(error for _, error in of.values() if error)
    look = record.look(run("failed" if failed else "succeeded"))
    for counter in COUNTERS:
        name = f"lessons{counter.capitalize()}"
        assert look.result[name] == sum(numbers[counter] for numbers, _ in of.values())
        assert look.result[f"courseUsers{counter.capitalize()}"] == 0
    codes = {"SourceUnavailable": "source_unavailable", "GuardTripped": "guard_tripped"}
    assert {error["code"]: error["count"] for error in look.errors} == {
        codes[error]: failed.count(error) for error in failed
    }
    assert look.success is (not failed)
    assert look.steps == {STREAM: "failed" if failed else "done", "wtl/course_users": "skipped"}


@given(st.sampled_from(get_args(Status)), st.booleans())
def test_nothing_succeeds_before_it_ends_nor_where_dagster_says_that_it_failed(
    status: Status, incomplete: bool
) -> None:
    """Nor where requests were used up before all was read, which is no failure to Dagster."""
    record = Record(COURSES)
    record.take([Event("started", STEP, None, None, {})])
    if incomplete:
        said: dict[str, Any] = {"complete": False, "created": 3, "failure": "RateLimited"}
        record.take([Event("observed", STEP, STREAM, None, said), Event("done", STEP, None, None, {})])
    look = record.look(run(status))
    assert look.success is (None if status in LIVE else status == "succeeded" and not incomplete)
    if look.success is False:
        assert look.errors
    if incomplete:
        assert look.result["lessonsCreated"] == 3
        assert [error["code"] for error in look.errors] == ["rate_limited"]
    elif not run(status).ended:
        assert look.steps[STREAM] == "running"


def test_a_step_that_is_tried_again_has_not_failed() -> None:
    record = Record(COURSES)
    record.take([Event("started", STEP, None, None, {}), Event("retried", STEP, None, None, {})])
    assert record.look(run("running")).steps[STREAM] == "running"
    record.take([Event("started", STEP, None, None, {}), Event("done", STEP, None, None, {})])
    look = record.look(run("succeeded"))
    assert (look.success, look.errors, look.steps[STREAM]) == (True, [], "done")


def test_results_name_what_a_flow_writes_as_people_call_it() -> None:
    assert {*nouns(FLOWS_BY_NAME["wtl"]).values()} == {"courses", "lessons", "users"}
    assert {*nouns(COURSES).values()} == {"lessons", "courseUsers"}
    assert {*nouns(FLOWS_BY_NAME["bakalari"]).values()} == {
        "schools",
        "classes",
        "subjects",
        "users",
        "enrollments",
    }
