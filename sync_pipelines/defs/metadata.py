"""A flow's report as run metadata, and back: every counter is a number that the UI can plot over time."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from inspect import unwrap
from pathlib import Path
from types import CodeType
from typing import Any

import dagster as dg
import sqlalchemy as sa

from sync_pipelines.core import Difference, SyncReport
from sync_pipelines.defs.run_report import run_report
from sync_pipelines.errors import GuardTripped, SyncError
from sync_pipelines.flows.spec import AnyFlow, Flow, LocalFlow, Part, Shown
from sync_pipelines.flows.syncing import PartitionDone
from sync_pipelines.postgres.spec import TableSpec

__all__ = [
    "code_references",
    "definition_metadata",
    "ended_by",
    "failed_partitions",
    "failure_metadata",
    "partition_failure_metadata",
    "report_from_metadata",
    "report_metadata",
    "shown_metadata",
    "stage_metadata",
    "was_guarded",
]

_FAILURE = "failure"
_FAILED, _NOT_REACHED = "failed_partitions", "partitions_not_reached"
_CHANGES, _REPORT = "changes", "report"
_SUMMARY, _TABLE = "summary", "table"
_NO_FACTS = {f.name for f in fields(SyncReport)} | {
    _FAILURE,
    _FAILED,
    _NOT_REACHED,
    _CHANGES,
    _REPORT,
    _SUMMARY,
    _TABLE,
}


def report_metadata(report: SyncReport) -> dict[str, dg.MetadataValue[Any]]:
    """The report that people read, the counters by their names, and what the table now holds.

    The stream and partition are the asset's own. Of what changed there are names, and no values.
    """
    values = report.to_dict()
    del values["stream"], values["partition"]
    errors, facts = values.pop("errors"), values.pop("facts", {})
    metadata: dict[str, dg.MetadataValue[Any]] = {_REPORT: dg.MetadataValue.md(run_report(report))}
    metadata.update({name: _value(value) for name, value in (*values.items(), *facts.items())})
    if report.rows is not None:
        rows = "dagster/row_count" if report.partition is None else "dagster/partition_row_count"
        metadata[rows] = dg.MetadataValue.int(report.rows)
    if report.differences:
        metadata[_CHANGES] = dg.MetadataValue.table([_changed(d) for d in report.differences])
    if errors:
        metadata["errors"] = dg.MetadataValue.json(errors)
    return metadata


def shown_metadata(shown: Shown) -> dict[str, dg.MetadataValue[Any]]:
    """What a local flow made, for people to look at."""
    summary: dict[str, dg.MetadataValue[Any]] = {_SUMMARY: dg.MetadataValue.md(shown.markdown)}
    rows = [dg.TableRecord({n: "–" if v is None else v for n, v in row.items()}) for row in shown.rows]
    return {**summary, **({_TABLE: dg.MetadataValue.table(rows)} if rows else {})}


def _changed(difference: Difference) -> dg.TableRecord:
    names = ", ".join(difference.fields)
    return dg.TableRecord({"key": difference.key.key, "change": difference.change, "fields": names})


def _value(value: Any) -> dg.MetadataValue[Any]:
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, list):
        return dg.MetadataValue.table([dg.TableRecord(row) for row in value]) if value else _value("none")
    return dg.MetadataValue.int(value) if isinstance(value, int) else dg.MetadataValue.text(value)


def report_from_metadata(
    stream: str, metadata: Mapping[str, dg.MetadataValue[Any]], partition: str | None = None
) -> SyncReport:
    """The inverse of `report_metadata`, but for what is only shown; other entries are ignored."""
    values = {name: _plain(entry) for name, entry in metadata.items()}
    facts = {name: value for name, value in values.items() if name not in _NO_FACTS and "/" not in name}
    return SyncReport.from_dict({**values, "stream": stream, "partition": partition, "facts": facts})


def _plain(entry: dg.MetadataValue[Any]) -> Any:
    return [dict(row.data) for row in entry.records] if isinstance(entry, dg.TableMetadataValue) else entry.value


def failure_metadata(error: SyncError, report: SyncReport | None) -> dict[str, dg.MetadataValue[Any]]:
    """The counters so far, where a run had begun, and the kind of error that ended it."""
    counters = report_metadata(report) if report is not None else {}
    return {**counters, _FAILURE: dg.MetadataValue.text(type(error).__name__)}


def partition_failure_metadata(
    bad: Sequence[PartitionDone], error: SyncError | None, not_reached: int
) -> dict[str, dg.MetadataValue[Any]]:
    """The report of each partition that failed; how many were not reached, and the error that ended it for all."""
    failed = [{**done.report.to_dict(), _FAILURE: type(done.error).__name__} for done in bad]
    metadata: dict[str, dg.MetadataValue[Any]] = {_FAILED: dg.MetadataValue.json(failed)}
    if error is None:
        return metadata
    return {**metadata, _NOT_REACHED: _value(not_reached), _FAILURE: _value(type(error).__name__)}


def failed_partitions(metadata: Mapping[str, dg.MetadataValue[Any]]) -> list[tuple[SyncReport, str]]:
    """The reports in `partition_failure_metadata`, each with the name of the error's class."""
    failed: Any = metadata[_FAILED].value if _FAILED in metadata else []
    return [(SyncReport.from_dict(report), report[_FAILURE]) for report in failed]


def ended_by(metadata: Mapping[str, dg.MetadataValue[Any]]) -> str | None:
    """The name of the class of the error that ended the run whose metadata this is; None where none did."""
    return str(metadata[_FAILURE].value) if _FAILURE in metadata else None


def was_guarded(metadata: Mapping[str, dg.MetadataValue[Any]]) -> bool:
    """Whether the mass-change guard ended the run whose `failure_metadata` this is."""
    return ended_by(metadata) == GuardTripped.__name__


def definition_metadata(table: TableSpec, view: str) -> dict[str, Any]:
    """What is known of an asset before any run: its table, its columns, the view that consumers read.

    Of a table that is only named, the columns are in the database alone.
    """
    known = {"dagster/table_name": table.kind, "read": view, "owned_by_sync": ", ".join(table.owned)}
    return {**known, **stage_metadata(table.table)} if isinstance(table.table, sa.Table) else known


def code_references(asset: AnyFlow | Part) -> dict[str, Any]:
    """Where in the code an asset is read or made, or of a part how it is mapped: a file and a line."""
    code = _code(asset)
    with warnings.catch_warnings():
        # Code references are in beta, says a warning for each.
        warnings.simplefilter("ignore", dg.BetaWarning)
        where = dg.LocalFileCodeReference(
            file_path=str(Path(code.co_filename).resolve()), line_number=code.co_firstlineno, label=asset.stream
        )
        found = dg.CodeReferencesMetadataValue(code_references=[where])
        return {"dagster/code_references": found}


def _code(asset: AnyFlow | Part) -> CodeType:
    if isinstance(asset, Part):
        made_by = asset.mapper.map if isinstance(asset.mapper, type) else asset.mapper
    elif isinstance(asset, LocalFlow):
        made_by = asset.work
    else:
        made_by = asset.open_source if isinstance(asset, Flow) else asset.open_reader
    return unwrap(made_by).__code__


def stage_metadata(table: sa.Table) -> dict[str, Any]:
    """The same of a table that is no consumer's to read."""
    return {
        "dagster/table_name": f"{table.schema}.{table.name}",
        "dagster/column_schema": _column_schema(table),
    }


def _column_schema(table: sa.Table) -> dg.TableSchema:
    keyed = (c for c in table.constraints if isinstance(c, (sa.PrimaryKeyConstraint, sa.UniqueConstraint)))
    keys = [{column.name for column in constraint.columns} for constraint in keyed]
    columns = [
        dg.TableColumn(
            name=column.name,
            type=str(column.type),
            description=column.comment or column.doc,
            constraints=dg.TableColumnConstraints(
                nullable=bool(column.nullable),
                unique={column.name} in keys,
            ),
        )
        for column in table.columns
    ]
    return dg.TableSchema(columns=columns)
