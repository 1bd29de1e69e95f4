from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.core import SyncReport
from sync_pipelines.errors import SchemaError, SettingsError
from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, UPSTREAMS, flows_of, placed
from sync_pipelines.flows.webtolearn import COURSES, LESSON_CATALOG, USERS
from sync_pipelines.postgres.tables import metadata
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

Sync = Callable[..., list[SyncReport]]
Query = Callable[..., list[Any]]

TRAININGS = """
["wtl/courses"]
table = "public.trainings"
natural_key = ["wtl_course_id"]
owned = ["title"]
adopt = true
id = "training_ref"
vanished_at = "gone_since"
synced_at = ""
written_at = ""
columns.wtl_course_id = "elms_number"
columns.title = "name"
"""
PEOPLE = """
["wtl/users"]
table = "hr.people"
natural_key = ["wtl_user_id"]
owned = ["email"]
vanished_at = ""
synced_at = ""
written_at = ""
"""


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Writes SYNC_TABLES_FILE."""

    def write(text: str) -> Path:
        path = tmp_path / "tables.toml"
        path.write_text(text)
        monkeypatch.setenv("SYNC_TABLES_FILE", str(path))
        return path

    return write


def test_streams_are_unique_and_named_by_their_upstream() -> None:
    streams = [flow.stream for flow in FLOWS]
    assert len(set(streams)) == len({flow.system for flow in FLOWS}) == len(streams)
    assert all(flow.stream.startswith(f"{flow.upstream.name}/") for flow in FLOWS)


def test_a_flow_comes_after_what_it_refers_to() -> None:
    seen: set[str] = set()
    for flow in FLOWS:
        assert set(flow.after) <= seen
        seen.add(flow.stream)


def test_a_flow_projects_into_its_own_table() -> None:
    for flow in FLOWS:
        assert flow.table.kind in metadata.tables
        assert flow.view.startswith(flow.table.kind)


def test_no_flow_writes_the_local_mapping() -> None:
    assert "wtl.course_lessons" not in {flow.table.kind for flow in FLOWS}


def test_all_is_every_upstreams() -> None:
    assert flows_of("all") == (*FLOWS, *LOCAL_FLOWS)
    assert sum((flows_of(name) for name in UPSTREAMS), ()) == flows_of("all")
    assert flows_of("nothing") == ()


# --- tables of other applications -------------------------------------------------------------------------------


def test_a_flow_fills_another_applications_table_by_configuration_alone(
    sync: Sync, query: Query, declare: Callable[[str], Path]
) -> None:
    query(
        "CREATE TABLE trainings (training_ref text PRIMARY KEY DEFAULT gen_random_uuid()::text, "
        "elms_number varchar(20) NOT NULL UNIQUE, name text NOT NULL, teacher text, gone_since timestamptz)"
    )
    platform = Platform(courses=[{"id": str(i), "name": f"Kurs {i}"} for i in range(1, 6)])
    theirs = query(
        "INSERT INTO trainings (elms_number, name, teacher) VALUES ('2', 'Old name', 'T2') RETURNING training_ref"
    )
    query("INSERT INTO trainings (elms_number, name) VALUES ('local-1', 'Ours')")
    declare(TRAININGS)
    rows = "SELECT elms_number, name, gone_since IS NOT NULL, teacher FROM trainings ORDER BY 1"

    (report,) = sync(platform, COURSES)
    assert (report.created, report.updated, report.failed, report.complete) == (4, 1, 0, True)
    assert query("SELECT training_ref FROM trainings WHERE elms_number = '2'") == theirs
    before = query("SELECT *, xmin::text FROM trainings ORDER BY 2")

    (report,) = sync(platform, COURSES)
    assert (report.skipped, report.created, report.updated, report.complete) == (5, 0, 0, True)
    assert query("SELECT *, xmin::text FROM trainings ORDER BY 2") == before

    query("UPDATE trainings SET teacher = 'T3' WHERE elms_number = '3'")
    platform.courses[2]["name"] = "Fizyka"
    del platform.courses[4]
    (report,) = sync(platform, COURSES)
    assert (report.updated, report.skipped, report.deleted, report.complete) == (1, 3, 1, True)
    assert query(rows) == [
        ("1", "Kurs 1", False, None),
        ("2", "Kurs 2", False, "T2"),
        ("3", "Fizyka", False, "T3"),
        ("4", "Kurs 4", False, None),
        ("5", "Kurs 5", True, None),
        ("local-1", "Ours", False, None),
    ]
    platform.courses.append({"id": "5", "name": "Kurs 5"})
    (report,) = sync(platform, COURSES)
    assert (report.restored, report.complete) == (1, True)
    assert query("SELECT count(*) FROM trainings WHERE gone_since IS NOT NULL") == [0]
    assert query("SELECT count(*) FROM wtl.courses") == [0]


def test_a_table_with_no_column_for_it_loses_nothing_when_a_record_vanishes(
    sync: Sync, query: Query, declare: Callable[[str], Path]
) -> None:
    query("CREATE SCHEMA hr")
    query("CREATE TABLE hr.people (id uuid PRIMARY KEY, wtl_user_id text NOT NULL UNIQUE, email text)")
    declare(PEOPLE)
    platform = Platform.invented(users=3)
    sync(platform, USERS)
    before = query("SELECT *, xmin::text FROM hr.people ORDER BY 1")
    gone = platform.users.pop()
    assert [r.deleted for r in sync(platform, USERS)] == [1]
    platform.users.append(gone)
    assert [r.restored for r in sync(platform, USERS)] == [1]
    assert query("SELECT *, xmin::text FROM hr.people ORDER BY 1") == before


def test_a_declaration_that_changed_is_followed_by_records_that_did_not(
    sync: Sync, query: Query, declare: Callable[[str], Path]
) -> None:
    query("CREATE SCHEMA hr")
    query("CREATE TABLE hr.people (id uuid PRIMARY KEY, wtl_user_id text NOT NULL UNIQUE, email text, mail text)")
    declare(PEOPLE)
    platform = Platform.invented(users=3)
    sync(platform, USERS)
    declare(PEOPLE + 'columns.email = "mail"\n')
    assert [report.updated for report in sync(platform, USERS)] == [3]
    assert query("SELECT count(*) FROM hr.people WHERE mail = email") == [3]


def test_fields_that_the_table_does_not_declare_are_left_out(
    sync: Sync, query: Query, declare: Callable[[str], Path]
) -> None:
    query("CREATE TABLE topics (id uuid PRIMARY KEY, wtl_lesson_id text NOT NULL UNIQUE, title text)")
    declare(
        '["wtl/lesson_catalog"]\ntable = "public.topics"\nnatural_key = ["wtl_lesson_id"]\nowned = ["title"]\n'
        'vanished_at = ""\nsynced_at = ""\nwritten_at = ""\n'
    )
    (report,) = sync(Platform(lessons=[{"id": "1", "name": "A", "position": 4}]), LESSON_CATALOG)
    assert (report.created, report.failed) == (1, 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TRAININGS.replace("wtl/courses", "wtl/curses"), "wtl/curses is no stream"),
        (PEOPLE.replace('"email"', '"mail"'), "mail is no field of wtl/users"),
        (TRAININGS.replace('["title"]', '"title"'), r"wtl/courses\.owned"),
        (TRAININGS.replace("public.", ""), r"schema\.table"),
        (TRAININGS.replace("adopt", "adapt"), r"wtl/courses\.adapt"),
        (TRAININGS.replace('table = "public.trainings"', ""), r"wtl/courses\.table"),
        (TRAININGS.replace('"name"', '"elms_number"'), "one column"),
        ('table = "public.trainings"', "table"),
        ("[", "cannot be read"),
    ],
)
def test_a_declaration_that_cannot_be_names_file_and_entry(
    declare: Callable[[str], Path], text: str, says: str
) -> None:
    path = declare(text)
    with pytest.raises(SettingsError, match=says) as caught:
        [placed(flow, Settings.load()) for flow in FLOWS]
    assert "SYNC_TABLES_FILE" in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_no_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_TABLES_FILE", "no-such.toml")
    with pytest.raises(SettingsError, match=r"SYNC_TABLES_FILE.*no-such\.toml"):
        placed(COURSES, Settings.load())


def test_a_declared_table_that_is_not_there_ends_the_run(sync: Sync, declare: Callable[[str], Path]) -> None:
    declare(TRAININGS)
    with pytest.raises(SchemaError, match=r"public\.trainings"):
        sync(Platform.invented(courses=1), COURSES)
