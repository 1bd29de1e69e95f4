"""What a run has done so far, made of what it says: counts by noun, errors by code, and how each step stands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sync_pipelines.flows.naming import NamedFlow, step_of
from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, PARTITIONED_FLOWS
from sync_pipelines.service.orchestrator import Event, Run

__all__ = ["Look", "Record", "StepState", "nouns"]

StepState = Literal["waiting", "running", "done", "failed", "skipped"]

_COUNTERS: Final = ("created", "updated", "skipped", "failed", "deleted", "restored")
# Each step of a run, and the streams that it syncs; in the order in which they come.
_STREAMS_BY_STEP: Final = {
    **{flow.stream: (flow.stream,) for flow in FLOWS},
    **{flow.stream: flow.streams for flow in PARTITIONED_FLOWS},
    **{flow.stream: (flow.stream,) for flow in LOCAL_FLOWS},
}
_STEPS: Final = {stream: step_of(step) for step, streams in _STREAMS_BY_STEP.items() for stream in streams}
# The platform's whole list, which people call its lessons.
_NOUNS: Final = {"wtl/lesson_catalog": "lessons"}
# Metadata of a step that failed: the kind of error, and the reports of partitions.
_FAILURE, _FAILED = "failure", "failed_partitions"


def nouns(flow: NamedFlow) -> Mapping[str, str]:
    """By stream, what a flow's rows are called in results ("classes"); without what only lands."""
    shown = [stream for stream in _STEPS if stream in flow.streams & flow.settled]
    return {stream: _NOUNS.get(stream) or _camel(stream.rpartition("/")[2]) for stream in shown}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _code(error: str) -> str:
    """ "GuardTripped" as "guard_tripped"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", error).lower()


@dataclass(frozen=True)
class Look:
    """A run as it stands. `success` is None while it is under way; `result` counts rows as {"usersCreated": 3}.

    `errors` are {"code", "stream", "count"}: how many partitions, or 1 for the whole stream.
    """

    run: Run
    flow: NamedFlow
    success: bool | None
    result: Mapping[str, int]
    errors: Sequence[Mapping[str, Any]]
    steps: Mapping[str, StepState]


@dataclass
class Record:
    """Takes a run's events in their order."""

    flow: NamedFlow
    _made: dict[tuple[str, str | None], Mapping[str, Any]] = field(default_factory=dict[Any, Any])
    _unfinished: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])
    _steps: dict[str, StepState] = field(default_factory=dict[str, StepState])
    _failures: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])

    def take(self, events: Iterable[Event]) -> None:
        """Note what they say. A step that is tried again has not failed."""
        for event in events:
            if event.kind == "made" and event.stream:
                self._made[event.stream, event.partition] = event.said
            elif event.kind == "observed" and event.stream:
                self._unfinished[event.stream] = event.said
            elif event.step and event.kind in ("started", "retried"):
                self._steps[event.step] = "running"
            elif event.step and event.kind in ("done", "skipped"):
                self._steps[event.step] = "done" if event.kind == "done" else "skipped"
            elif event.step and event.kind == "failed":
                self._steps[event.step] = "failed"
                self._failures[event.step] = event.said

    def look(self, run: Run) -> Look:
        """What that makes of a run."""
        errors = self._errors(run)
        return Look(
            run=run,
            flow=self.flow,
            success=run.status == "succeeded" and not errors if run.ended else None,
            result=self._result(),
            errors=errors,
            steps=self._states(run),
        )

    def _result(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        for stream, noun in nouns(self.flow).items():
            reports = [said for (of, _), said in self._made.items() if of == stream]
            reports += [said for said in self._of_failed_partitions() if said["stream"] == stream]
            reports += [said for of, said in self._unfinished.items() if of == stream]
            reports += [said for step, said in self._failures.items() if step == step_of(stream)]
            for counter in _COUNTERS:
                counts[f"{noun}{counter.capitalize()}"] = sum(int(said.get(counter, 0)) for said in reports)
        return dict(counts)

    def _of_failed_partitions(self) -> Sequence[Mapping[str, Any]]:
        said = [*self._failures.values(), *self._unfinished.values()]
        return [report for one in said for report in one.get(_FAILED) or ()]

    def _errors(self, run: Run) -> Sequence[Mapping[str, Any]]:
        found: Counter[tuple[str, str | None]] = Counter()
        for report in self._of_failed_partitions():
            found[_code(report[_FAILURE]), report["stream"]] += 1
        streams = {step_of(stream): stream for stream in self.flow.streams}
        for step, said in self._failures.items():
            if _FAILURE in said or not said.get(_FAILED):
                # Without a kind it ended in a way that nobody foresaw.
                found[_code(said.get(_FAILURE) or _unforeseen(said)), streams.get(step)] += 1
        for stream, said in self._unfinished.items():
            if _FAILURE in said or not said.get(_FAILED):
                found[_code(said.get(_FAILURE) or "Incomplete"), stream] += 1
        if run.ended and run.status != "succeeded" and not found:
            found["canceled" if run.status == "canceled" else "run_failed", None] += 1
        return [
            {"code": code, "stream": stream, "count": n} for (code, stream), n in sorted(found.items(), key=str)
        ]

    def _states(self, run: Run) -> Mapping[str, StepState]:
        """How each stream stands. Those that one step syncs together stand as it does."""
        left: StepState = "skipped" if run.ended else "waiting"
        states: dict[str, StepState] = {}
        for stream in (stream for stream in _STEPS if stream in self.flow.streams):
            state = self._steps.get(_STEPS[stream], left)
            states[stream] = "failed" if state == "running" and run.ended else state
        return states


def _unforeseen(said: Mapping[str, Any]) -> str:
    """Of a step that failed with no kind of error: it could not read all, or a defect."""
    return "Incomplete" if said.get("complete") is False else "Defect"
