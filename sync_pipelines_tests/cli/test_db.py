from collections.abc import Callable

from sync_pipelines_tests.cli.commands import Run, result


def test_db_status_and_upgrade(cli: Run, create_database: Callable[..., str]) -> None:
    url = create_database(empty=True)
    before = cli("db", "status", "--json", SYNC_DATABASE_URL=url)
    assert (before.returncode, result(before)["current"]) == (1, None)
    upgrade = cli("db", "upgrade", SYNC_DATABASE_URL=url)
    assert upgrade.returncode == 0
    assert "upgraded from empty" in upgrade.stdout
    after = cli("db", "status", SYNC_DATABASE_URL=url)
    assert after.returncode == 0
    assert "up to date" in after.stdout
