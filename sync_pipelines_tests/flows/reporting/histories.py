"""Histories that are made up, as hypothesis draws them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from sync_pipelines.flows.reporting.history import FLOW_NAMES, FlowRun, History, Written

__all__ = ["SINCE", "UNTIL", "histories", "history"]

UNTIL = datetime(2026, 11, 28, 7, 12, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=7)
_times = st.datetimes(SINCE.replace(tzinfo=None), UNTIL.replace(tzinfo=None), timezones=st.just(UTC))
_flows = st.sampled_from(
    [*((flow, None) for flow in FLOW_NAMES), ("bakalari", "skola-a"), ("bakalari", "skola-b")]
)
_counts = dict.fromkeys(("fetched", "created", "updated", "deleted", "failed"), st.integers(0, 10**6))
_runs = st.builds(
    lambda of, *rest: FlowRun(*of, *rest),
    _flows,
    st.sampled_from(["succeeded", "failed", "canceled", "under way"]),
    _times,
    st.one_of(st.none(), st.floats(0.001, 40_000)),
)
_written = st.builds(
    lambda of, at, counts: Written(of[0], of[1], at, **counts), _flows, _times, st.fixed_dictionaries(_counts)
)


def history(**parts: object) -> History:
    """One with these parts; without any an empty one."""
    empty = {"runs": [], "written": [], "complete_at": {}, "runs_since": SINCE, "written_since": SINCE}
    return History(SINCE, UNTIL, **{**empty, **parts})  # pyright: ignore[reportArgumentType]


histories = st.builds(
    lambda runs, written, complete_at: history(runs=runs, written=written, complete_at=complete_at),
    st.lists(_runs, max_size=30),
    st.lists(_written, max_size=30),
    st.dictionaries(_flows, _times, max_size=6),
)
