"""A flow's report as run metadata, and back: every counter is a number that the UI can plot over time."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import sqlalchemy as sa

from sync_pipelines.core import SyncReport
from sync_pipelines.errors import GuardTripped, SyncError
from sync_pipelines.postgres.spec import TableSpec

__all__ = ["definition_metadata", "failure_metadata", "report_from_metadata", "report_metadata", "was_guarded"]

_FAILURE = "failure"


def report_metadata(report: SyncReport) -> dict[str, dg.MetadataValue[Any]]:
    """The counters by their names; the stream and partition are the asset's own."""
    values = report.to_dict()
    del values["stream"], values["partition"]
    errors = values.pop("errors")
    metadata: dict[str, dg.MetadataValue[Any]] = {
        name: dg.MetadataValue.bool(value) if isinstance(value, bool) else dg.MetadataValue.int(value)
        for name, value in values.items()
    }
    return {**metadata, "errors": dg.MetadataValue.json(errors)} if errors else metadata


def report_from_metadata(stream: str, metadata: Mapping[str, dg.MetadataValue[Any]]) -> SyncReport:
    """The inverse of `report_metadata`; other entries are ignored."""
    return SyncReport.from_dict({**{name: entry.value for name, entry in metadata.items()}, "stream": stream})


def failure_metadata(error: SyncError, report: SyncReport | None) -> dict[str, dg.MetadataValue[Any]]:
    """The counters so far, where a run had begun, and the kind of error that ended it."""
    counters = report_metadata(report) if report is not None else {}
    return {**counters, _FAILURE: dg.MetadataValue.text(type(error).__name__)}


def was_guarded(metadata: Mapping[str, dg.MetadataValue[Any]]) -> bool:
    """Whether the mass-change guard ended the run whose `failure_metadata` this is."""
    return _FAILURE in metadata and metadata[_FAILURE].value == GuardTripped.__name__


def definition_metadata(table: TableSpec, view: str) -> dict[str, Any]:
    """What is known of an asset before any run: its table, its columns, the view that consumers read.

    Of a table that is only named, the columns are in the database alone.
    """
    known = {"dagster/table_name": table.kind, "read": view, "owned_by_sync": ", ".join(table.owned)}
    if isinstance(table.table, sa.Table):
        return {**known, "dagster/column_schema": _column_schema(table, table.table)}
    return known


def _column_schema(spec: TableSpec, table: sa.Table) -> dg.TableSchema:
    columns = [
        dg.TableColumn(
            name=column.name,
            type=str(column.type),
            description=column.comment,
            constraints=dg.TableColumnConstraints(
                nullable=bool(column.nullable),
                unique=column.primary_key or spec.natural_key == (column.name,),
            ),
        )
        for column in table.columns
    ]
    return dg.TableSchema(columns=columns)
