"""The example, run for real: from a file into a PostgreSQL, as its command and as a flow of the product."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from examples.rooms.flow import rooms_flow
from examples.rooms.job import rooms_job
from examples.rooms.one_by_one import JsonFile
from examples.rooms.room import RoomMapper
from examples.rooms.source import RoomsFile
from examples.rooms.table import create_table
from sync_pipelines.core import MemoryStateStore, SyncJob, SyncReport
from sync_pipelines.errors import GuardTripped, SourceError, SourceUnavailable, UnexpectedAnswer
from sync_pipelines.flows.runner import Runner
from sync_pipelines.postgres.engine import Session
from sync_pipelines.settings import Settings
from sync_pipelines_tests.examples.rooms import HEADER, School, two_rooms

Query = Callable[..., list[Any]]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def school(tmp_path: Path) -> School:
    return two_rooms(tmp_path / "rooms.csv")


@pytest.fixture
def sync(school: School, session: Session) -> Callable[..., SyncReport]:
    create_table(session)
    return lambda **options: rooms_job(school.path, session, **options).run()


def counts(report: SyncReport) -> dict[str, int]:
    names = ("created", "updated", "skipped", "deleted", "restored", "failed")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def test_rooms_are_created(sync: Callable[..., SyncReport], query: Query) -> None:
    report = sync()
    assert (counts(report), report.complete) == ({"created": 2}, True)
    rows = query("SELECT code, name, floor, seats, nickname FROM rooms.rooms ORDER BY code")
    assert rows == [("1.01", "Physics laboratory", 1, 24, None), ("2.07", "Aula", 2, 180, None)]


def test_an_unchanged_file_touches_no_row(sync: Callable[..., SyncReport], school: School, query: Query) -> None:
    sync()
    before = query("SELECT code, xmin::text, ctid::text FROM rooms.rooms")
    for code in list(school.lines):  # the nightly export touches every time
        school.lines[code] = school.lines[code].replace("2025-11-20", "2025-11-21")
    school.export()
    assert counts(sync()) == {"skipped": 2}
    assert query("SELECT code, xmin::text, ctid::text FROM rooms.rooms") == before


def test_a_change_is_written_and_a_nickname_stays_peoples_own(
    sync: Callable[..., SyncReport], school: School, query: Query
) -> None:
    sync()
    query("UPDATE rooms.rooms SET nickname = 'the old lab' WHERE code = '1.01'")
    school.room("1.01", "Physics lecture hall", seats=60)
    school.export()
    assert counts(sync()) == {"updated": 1, "skipped": 1}
    row = query("SELECT name, seats, nickname FROM rooms.rooms WHERE code = '1.01'")
    assert row == [("Physics lecture hall", 60, "the old lab")]


def test_a_room_that_vanishes_stays_marked_and_returns_as_itself(
    sync: Callable[..., SyncReport], school: School, query: Query
) -> None:
    sync()
    (before,) = query("SELECT id::text FROM rooms.rooms WHERE code = '2.07'")
    line = school.lines["2.07"]
    school.close("2.07")
    school.export()
    assert counts(sync()) == {"skipped": 1, "deleted": 1}
    assert query("SELECT code FROM rooms.rooms_current") == ["1.01"]
    assert query("SELECT remote_deleted_at IS NOT NULL FROM rooms.rooms WHERE code = '2.07'") == [True]
    school.lines["2.07"] = line
    school.export()
    assert counts(sync()) == {"updated": 1, "restored": 1, "skipped": 1}
    assert query("SELECT id::text FROM rooms.rooms_current WHERE code = '2.07'") == [before]


@pytest.mark.parametrize(
    ("line", "stage", "says"),
    [
        ("2.07,Aula,2,many,2025-11-20T02:00:00+01:00", "source", "seats is not a whole number"),
        ("2.07,Aula,2,180,yesterday", "source", "updated_at is not a time with its zone"),
        ("2.07,Aula,2,180,2025-11-20T02:00:00", "source", "updated_at is not a time with its zone"),
        ("2.07,Aula,2", "source", "it has 3 columns, and not 5"),
        ("2.07, ,2,180,2025-11-20T02:00:00+01:00", "mapping", "the name is blank"),
        ("2.07,Aula,2,0,2025-11-20T02:00:00+01:00", "mapping", "a room has at least one seat"),
        (f"2.07,{'x' * 101},2,180,2025-11-20T02:00:00+01:00", "target", "name has 101 characters"),
    ],
)
def test_a_bad_line_is_kept_and_its_room_has_not_vanished_until_a_good_one_comes(
    sync: Callable[..., SyncReport], school: School, query: Query, line: str, stage: str, says: str
) -> None:
    sync()
    good, school.lines["2.07"] = school.lines["2.07"], line
    school.export()
    report = sync()
    assert (counts(report), report.complete) == ({"skipped": 1, "failed": 1}, True)
    ((key, where, error, kept),) = query(
        "SELECT external_id, stage, error, payload::text FROM sync.rejects WHERE resolved_at IS NULL"
    )
    assert (key, where) == ("2.07", stage)
    assert says in error
    assert "2.07" in kept
    assert query("SELECT code FROM rooms.rooms_current ORDER BY code") == ["1.01", "2.07"]
    school.lines["2.07"] = good
    school.export()
    assert counts(sync()) == {"skipped": 2}
    assert query("SELECT occurrences FROM sync.rejects WHERE resolved_at IS NOT NULL") == [1]


def test_a_line_without_a_code_is_kept_as_it_came(
    sync: Callable[..., SyncReport], school: School, query: Query
) -> None:
    school.lines["?"] = ',Cloakroom,0,0,"'
    school.export()
    assert counts(sync()) == {"created": 2, "failed": 1}
    assert query("SELECT payload #>> '{}' FROM sync.rejects") == [',Cloakroom,0,0,"']


def test_a_byte_that_is_no_utf8_spoils_its_own_line(sync: Callable[..., SyncReport], school: School) -> None:
    school.path.write_bytes(school.text().replace("Aula", "Aul\u00e0").encode("latin-1"))
    assert counts(sync()) == {"created": 1, "failed": 1}


def test_a_file_that_is_cut_off_anywhere_is_refused_and_nothing_vanishes(
    sync: Callable[..., SyncReport], school: School, query: Query
) -> None:
    sync()
    whole = school.text()
    for length in range(len(whole)):
        school.export(whole[:length])
        with pytest.raises(SourceError) as caught:
            sync()
        assert caught.value.ends_run
    assert query("SELECT count(*) FROM rooms.rooms_current") == [2]


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (lambda text: text.replace("# 2 rooms", "# 3 rooms"), UnexpectedAnswer, "says 3 rooms"),
        (lambda text: text + "3.01,Attic,3,8,x\n", UnexpectedAnswer, "says 2 rooms, which is not so"),
        (lambda text: text.replace(HEADER, HEADER.replace("code,name", "name,code")), UnexpectedAnswer, "first"),
        (lambda text: "", UnexpectedAnswer, "first line"),
    ],
)
def test_a_file_that_does_not_keep_its_form_is_refused(
    sync: Callable[..., SyncReport], school: School, spoil: Callable[[str], str], error: type[Exception], says: str
) -> None:
    school.export(spoil(school.text()))
    with pytest.raises(error, match=says):
        sync()


def test_a_file_that_is_missing_is_an_upstream_that_is_down(
    sync: Callable[..., SyncReport], school: School
) -> None:
    school.path.unlink()
    with pytest.raises(SourceUnavailable, match=r"rooms\.csv cannot be read"):
        sync()


def test_the_guard_stops_what_is_not_believable_until_a_person_approves_it(
    sync: Callable[..., SyncReport], school: School, query: Query
) -> None:
    for number in range(100, 130):
        school.room(str(number))
    school.export()
    sync()
    for number in range(100, 130):
        school.close(str(number))
    school.export()
    with pytest.raises(GuardTripped, match="30 of 32 rows are missing upstream"):
        sync()
    assert query("SELECT count(*) FROM rooms.rooms_current") == [32]
    assert counts(sync(allow_mass_vanish=True)) == {"skipped": 2, "deleted": 30}


def test_a_plan_writes_nothing(sync: Callable[..., SyncReport], query: Query) -> None:
    assert counts(sync(plan=True)) == {"created": 2}
    assert query("SELECT count(*) FROM rooms.rooms") == [0]


def test_the_same_flow_runs_a_record_at_a_time_into_another_target(school: School, tmp_path: Path) -> None:
    target = JsonFile(tmp_path / "rooms.json")
    job = SyncJob("hradec/rooms.json", RoomsFile(school.path), RoomMapper(), target, MemoryStateStore())
    assert counts(job.run()) == {"created": 2}
    school.close("2.07")
    school.room("1.01", "Physics lecture hall")
    school.export()
    assert counts(job.run()) == {"updated": 1, "deleted": 1}
    assert [room["name"] for room in target.rooms().values()] == ["Physics lecture hall"]


def test_the_flow_runs_as_those_of_the_product_do(
    school: School, session: Session, sync_settings: Callable[[str], Settings], query: Query
) -> None:
    create_table(session)
    flow = rooms_flow(school.path)
    runner = Runner(sync_settings("http://127.0.0.1:9"))
    assert counts(runner.run(flow)) == {"created": 2}
    assert counts(runner.run(flow)) == {"skipped": 2}
    assert query("SELECT origin FROM sync.streams") == ["rooms of Hradec"]
    assert [finding.state for finding in flow.upstream.probe(runner.settings)] == ["ok"]


def test_the_command_prints_the_report_and_says_in_its_status_whether_it_was_complete(
    school: School, database_url: str, query: Query
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "examples.rooms", str(school.path), *arguments],
            cwd=REPOSITORY,
            env={"SYNC_DATABASE_URL": database_url, "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    school.lines["2.07"] = "2.07,Aula,2,0,2025-11-20T02:00:00+01:00"
    school.export()
    done = run()
    assert done.returncode == 0
    assert json.loads(done.stdout)["created"] == 1
    assert "room 2.07 was refused (mapping): a room has at least one seat" in done.stderr
    assert "Aula" not in done.stderr
    school.export(school.text()[:-3])
    failed = run()
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "ends after 2 rooms without saying so" in failed.stderr
