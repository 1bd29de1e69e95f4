"""What a run or stream is called, and how old what we have is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.flows.naming import flow_of_stream
from sync_pipelines.flows.registry import FLOWS, PARTITIONED_FLOWS
from sync_pipelines.flows.reporting.history import FLOW_NAMES, flow_of_queue, last_complete

NOW = datetime(2026, 11, 28, tzinfo=UTC)
STREAMS = [
    *(flow.stream for flow in FLOWS),
    *(f"{flow.stream}/{course}" for flow in PARTITIONED_FLOWS[:2] for course in ("7", "8")),
    *(f"{part.stream}/{school}" for part in PARTITIONED_FLOWS[2].parts for school in ("a", "b")),
]


def test_a_flow_is_what_people_call_it() -> None:
    assert FLOW_NAMES == ("wtl", "wtl_courses", "bakalari", "progress")
    names = {
        "wtl/users": "wtl",
        "wtl/course_users": "wtl_courses",
        "bakalari/roster": "bakalari",
        "bakalari/users": "bakalari",
        "progress/imports": "progress",
    }
    assert {stream: flow and flow.name for stream in names for flow in [flow_of_stream(stream)]} == names
    assert flow_of_stream("health/sync_report") is None


def test_the_queue_of_a_run_says_its_flow_and_its_school() -> None:
    assert flow_of_queue("wtl") == ("wtl", None)
    assert flow_of_queue("wtl_courses") == ("wtl_courses", None)
    assert flow_of_queue("bakalari/skola") == ("bakalari", "skola")
    assert flow_of_queue("bakalari_schools") == ("bakalari", None)
    assert flow_of_queue("health") is None


@given(st.dictionaries(st.sampled_from(STREAMS), st.integers(0, 1000).map(lambda m: NOW - timedelta(minutes=m))))
def test_a_flow_is_as_old_as_its_stalest_list_and_school_and_as_its_newest_course(
    streams: dict[str, datetime],
) -> None:
    found = last_complete(streams, {"bakalari": ["a", "b"]})

    def stalest(names: list[str]) -> datetime | None:
        times = [streams.get(name) for name in names]
        return None if None in times else min(time for time in times if time)

    assert found.get(("wtl", None)) == stalest([flow.stream for flow in FLOWS])
    courses = [
        max((at for name, at in streams.items() if name.startswith(f"{flow.stream}/")), default=None)
        for flow in PARTITIONED_FLOWS[:2]
    ]
    assert found.get(("wtl_courses", None)) == (None if None in courses else min(at for at in courses if at))
    for school in ("a", "b"):
        assert found.get(("bakalari", school)) == stalest([s for s in STREAMS if s.endswith(f"/{school}")])
    assert found.get(("bakalari", None)) == stalest([s for s in STREAMS if s.startswith("bakalari/")])


def test_a_school_that_the_settings_name_no_more_makes_nothing_old() -> None:
    streams = {stream: NOW - timedelta(days=9 if stream.endswith("/b") else 0) for stream in STREAMS}
    assert last_complete(streams, {"bakalari": ["a"]})["bakalari", None] == NOW
    assert ("bakalari", None) not in last_complete(streams, {"bakalari": []})
