"""What a run that ended says of each flow or school that it was for: what it did well, and what went wrong."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from sync_pipelines import errors
from sync_pipelines.alerts.problems import EndedRun, Good, Kind, Problem
from sync_pipelines.alerts.wording import one_line
from sync_pipelines.core import SyncReport
from sync_pipelines.defs.metadata import ended_by, failed_partitions
from sync_pipelines.errors import AccessRefused, GuardTripped, RateLimited
from sync_pipelines.flows.naming import FLOWS_BY_NAME, QUEUE_TAG, NamedFlow, flow_of_stream, step_of
from sync_pipelines.flows.spec import Sites

__all__ = ["ended_run", "flows_of_run"]

# Of a run that somebody started from an asset's page; where no flow is concerned, that person looks at it.
_ANONYMOUS = "__"
_PARTITION, _SCHEDULE = "dagster/partition", "dagster/schedule_name"
_FIRST, _LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_COUNTERS = ("fetched", "created", "updated", "deleted", "failed")
_REFUSALS = {
    name
    for name in errors.__all__
    if isinstance(e := getattr(errors, name), type) and issubclass(e, AccessRefused)
}

_FLOWS_BY_JOB = {flow.job: flow for flow in FLOWS_BY_NAME.values()}
_STREAMS_BY_STEP = {step_of(stream): stream for flow in FLOWS_BY_NAME.values() for stream in flow.streams}


def flows_of_run(run: dg.DagsterRun) -> Mapping[NamedFlow, frozenset[str]]:
    """The flows that a run was for, each with its streams that were selected; none where it was for others."""
    if not run.asset_selection:
        flow = _FLOWS_BY_JOB.get(run.job_name)
        return {flow: flow.streams} if flow and not run.asset_check_selection else {}
    return _by_flow(run.asset_selection)


def _by_flow(keys: Iterable[dg.AssetKey]) -> Mapping[NamedFlow, frozenset[str]]:
    streams: dict[NamedFlow, set[str]] = defaultdict(set)
    for key in keys:
        if flow := flow_of_stream("/".join(key.path)):
            streams[flow].add("/".join(key.path))
    return {flow: frozenset(names) for flow, names in streams.items()}


def ended_run(
    instance: dg.DagsterInstance,
    record: dg.RunRecord,
    event: dg.EventLogEntry,
    position: int,
    slow_after: Callable[[str], float],
) -> EndedRun:
    """What it says. `slow_after`: after how many seconds a flow's scheduled run is slow."""
    run = record.dagster_run
    look = _Look(instance, record, event)
    problems: list[Problem] = []
    good: list[Good] = []
    if not (flows := look.flows()) and not run.job_name.startswith(_ANONYMOUS):
        named = run.tags.get(QUEUE_TAG, run.job_name)
        problems += [] if look.succeeded else [look.of_run(named)]
        good += [Good(named, frozenset())] if look.succeeded else []
    for flow, streams in flows.items():
        wrong = [] if look.succeeded else look.problems(flow)
        bad = {problem.subject for problem in wrong}
        well = [g for g in look.good(flow, streams) if g.subject not in bad and flow.name not in bad]
        limit = slow_after(flow.name)
        if look.succeeded and _SCHEDULE in run.tags and (took := look.seconds) is not None:
            if took <= limit:
                well = [replace(g, kinds=g.kinds | {Kind.SLOW}) for g in well]
            elif not look.was_tried_again:
                counts = {"seconds": took, "limit": limit}
                wrong += [Problem(Kind.SLOW, g.subject, run_id=run.run_id, counts=counts) for g in well]
        problems += wrong
        good += well
    return EndedRun(position, run.run_id, look.at, tuple(problems), tuple(good))


@dataclass(frozen=True)
class _Look:
    """At one run's record and events."""

    instance: dg.DagsterInstance
    record: dg.RunRecord
    event: dg.EventLogEntry

    @property
    def run(self) -> dg.DagsterRun:
        return self.record.dagster_run

    def flows(self) -> Mapping[NamedFlow, frozenset[str]]:
        """As `flows_of_run`; of a run that does not say so itself, by what it said that it would make."""
        if flows := flows_of_run(self.run):
            return flows
        planned = [log.dagster_event for log in self._logs(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)]
        return _by_flow(event.asset_key for event in planned if event and event.asset_key)

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.event.timestamp, UTC)

    @property
    def succeeded(self) -> bool:
        return self.event.get_dagster_event().event_type is dg.DagsterEventType.RUN_SUCCESS

    @property
    def seconds(self) -> float | None:
        """How long it took, without the time it waited for its turn."""
        began, ended = self.record.start_time, self.record.end_time
        return None if began is None or ended is None else ended - began

    @property
    def was_tried_again(self) -> bool:
        """Whether a step waited for an upstream to come back: that says nothing of how fast the sync is."""
        return bool(self._logs(dg.DagsterEventType.STEP_UP_FOR_RETRY))

    def good(self, flow: NamedFlow, streams: frozenset[str]) -> list[Good]:
        """What was done, by subject. A run whose requests were used up succeeds, and has not done everything."""
        named = self._partitions(flow)
        if self.succeeded and (named or not isinstance(flow.partitions, Sites)) and not self._is_incomplete(flow):
            return [Good(flow.subject(partition), streams) for partition in named or [None]]
        made: dict[str, set[str]] = defaultdict(set)
        for entry in self._logs(dg.DagsterEventType.ASSET_MATERIALIZATION):
            if (m := entry.asset_materialization) and (stream := "/".join(m.asset_key.path)) in streams:
                made[flow.subject(m.partition)].add(stream)
        return [Good(subject, frozenset(done)) for subject, done in made.items()]

    def _is_incomplete(self, flow: NamedFlow) -> bool:
        for entry in self._logs(dg.DagsterEventType.ASSET_OBSERVATION):
            said = entry.asset_observation
            complete = said.metadata.get("complete") if said else None
            if said and "/".join(said.asset_key.path) in flow.streams and complete and complete.value is False:
                return True
        return False

    def problems(self, flow: NamedFlow) -> list[Problem]:
        """What went wrong: one problem a subject, the gravest."""
        failures = {entry.step_key: entry for entry in self._logs(dg.DagsterEventType.STEP_FAILURE)}
        if not failures:
            return [self.of_run(flow.subject(partition)) for partition in self._partitions(flow) or [None]]
        found: dict[str, Problem] = {}
        for step, entry in failures.items():
            stream = _STREAMS_BY_STEP.get(step or "")
            if stream in flow.streams or (stream is None and len(self.flows()) == 1):
                for problem in self._of_step(flow, stream, entry.get_dagster_event().step_failure_data):
                    other = found.get(problem.subject)
                    found[problem.subject] = problem if other is None else _together(other, problem)
        return list(found.values())

    def of_run(self, subject: str) -> Problem:
        """Of a run that ended without any of its steps saying why: its process was killed, it took too long."""
        failures = self._logs(dg.DagsterEventType.STEP_FAILURE)
        said = self.event.get_dagster_event().message or "the run failed"
        if failures:
            said = _said(failures[0].get_dagster_event().step_failure_data)
        return Problem(Kind.FAILURE, subject, one_line(said), self.run.run_id)

    def _of_step(self, flow: NamedFlow, stream: str | None, failure: Any) -> Iterator[Problem]:
        metadata = (failure.user_failure_data.metadata if failure.user_failure_data else None) or {}
        partitions = failed_partitions(metadata)
        of_partitions = list(self._of_partitions(flow, partitions))
        yield from of_partitions
        error = ended_by(metadata)
        if (error is None and partitions) or error == RateLimited.__name__:
            return
        kind, streams = _kind(error), frozenset({stream} if stream else ())
        values = {name: metadata[name].value for name in _COUNTERS if name in metadata}
        counts = {name: value for name, value in values.items() if isinstance(value, int)}
        done = {problem.subject for problem in of_partitions}
        for partition in self._partitions(flow) or [None]:
            if (subject := flow.subject(partition)) not in done:
                yield Problem(kind, subject, one_line(_said(failure)), self.run.run_id, counts, streams)

    def _of_partitions(self, flow: NamedFlow, failed: Sequence[tuple[SyncReport, str]]) -> Iterator[Problem]:
        """Each school is a subject; of courses, all are one."""
        by_subject: dict[str, list[tuple[SyncReport, Kind]]] = defaultdict(list)
        for report, error in failed:
            if error != RateLimited.__name__:
                by_subject[flow.subject(report.partition)].append((report, _kind(error)))
        for subject, reports in by_subject.items():
            report, kind = min(reports, key=lambda pair: list(Kind).index(pair[1]))
            said = report.errors[-1] if report.errors else "incomplete"
            counts = {name: sum(getattr(r, name) for r, _ in reports) for name in _COUNTERS}
            if not isinstance(flow.partitions, Sites):
                said, counts = f"{report.partition}: {said}", {"partitions": len(reports)}
            streams = frozenset(report.stream for report, _ in reports)
            yield Problem(kind, subject, one_line(said), self.run.run_id, counts, streams)

    def _partitions(self, flow: NamedFlow) -> list[str]:
        """Those that the run was for, where it says so; none where it was for any."""
        tags = self.run.tags
        if _PARTITION in tags:
            return [tags[_PARTITION]] if isinstance(flow.partitions, Sites) else []
        if not isinstance(flow.partitions, Sites):
            return []
        keys = list(self.instance.get_dynamic_partitions(flow.partitions.name))
        if tags.get(_FIRST) in keys and tags.get(_LAST) in keys:
            return keys[keys.index(tags[_FIRST]) : keys.index(tags[_LAST]) + 1]
        queue_of, _, partition = tags.get(QUEUE_TAG, "").partition("/")
        return [partition] if partition and queue_of == flow.name else _configured(self.run.run_config)

    def _logs(self, of_type: dg.DagsterEventType) -> Sequence[dg.EventLogEntry]:
        return self.instance.all_logs(self.run.run_id, of_type=of_type)


def _configured(config: Mapping[str, Any]) -> list[str]:
    """The partitions that a run was asked for in its config, as the command line does."""
    ops = config.get("ops", {}).values()
    return list(dict.fromkeys(key for op in ops for key in (op.get("config") or {}).get("keys", [])))


def _kind(error: str | None) -> Kind:
    if error == GuardTripped.__name__:
        return Kind.GUARD
    return Kind.CREDENTIALS if error in _REFUSALS else Kind.FAILURE


def _together(one: Problem, other: Problem) -> Problem:
    """Of a subject, what two steps failed by: as the graver one says."""
    graver = min((one, other), key=lambda problem: list(Kind).index(problem.kind))
    return replace(graver, streams=one.streams | other.streams if one.streams and other.streams else frozenset())


def _said(failure: Any) -> str:
    """What a step said that failed; of a defect the kind alone, for its text may quote anything."""
    if failure is not None and failure.user_failure_data is not None:
        return failure.user_failure_data.description or "incomplete"
    error = failure.error if failure is not None else None
    while error is not None and error.cause is not None:
        error = error.cause
    return f"a defect of sync-pipelines ({error.cls_name if error else 'unknown'}): the run says more"
