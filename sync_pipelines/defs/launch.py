"""Runs flows through Dagster in this process: in the instance's history, with the result in the caller's hand."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.assets import SyncConfig, asset_key
from sync_pipelines.defs.metadata import report_from_metadata, was_guarded
from sync_pipelines.flows.runner import Finished, Runner, not_run
from sync_pipelines.flows.spec import Flow
from sync_pipelines.log import redact

__all__ = ["launch", "prepare_instance"]

# Dagster's console logger repeats every event; they are all in the run's event log.
_QUIET_CONSOLE = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def launch(
    job: dg.JobDefinition, flows: Sequence[Flow], runner: Runner, config: SyncConfig | None = None
) -> Finished:
    """Run `flows`, which are a job's or some of them, on the instance of DAGSTER_HOME.

    Raises KeyboardInterrupt when it was interrupted; the history says so too.
    """
    keys = [asset_key(flow.stream) for flow in flows]
    asked = (config or SyncConfig()).model_dump(exclude_defaults=True)
    if set(keys) != job.asset_layer.executable_asset_keys:
        # Here and not as an argument of execute_in_process, which would find our runner to be another resource.
        job = job.get_subset(asset_selection=set(keys))
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance,
            resources={"runner": runner},
            run_config={**_QUIET_CONSOLE, "ops": {key.to_python_identifier(): {"config": asked} for key in keys}},
            raise_on_error=False,
        )
    if any(_was_interrupted(event) for event in result.all_events):
        raise KeyboardInterrupt
    found = {flow.stream: _report_of(flow, result.all_events) for flow in flows}
    reports = [found[flow.stream] or not_run(flow) for flow in flows]
    return Finished(
        reports,
        success=result.success and all(report.complete for report in reports),
        run_id=result.run_id,
        not_run=frozenset(stream for stream, report in found.items() if report is None),
        guarded=frozenset(flow.stream for flow in flows if _was_guarded(flow, result.all_events)),
    )


def _was_interrupted(event: dg.DagsterEvent) -> bool:
    """Dagster keeps Ctrl-C to itself and calls it a failed step."""
    error = event.step_failure_data.error if event.is_step_failure else None
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def _was_guarded(flow: Flow, events: Sequence[dg.DagsterEvent]) -> bool:
    failure = _failure_of(flow, events)
    return bool(failure and failure.user_failure_data and was_guarded(failure.user_failure_data.metadata or {}))


def _failure_of(flow: Flow, events: Sequence[dg.DagsterEvent]) -> StepFailureData | None:
    step = asset_key(flow.stream).to_python_identifier()
    return next((e.step_failure_data for e in events if e.is_step_failure and e.step_key == step), None)


def _report_of(flow: Flow, events: Sequence[dg.DagsterEvent]) -> SyncReport | None:
    key = asset_key(flow.stream)
    for event in events:
        if event.is_step_materialization and event.asset_key == key:
            return report_from_metadata(flow.stream, event.step_materialization_data.materialization.metadata)
    failure = _failure_of(flow, events)
    return _report_of_failure(flow, failure) if failure else None


def _report_of_failure(flow: Flow, failure: StepFailureData) -> SyncReport:
    if failure.user_failure_data is not None:
        report = report_from_metadata(flow.stream, failure.user_failure_data.metadata or {})
        said = failure.user_failure_data.description or ""
        return report if report.errors else SyncReport(flow.stream, errors=(said,))
    first_line = failure.error.message.strip().splitlines()[0] if failure.error else "unknown"
    return SyncReport(flow.stream, errors=(f"a defect of sync-pipelines: {redact(first_line)}",))


def prepare_instance() -> None:
    """Open DAGSTER_HOME's instance once, which makes its tables: several processes at once would race to."""
    with dg.DagsterInstance.get():
        pass
