"""The number of rows that Dagster shows is the number that consumers read."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from sync_pipelines.definitions import defs
from sync_pipelines.defs.config import PartitionsConfig
from sync_pipelines.defs.launch import launch, launch_partitions
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.webtolearn import COURSE_USERS
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

Query = Callable[..., list[Any]]


def shown(asset: str, partition: str | None = None) -> Any:
    """The number in the last event of an asset, or of one of its partitions; None where it has none."""
    key = dg.AssetKey(asset.split("/"))
    with dg.DagsterInstance.get() as instance:
        (record, *_) = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None), limit=1
        ).records
    assert record.asset_materialization is not None
    name = "dagster/partition_row_count" if partition else "dagster/row_count"
    entry = record.asset_materialization.metadata.get(name)
    return entry and entry.value


@pytest.fixture
def platform() -> Platform:
    return Platform.invented(courses=3, lessons=20, users=30)


@pytest.fixture
def runner(
    platform: Platform, instance_home: object, serve: Callable[[Any], str], sync_settings: Callable[..., Settings]
) -> Runner:
    return Runner(sync_settings(serve(platform)))


def test_of_a_whole_list_it_is_what_its_view_holds(platform: Platform, runner: Runner, query: Query) -> None:
    for _ in ("first", "less", "unchanged"):
        launch(defs.resolve_job_def("wtl_sync"), FLOWS, runner)
        for asset, view in (("courses", "courses"), ("lesson_catalog", "lessons"), ("users", "users")):
            assert [shown(f"wtl/{asset}")] == query(f"SELECT count(*) FROM wtl.{view}_current")
        del platform.users[25:], platform.lessons[19:]


def test_of_a_course_it_is_what_the_view_holds_of_it(platform: Platform, runner: Runner, query: Query) -> None:
    launch(defs.resolve_job_def("wtl_sync"), FLOWS, runner)
    launch_partitions(defs.resolve_job_def("wtl_courses_sync"), [COURSE_USERS], runner, PartitionsConfig())
    for course in platform.courses:
        of_it = "SELECT count(*) FROM wtl.course_users_current WHERE wtl_course_id = :id"
        assert [shown("wtl/course_users", course["id"])] == query(of_it, id=course["id"])


def test_of_a_school_it_is_what_the_view_holds_of_it(
    set_up_schools: Callable[..., dict[str, str]],
    instance_home: object,
    monkeypatch: pytest.MonkeyPatch,
    query: Query,
) -> None:
    schools = [School.invented(f"skola-{n}", classes=2, students=9 + n, teachers=3) for n in range(2)]
    for name, value in set_up_schools(*schools).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        assert defs.resolve_job_def("bakalari_sync").execute_in_process(instance=instance).success
    for school in schools:
        for asset in ("classes", "subjects", "users", "enrollments"):
            of_it = f"SELECT count(*) FROM bakalari.{asset}_current WHERE school_id = :id"
            assert [shown(f"bakalari/{asset}", school.id)] == query(of_it, id=school.id)
        # That it was read proves nothing of other schools: nothing is counted.
        assert shown("bakalari/schools", school.id) is None
