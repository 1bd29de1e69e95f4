"""What holds for every command."""

import pytest

from sync_pipelines_tests.cli.commands import Run


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["demo", "--help"],
        ["run", "-h"],
        ["db", "-h"],
        ["db", "upgrade", "-h"],
        ["plan", "-h"],
        ["rejects", "retry", "-h"],
    ],
)
def test_help_helps(cli: Run, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: " in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "moodle"],
        ["fly"],
        ["run", "--loudly"],
        ["demo", "--json"],
        ["plan", "moodle"],
        ["rejects", "list", "--stream", "wtl/curses"],
    ],
)
def test_bad_usage_is_status_2(cli: Run, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr
