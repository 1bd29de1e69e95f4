"""Incidents as rows and back: what a table, or a file, holds of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sync_pipelines.alerts.incidents import Incident
from sync_pipelines.alerts.problems import Kind

__all__ = ["incident_of", "row_of"]


def row_of(incident: Incident, now: datetime) -> dict[str, Any]:
    """The columns of sync.incidents."""
    return {
        "id": incident.id,
        "kind": incident.kind.value,
        "subject": incident.subject,
        "started_at": incident.started_at,
        "ended_at": incident.ended_at,
        "told_at": incident.told_at,
        "closed_at": now if incident.closed else None,
        "told_to": sorted(incident.told_to),
        "details": {
            "held_by": sorted(incident.held_by),
            "said": incident.said,
            "run_id": incident.run_id,
            "runs": incident.runs,
            "seen": list(incident.seen),
            "counts": dict(incident.counts),
            "streams": sorted(incident.streams),
            "left": incident.left,
        },
    }


def incident_of(row: Mapping[str, Any]) -> Incident:
    """The inverse of `row_of`."""
    details = row["details"]
    return Incident(
        Kind(row["kind"]),
        row["subject"],
        row["started_at"],
        frozenset(details["held_by"]),
        ended_at=row["ended_at"],
        told_at=row["told_at"],
        told_to=frozenset(row["told_to"]),
        closed=row["closed_at"] is not None,
        said=details["said"],
        run_id=details["run_id"],
        runs=details["runs"],
        seen=tuple(details["seen"]),
        counts=details["counts"],
        streams=frozenset(details["streams"]),
        left=details["left"],
        id=row["id"],
    )
