"""The figures of a history: a line a flow, and one a site where they are few. Imports pandas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any, TypeAlias

import pandas as pd

from sync_pipelines.flows.reporting.history import FLOW_NAMES, FlowRun, History, Written

__all__ = ["Figures", "Frame", "Line", "figures", "lasting", "runs_frame", "written_frame"]

#: A pandas.DataFrame, whose own annotations are too wide to be held to.
Frame: TypeAlias = Any

_MOST_SITES = 12
_COUNTED = ["fetched", "created", "updated", "deleted", "failed"]


@dataclass(frozen=True)
class Line:
    """One flow, or one of its sites. Of `runs` some may be canceled or still under way.

    `p50` and `p95` are seconds, of the runs that succeeded; `age` is the time since the last complete sync; counts
    are of rows. None stands for what is not known.
    """

    flow: str
    site: str | None
    runs: int
    successes: int
    failures: int
    p50: float | None
    p95: float | None
    age: timedelta | None
    fetched: int
    created: int
    updated: int
    deleted: int
    failed: int

    @property
    def success_rate(self) -> float | None:
        """Of the runs that succeeded or failed, 0 to 1; None where none did."""
        return _share(self.successes, self.failures)


@dataclass(frozen=True)
class Figures:
    """The lines of the flows, and of their sites where they are few."""

    flows: Sequence[Line]
    sites: Sequence[Line]

    @property
    def runs(self) -> int:
        """How many runs there were."""
        return sum(line.runs for line in self.flows)

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(line.failures for line in self.flows)

    @property
    def success_rate(self) -> float | None:
        """Of the runs that succeeded or failed; None where none did."""
        return _share(sum(line.successes for line in self.flows), self.failures)


def _share(good: int, bad: int) -> float | None:
    return good / (good + bad) if good + bad else None


def runs_frame(history: History) -> Frame:
    """The runs as a frame with FlowRun's columns, times in UTC."""
    return _frame(history.runs, FlowRun, "began_at")


def written_frame(history: History) -> Frame:
    """What was written as a frame with Written's columns, times in UTC."""
    return _frame(history.written, Written, "at")


def _frame(records: Sequence[FlowRun] | Sequence[Written], kind: type, time: str) -> Frame:
    frame: Frame = pd.DataFrame([asdict(record) for record in records], columns=[f.name for f in fields(kind)])
    frame[time] = pd.to_datetime(frame[time], utc=True)
    return frame


def figures(history: History) -> Figures:
    """Those of every flow of which anything is known."""
    runs, written = runs_frame(history), written_frame(history)
    known = {(r.flow, r.site) for r in (*history.runs, *history.written)} | history.complete_at.keys()
    flows = [name for name in FLOW_NAMES if any(flow == name for flow, _ in known)]
    sites = sorted((flow, site) for flow, site in known if site)
    return Figures(
        [_line(history, flow, None, _of(runs, flow), _of(written, flow)) for flow in flows],
        [_line(history, flow, site, _of(runs, flow, site), _of(written, flow, site)) for flow, site in sites]
        if len(sites) <= _MOST_SITES
        else [],
    )


def _of(frame: Frame, flow: str, site: str | None = None) -> Frame:
    """A flow's rows, those of its sites too; or one site's."""
    mine = frame[frame["flow"] == flow]
    return mine if site is None else mine[mine["site"] == site]


def _line(history: History, flow: str, site: str | None, runs: Frame, written: Frame) -> Line:
    successes, failures = (int((runs["outcome"] == outcome).sum()) for outcome in ("succeeded", "failed"))
    seconds = runs[runs["outcome"] == "succeeded"]["seconds"].dropna().astype(float)
    complete_at = history.complete_at.get((flow, site))
    return Line(
        flow,
        site,
        runs=len(runs),
        successes=successes,
        failures=failures,
        p50=float(seconds.quantile(0.5)) if len(seconds) else None,
        p95=float(seconds.quantile(0.95)) if len(seconds) else None,
        age=history.until - complete_at if complete_at else None,
        **{name: int(written[name].sum()) for name in _COUNTED},
    )


def lasting(seconds: float) -> str:
    """A time as people say it: 300 ms, 9.1 s, 1.4 min, 3 h, 2.1 days."""
    for unit, of_it, until in (("ms", 0.001, 1), ("s", 1, 60), ("min", 60, 3600), ("h", 3600, 86400)):
        if seconds < until:
            return f"{_short(seconds / of_it)} {unit}"
    return f"{_short(seconds / 86400)} days"


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}".removesuffix(".0")
