"""The sensor that makes runs of webhooks' calls: those of a minute become one.

A batch of calls is settled when its run is in the instance; until then it is asked for again, under the same key.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import dagster as dg

from sync_pipelines.defs.jobs import JOBS, PARTITION_JOBS
from sync_pipelines.defs.schedules import LIVE
from sync_pipelines.errors import SchemaError, SettingsError
from sync_pipelines.flows.database import open_database, require_schema
from sync_pipelines.flows.naming import FLOWS_BY_NAME, NamedFlow, name_of, step_of
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.registry import PARTITIONED_FLOWS, UPSTREAMS
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.webhooks import Batch, gather_calls, open_batches, settle_batch, upstreams_that_wait
from sync_pipelines.settings import Settings

__all__ = ["BATCH_TAG", "WEBHOOKS_SENSOR"]

#: The tag of a run that says which calls it is for.
BATCH_TAG = "sync/webhook"
# Long enough for an upstream to say all that one change of a person's changed.
_QUIET, _LONGEST = timedelta(seconds=20), timedelta(seconds=60)
_NOT_BEGUN = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
# Whoever names more means everything.
_MOST_KEYS = 1000
#: By upstream: what is read by the keys that calls name.
_DIVIDED: Mapping[str, NamedFlow] = {
    flow.upstream.name: FLOWS_BY_NAME[name_of(flow)] for flow in PARTITIONED_FLOWS
}


@dg.sensor(
    name="webhook_syncs",
    jobs=list({job.name: job for job in (*map(JOBS.__getitem__, _DIVIDED), *PARTITION_JOBS.values())}.values()),
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        f"Runs what calls of webhooks name, once none has come for {_QUIET.seconds} s, or after "
        f"{_LONGEST.seconds} s: all of an upstream's calls as one run. The calls are in sync.webhook_calls."
    ),
)
def webhook_syncs(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    requests: list[dg.RunRequest] = []
    skipped: list[str] = []
    try:
        settings = Settings.load()
        database = open_database(settings, "webhooks")
        require_schema(database)
    except (SettingsError, SchemaError) as error:
        return dg.SkipReason(str(error))
    with database.session() as session:
        for upstream in upstreams_that_wait(session):
            try:
                UPSTREAMS[upstream].require_settings(settings)
            except SettingsError as error:
                skipped.append(str(error))
            else:
                requests += _of_upstream(context.instance, session, upstream, settings)
    if requests:
        return dg.SensorResult(run_requests=requests)
    return dg.SkipReason("; ".join(skipped) or "no call waits for a run, or not for long enough")


WEBHOOKS_SENSOR = webhook_syncs


def _of_upstream(
    instance: dg.DagsterInstance, session: Session, upstream: str, settings: Settings
) -> Iterator[dg.RunRequest]:
    """The runs to ask for. While one has not begun, calls wait: all that come until then are the next one's."""
    if not _waits_for_its_turn(instance, upstream):
        gather_calls(session, upstream, quiet=_QUIET, longest=_LONGEST)
    for batch in open_batches(session, upstream):
        runs = instance.get_runs(dg.RunsFilter(tags={BATCH_TAG: batch.id}))
        step = _next_step(upstream, batch, runs, settings)
        if isinstance(step, dg.RunRequest):
            yield step
        elif step is not None:
            settle_batch(session, batch.id, step.run_id)


def _waits_for_its_turn(instance: dg.DagsterInstance, upstream: str) -> bool:
    jobs = {flow.job for flow in FLOWS_BY_NAME.values() if flow.upstream.name == upstream}
    runs = (run for job in jobs for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=_NOT_BEGUN)))
    return any(BATCH_TAG in run.tags for run in runs)


def _next_step(
    upstream: str, batch: Batch, runs: Sequence[dg.DagsterRun], settings: Settings
) -> dg.RunRequest | dg.DagsterRun | None:
    """The run to ask for; or the last that is needed, which is there; None where one goes on that comes before.

    Where an upstream has lists, its new keys are in those: they come first, where one is named that is not known.
    """
    divided, lists = _DIVIDED[upstream], FLOWS_BY_NAME[upstream]
    by_job = {run.job_name: run for run in runs}
    if divided is lists:
        return by_job.get(lists.job) or _request(lists, batch, () if batch.everything else batch.keys)
    if done := by_job.get(divided.job):
        return done
    known = _known(divided, settings)
    named = [key for key in batch.keys if key in known]
    listed = by_job.get(lists.job)
    if listed is None:
        if batch.everything or len(named) < len(batch.keys):
            return _request(lists, batch, ())
    elif not named:
        return listed
    elif listed.status in LIVE:
        return None
    return _request(divided, batch, named)


def _known(divided: NamedFlow, settings: Settings) -> set[str]:
    """The keys that are there upstream, as far as is known here."""
    flow = next(flow for flow in PARTITIONED_FLOWS if name_of(flow) == divided.name)
    return {*PartitionRunner(settings).stalest_first(flow)}


def _request(flow: NamedFlow, batch: Batch, keys: Sequence[str]) -> dg.RunRequest:
    named = list(keys) if len(keys) <= _MOST_KEYS else []
    steps = [step_of(one.stream) for one in PARTITIONED_FLOWS if name_of(one) == flow.name and named]
    return dg.RunRequest(
        run_key=f"{batch.id}/{flow.name}",
        job_name=flow.job,
        run_config={"ops": {step: {"config": {"keys": named}} for step in steps}},
        tags={BATCH_TAG: batch.id, **flow.queue(named)},
    )
