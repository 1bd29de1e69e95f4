"""Runs that are made up, on a real instance: of any age, length and outcome, with what they materialized."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.events import StepMaterializationData

__all__ = ["made_run"]

_ENDS = {
    dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterRunStatus.CANCELED: dg.DagsterEventType.RUN_CANCELED,
}


def made_run(
    instance: dg.DagsterInstance,
    began_at: datetime,
    *,
    seconds: float = 10.0,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
    tags: Mapping[str, str] | None = None,
    assets: Iterable[str] = (),
    made: Iterable[tuple[str, str | None, Mapping[str, Any]]] = (),
) -> str:
    """A run that began then and ended so; STARTED has not ended. `made` are stream, partition and metadata."""
    run = dg.DagsterRun(
        job_name="made_up",
        run_id=str(uuid.uuid4()),
        tags=dict(tags or {}),
        asset_selection=frozenset(dg.AssetKey(stream.split("/")) for stream in assets) or None,
    )
    instance.run_storage.add_historical_run(run, began_at)
    ended_at = began_at + timedelta(seconds=seconds)

    def happened(at: datetime, event: dg.DagsterEvent) -> None:
        instance.handle_new_event(
            dg.EventLogEntry(
                error_info=None,
                level=20,
                user_message="",
                run_id=run.run_id,
                timestamp=at.timestamp(),
                job_name=run.job_name,
                step_key=event.step_key,
                dagster_event=event,
            )
        )

    happened(began_at, dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name))
    for stream, partition, metadata in made:
        materialization = dg.AssetMaterialization(stream.split("/"), partition=partition, metadata=dict(metadata))
        data = StepMaterializationData(materialization)
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION.value
        happened(ended_at, dg.DagsterEvent(kind, run.job_name, step_key="step", event_specific_data=data))
    if status in _ENDS:
        happened(ended_at, dg.DagsterEvent(_ENDS[status].value, run.job_name))
    return run.run_id
