"""The embedded server, in processes of its own: it is about who starts and who stops it."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sync_pipelines.errors import SettingsError
from sync_pipelines.postgres.embedded import embedded_postgres

HOLD = """
import sys, sqlalchemy as sa
from pathlib import Path
from sync_pipelines.postgres.embedded import embedded_postgres
from sync_pipelines.postgres.engine import Database
with embedded_postgres(Path(sys.argv[1])) as url, Database(url, {}).engine.begin() as connection:
    for statement in sys.argv[2:]:
        result = connection.execute(sa.text(statement))
        if result.returns_rows:
            print(result.scalar())
    connection.commit()
    print("ready", flush=True)
    sys.stdin.read()
"""


def start(folder: Path, *statements: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        if line == "ready\n":
            return lines
        lines.append(line.strip())
    raise AssertionError(lines)


def stop(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 0


def running(folder: Path) -> bool:
    pid_file = folder / "postmaster.pid"
    if not pid_file.exists():
        return False
    pid = int(pid_file.read_text().split("\n", 1)[0])
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "postgres"


def test_data_survives_a_restart_and_nothing_runs_in_between(folder: Path) -> None:
    first = start(folder, "CREATE TABLE kept AS SELECT 42 AS n")
    said(first)
    stop(first)
    assert not running(folder)
    second = start(folder, "SELECT n FROM kept")
    assert said(second) == ["42"]
    stop(second)
    assert not running(folder)


def test_the_server_runs_until_the_last_of_its_users_leaves(folder: Path) -> None:
    first = start(folder)
    said(first)
    second = start(folder)
    said(second)
    stop(first)
    assert running(folder)
    stop(second)
    assert not running(folder)


def test_a_server_left_by_a_killed_process_is_taken_over_and_stopped(folder: Path) -> None:
    killed = start(folder, "CREATE TABLE kept AS SELECT 42 AS n")
    said(killed)
    killed.kill()
    killed.communicate()
    assert running(folder)
    heir = start(folder, "SELECT n FROM kept")
    assert said(heir) == ["42"]
    stop(heir)
    assert not running(folder)


def test_a_pid_file_that_names_somebody_else_is_not_believed(folder: Path) -> None:
    first = start(folder)
    said(first)
    text = (folder / "postmaster.pid").read_text()
    stop(first)
    ours = str(psutil.Process().pid)
    (folder / "postmaster.pid").write_text("\n".join([ours, *text.split("\n")[1:]]))
    second = start(folder)
    said(second)
    stop(second)
    assert not running(folder)


def test_a_path_with_blanks_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SYNC_HOME"), embedded_postgres(tmp_path / "my data"):
        pass


def test_a_folder_that_holds_something_else_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "PG_VERSION").write_text("18")
    with pytest.raises(SettingsError, match="move it away"), embedded_postgres(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ["PG_VERSION"]


def test_only_the_owner_may_use_the_socket(folder: Path) -> None:
    process = start(folder, "SHOW unix_socket_permissions")
    assert said(process) == ["0700"]
    stop(process)
