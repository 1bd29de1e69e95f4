"""Runs flows through Dagster in this process: in the instance's history, with the result in the caller's hand."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.assets import asset_key
from sync_pipelines.defs.metadata import report_from_metadata
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.spec import Flow
from sync_pipelines.log import redact

__all__ = ["Launched", "launch", "prepare_instance"]

# Dagster's console logger repeats every event; they are all in the run's event log.
_QUIET_CONSOLE = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Launched:
    """A finished run: its id in Dagster's history, and a report for each flow.

    `not_run` names the streams that never began, because one they wait for did not succeed.
    """

    run_id: str
    success: bool
    reports: Sequence[SyncReport]
    not_run: frozenset[str]


def launch(job: dg.JobDefinition, flows: Sequence[Flow], runner: Runner) -> Launched:
    """Run a job on the instance of DAGSTER_HOME and gather what became of `flows`.

    Raises KeyboardInterrupt when it was interrupted; the history says so too.
    """
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance,
            resources={"runner": runner},
            run_config=_QUIET_CONSOLE,
            raise_on_error=False,
        )
    if any(_was_interrupted(event) for event in result.all_events):
        raise KeyboardInterrupt
    found = {flow.stream: _report_of(flow, result.all_events) for flow in flows}
    reports = [found[flow.stream] or _report_of_none(flow) for flow in flows]
    return Launched(
        run_id=result.run_id,
        success=result.success and all(report.complete for report in reports),
        reports=reports,
        not_run=frozenset(stream for stream, report in found.items() if report is None),
    )


def _report_of_none(flow: Flow) -> SyncReport:
    return SyncReport(flow.stream, errors=(f"not run: {', '.join(flow.after)} did not succeed",))


def _was_interrupted(event: dg.DagsterEvent) -> bool:
    """Dagster keeps Ctrl-C to itself and calls it a failed step."""
    error = event.step_failure_data.error if event.is_step_failure else None
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def _report_of(flow: Flow, events: Sequence[dg.DagsterEvent]) -> SyncReport | None:
    key = asset_key(flow.stream)
    step = key.to_python_identifier()
    for event in events:
        if event.is_step_materialization and event.asset_key == key:
            return report_from_metadata(flow.stream, event.step_materialization_data.materialization.metadata)
    for event in events:
        if event.is_step_failure and event.step_key == step:
            return _report_of_failure(flow, event)
    return None


def _report_of_failure(flow: Flow, event: dg.DagsterEvent) -> SyncReport:
    failure = event.step_failure_data
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
