from dataclasses import replace
from pathlib import Path

import dagster as dg

from sync_pipelines.core import Difference, ExternalKey, SyncReport
from sync_pipelines.defs.metadata import (
    code_references,
    definition_metadata,
    failure_metadata,
    report_from_metadata,
    report_metadata,
    stage_metadata,
    was_guarded,
)
from sync_pipelines.errors import GuardTripped, StateError
from sync_pipelines.flows.registry import FLOWS, PARTITIONED_FLOWS
from sync_pipelines.flows.webtolearn import COURSES
from sync_pipelines.postgres.spec import TableSpec

REPORT = SyncReport(
    "wtl/courses", fetched=3, skipped=3, deleted=1, restored=1, errors=("said",), facts={"left": 3, "found": "it"}
)


def test_a_report_survives_being_metadata() -> None:
    assert report_from_metadata("wtl/courses", report_metadata(REPORT)) == REPORT
    assert report_from_metadata("wtl/courses", failure_metadata(GuardTripped(""), REPORT)) == REPORT


def test_what_is_only_shown_is_left_out_of_a_report_that_is_read_back() -> None:
    changed = (Difference.masked(ExternalKey("wtl:course", "7"), "updated", ["title", "status"]),)
    shown = report_metadata(replace(REPORT, rows=12, differences=changed))
    assert report_from_metadata("wtl/courses", shown) == REPORT


def test_history_from_before_there_was_a_report_in_it_is_read() -> None:
    old = {name: value for name, value in report_metadata(REPORT).items() if name != "report"}
    assert report_from_metadata("wtl/courses", old) == REPORT


def test_the_number_of_rows_is_where_dagster_looks_for_it() -> None:
    assert report_metadata(replace(REPORT, rows=12))["dagster/row_count"] == dg.MetadataValue.int(12)
    of_one = report_metadata(replace(REPORT, partition="7", rows=0))
    assert of_one["dagster/partition_row_count"] == dg.MetadataValue.int(0)
    assert "dagster/row_count" not in of_one
    assert not any(name.endswith("row_count") for name in report_metadata(REPORT))


def test_what_changed_is_a_table_of_keys_and_names_of_fields() -> None:
    planned = (
        Difference(ExternalKey("wtl:user", "7"), "updated", {"email": ("old@x.example", "new@x.example")}),
        Difference(ExternalKey("wtl:user", "8"), "vanished", {}),
    )
    metadata = report_metadata(replace(REPORT, differences=planned))
    table = metadata["changes"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [dict(row.data) for row in table.records] == [
        {"key": "7", "change": "updated", "fields": "email"},
        {"key": "8", "change": "vanished", "fields": ""},
    ]
    assert "x.example" not in str(metadata)


def test_each_asset_leads_to_the_code_that_reads_or_maps_it() -> None:
    for asset in (*FLOWS, *PARTITIONED_FLOWS, *(part for flow in PARTITIONED_FLOWS for part in flow.parts)):
        (where,) = code_references(asset)["dagster/code_references"].code_references
        path = Path(where.file_path)
        assert path.is_file()
        assert "flows" in path.parts
        line = path.read_text().splitlines()[where.line_number - 1]
        assert line.lstrip().startswith(("@", "def ", "mapper="))


def test_every_column_that_an_asset_shows_is_described() -> None:
    shown = [definition_metadata(flow.table, flow.view) for flow in FLOWS]
    for flow in PARTITIONED_FLOWS:
        shown += [definition_metadata(part.table, part.view) for part in flow.parts]
        shown += [stage_metadata(flow.stage.table)] if flow.stage else []
    columns = [
        (s["dagster/table_name"], c.name, c.description) for s in shown for c in s["dagster/column_schema"].columns
    ]
    assert [(table, name) for table, name, said in columns if not said] == []


def test_the_guard_is_told_from_other_errors() -> None:
    assert was_guarded(failure_metadata(GuardTripped(""), None))
    assert not was_guarded(failure_metadata(StateError(""), REPORT))
    assert not was_guarded(report_metadata(REPORT))


def test_a_table_that_is_only_named_shows_what_is_known_before_connecting() -> None:
    table = TableSpec("public.rooms", natural_key=("room_id",), owned=("name", "floor"))
    assert definition_metadata(table, "public.rooms") == {
        "dagster/table_name": "public.rooms",
        "read": "public.rooms",
        "owned_by_sync": "name, floor",
    }


def test_a_table_of_ours_shows_its_columns() -> None:
    schema = definition_metadata(COURSES.table, COURSES.view)["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    unique = {column.name for column in schema.columns if column.constraints.unique}
    assert unique == {"id", "wtl_course_id"}
