"""Runs flows through Dagster in this process: in the instance's history, with the result in the caller's hand."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.config import PartitionsConfig, SyncConfig, asset_key
from sync_pipelines.defs.gates import gates
from sync_pipelines.defs.metadata import ended_by, failed_partitions, report_from_metadata, was_guarded
from sync_pipelines.errors import GuardTripped
from sync_pipelines.flows.naming import step_of
from sync_pipelines.flows.runner import Finished, Runner, not_run
from sync_pipelines.flows.spec import AnyFlow, PartitionedFlow, WholeFlow
from sync_pipelines.log import redact

__all__ = ["launch", "launch_partitions", "prepare_instance"]

# Dagster's console logger repeats every event; they are all in the run's event log.
_QUIET_CONSOLE = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def launch(
    job: dg.JobDefinition, flows: Sequence[WholeFlow], runner: Runner, config: SyncConfig | None = None
) -> Finished:
    """Run `flows`, which are a job's or some of them, on the instance of DAGSTER_HOME.

    Raises KeyboardInterrupt when it was interrupted; the history says so too.
    """
    result = _execute(job, flows, runner, config or SyncConfig())
    found = {flow.stream: _report_of(flow, result.all_events) for flow in flows}
    reports = [found[flow.stream] or not_run(flow) for flow in flows]
    return Finished(
        reports,
        success=result.success and all(report.complete for report in reports),
        run_id=result.run_id,
        not_run=frozenset(stream for stream, report in found.items() if report is None),
        guarded=frozenset(flow.stream for flow in flows if _was_guarded(flow, result.all_events)),
    )


def launch_partitions(
    job: dg.JobDefinition, flows: Sequence[PartitionedFlow], runner: Runner, config: PartitionsConfig
) -> Finished:
    """Run any partitions of `flows`, which are a job's or some of them, as one run: a report for each partition.

    Where something ended a flow for all that were left, its stream has one more report, of no partition.
    Raises KeyboardInterrupt when it was interrupted.
    """
    result = _execute(job, flows, runner, config)
    with dg.DagsterInstance.get() as instance:
        # The result of a step that failed lacks what the step said before.
        logs = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    made = [entry.asset_materialization for entry in logs if entry.asset_materialization]
    reports: list[SyncReport] = []
    guarded: set[str] = set()
    for flow in flows:
        mine = {asset_key(stream): stream for stream in flow.streams}
        reports += [
            report_from_metadata(mine[m.asset_key], m.metadata, m.partition) for m in made if m.asset_key in mine
        ]
        failure = _failure_of(flow.stream, result.all_events)
        unfinished = _unfinished(flow.stream, result.all_events)
        if failure or unfinished:
            data = failure.user_failure_data if failure else unfinished
            metadata = (data.metadata if data else None) or {}
            for report, error in failed_partitions(metadata):
                reports.append(report)
                guarded.update([report.stream] if error == GuardTripped.__name__ else ())
            if failure and (not metadata or ended_by(metadata)):
                reports.append(_report_of_failure(flow.stream, failure))
            elif unfinished and ended_by(metadata):
                reports.append(report_from_metadata(flow.stream, metadata))
    success = result.success and all(report.complete for report in reports)
    return Finished(reports, success, result.run_id, guarded=frozenset(guarded))


def _execute(
    job: dg.JobDefinition, flows: Sequence[AnyFlow], runner: Runner, config: SyncConfig
) -> dg.ExecuteInProcessResult:
    keys = {asset_key(stream) for flow in flows for stream in _streams(flow)}
    asked = {"config": config.model_dump(exclude_defaults=True)}
    if keys != job.asset_layer.executable_asset_keys:
        # Here and not as an argument of execute_in_process, which would find our runner to be another resource.
        own = {spec.key for flow in flows for spec in gates(flow)}
        job = job.get_subset(asset_selection=keys, asset_check_selection=own)
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance,
            resources={"runner": runner},
            run_config={**_QUIET_CONSOLE, "ops": {step_of(flow.stream): asked for flow in flows}},
            raise_on_error=False,
        )
    if any(_was_interrupted(event) for event in result.all_events):
        raise KeyboardInterrupt
    return result


def _streams(flow: AnyFlow) -> tuple[str, ...]:
    return flow.streams if isinstance(flow, PartitionedFlow) else (flow.stream,)


def _was_interrupted(event: dg.DagsterEvent) -> bool:
    """Dagster keeps Ctrl-C to itself and calls it a failed step."""
    error = event.step_failure_data.error if event.is_step_failure else None
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def _was_guarded(flow: WholeFlow, events: Sequence[dg.DagsterEvent]) -> bool:
    failure = _failure_of(flow.stream, events)
    return bool(failure and failure.user_failure_data and was_guarded(failure.user_failure_data.metadata or {}))


def _failure_of(stream: str, events: Sequence[dg.DagsterEvent]) -> StepFailureData | None:
    step = step_of(stream)
    return next((e.step_failure_data for e in events if e.is_step_failure and e.step_key == step), None)


def _report_of(flow: WholeFlow, events: Sequence[dg.DagsterEvent]) -> SyncReport | None:
    key = asset_key(flow.stream)
    for event in events:
        if event.is_step_materialization and event.asset_key == key:
            return report_from_metadata(flow.stream, event.step_materialization_data.materialization.metadata)
    if unfinished := _unfinished(flow.stream, events):
        return report_from_metadata(flow.stream, unfinished.metadata)
    failure = _failure_of(flow.stream, events)
    return _report_of_failure(flow.stream, failure) if failure else None


def _unfinished(stream: str, events: Sequence[dg.DagsterEvent]) -> dg.AssetObservation | None:
    """What a step said that ended before its time, and is no failure."""
    observed = (e.asset_observation_data.asset_observation for e in events if e.is_asset_observation)
    return next((said for said in observed if said.asset_key == asset_key(stream)), None)


def _report_of_failure(stream: str, failure: StepFailureData) -> SyncReport:
    if failure.user_failure_data is not None:
        report = report_from_metadata(stream, failure.user_failure_data.metadata or {})
        said = failure.user_failure_data.description or ""
        return report if report.errors else SyncReport(stream, errors=(said,))
    first_line = failure.error.message.strip().splitlines()[0] if failure.error else "unknown"
    return SyncReport(stream, errors=(f"a defect of sync-pipelines: {redact(first_line)}",))


def prepare_instance() -> None:
    """Open DAGSTER_HOME's instance once, which makes its tables: several processes at once would race to."""
    with dg.DagsterInstance.get():
        pass
