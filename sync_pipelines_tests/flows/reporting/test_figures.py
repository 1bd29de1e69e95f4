"""The figures are those of a plain computation."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given, settings

from sync_pipelines.flows.reporting.figures import Line, figures, lasting
from sync_pipelines.flows.reporting.history import FLOW_NAMES, FlowRun, History, Outcome
from sync_pipelines_tests.flows.reporting.histories import UNTIL, histories, history

COUNTED = ("fetched", "created", "updated", "deleted", "failed")


def percentile(values: list[float], share: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def plain(past: History, flow: str, site: str | None) -> Line:
    runs = [run for run in past.runs if run.flow == flow and (site is None or run.site == site)]
    written = [w for w in past.written if w.flow == flow and (site is None or w.site == site)]
    outcomes = [run.outcome for run in runs]
    seconds = [run.seconds for run in runs if run.outcome == "succeeded" and run.seconds is not None]
    complete_at = past.complete_at.get((flow, site))
    return Line(
        flow,
        site,
        len(runs),
        outcomes.count("succeeded"),
        outcomes.count("failed"),
        percentile(seconds, 0.5),
        percentile(seconds, 0.95),
        None if complete_at is None else UNTIL - complete_at,
        *(sum(getattr(w, name) for w in written) for name in COUNTED),
    )


def same(line: Line, expected: Line) -> bool:
    exact = [
        getattr(line, n) == getattr(expected, n) for n in Line.__dataclass_fields__ if n not in ("p50", "p95")
    ]
    return all(exact) and line.p50 == pytest.approx(expected.p50) and line.p95 == pytest.approx(expected.p95)


@settings(max_examples=60)
@given(past=histories)
def test_each_flow_and_each_school_has_the_figures_of_its_own_runs(past: History) -> None:
    found = figures(past)
    known = {(r.flow, r.site) for r in (*past.runs, *past.written)} | set(past.complete_at)
    flows = [flow for flow in FLOW_NAMES if flow in {name for name, _ in known}]
    assert [line.flow for line in found.flows] == flows
    assert all(same(line, plain(past, line.flow, None)) for line in found.flows)
    assert [(line.flow, line.site) for line in found.sites] == sorted(key for key in known if key[1])
    assert all(same(line, plain(past, line.flow, line.site)) for line in found.sites)
    assert found.runs == len(past.runs)


def test_an_empty_history_has_no_figures() -> None:
    found = figures(history())
    assert (found.flows, found.sites, found.runs, found.success_rate) == ([], [], 0, None)


def test_many_schools_are_not_listed_one_by_one() -> None:
    runs = [FlowRun("bakalari", f"skola-{n}", "succeeded", UNTIL, 5.0) for n in range(50)]
    found = figures(history(runs=runs))
    assert ([line.runs for line in found.flows], found.sites) == ([50], [])


def test_a_success_rate_is_of_runs_that_ended_by_themselves() -> None:
    outcomes: list[Outcome] = ["succeeded", "succeeded", "succeeded", "failed", "canceled", "under way"]
    runs = [FlowRun("wtl", None, outcome, UNTIL, 5.0) for outcome in outcomes]
    (line,) = figures(history(runs=runs)).flows
    assert (line.runs, line.success_rate) == (6, 0.75)


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (timedelta(milliseconds=300), "300 ms"),
        (timedelta(seconds=1), "1 s"),
        (timedelta(seconds=9.14), "9.1 s"),
        (timedelta(seconds=84), "1.4 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(days=2, hours=12), "2.5 days"),
    ],
)
def test_a_time_is_told_as_people_say_it(time: timedelta, said: str) -> None:
    assert lasting(time.total_seconds()) == said
