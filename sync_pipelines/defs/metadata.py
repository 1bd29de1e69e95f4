"""A flow's report as run metadata, and back: every counter is a number that the UI can plot over time."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from sync_pipelines.core import SyncReport
from sync_pipelines.postgres.spec import TableSpec

__all__ = ["definition_metadata", "report_from_metadata", "report_metadata"]


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


def definition_metadata(table: TableSpec, view: str) -> dict[str, Any]:
    """What is known of an asset before any run: its table, its columns, the view that consumers read."""
    columns = [
        dg.TableColumn(
            name=column.name,
            type=str(column.type),
            description=column.comment,
            constraints=dg.TableColumnConstraints(
                nullable=bool(column.nullable),
                unique=column.primary_key or table.natural_key == (column.name,),
            ),
        )
        for column in table.table.columns
    ]
    return {
        "dagster/table_name": table.kind,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "read": view,
        "owned_by_sync": ", ".join(table.owned),
    }
