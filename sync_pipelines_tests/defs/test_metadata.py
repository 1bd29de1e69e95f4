import dagster as dg

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.metadata import (
    definition_metadata,
    failure_metadata,
    report_from_metadata,
    report_metadata,
    was_guarded,
)
from sync_pipelines.errors import GuardTripped, StateError
from sync_pipelines.flows.webtolearn import COURSES
from sync_pipelines.postgres.spec import TableSpec

REPORT = SyncReport(
    "wtl/courses", fetched=3, skipped=3, deleted=1, restored=1, errors=("said",), facts={"left": 3, "found": "it"}
)


def test_a_report_survives_being_metadata() -> None:
    assert report_from_metadata("wtl/courses", report_metadata(REPORT)) == REPORT
    assert report_from_metadata("wtl/courses", failure_metadata(GuardTripped(""), REPORT)) == REPORT


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
