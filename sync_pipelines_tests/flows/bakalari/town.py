"""Schools on a real socket, the tables they are synced into, and which of their accounts are set up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sync_pipelines.core import SyncReport
from sync_pipelines.flows.bakalari import ROSTERS
from sync_pipelines.flows.bakalari.roster import open_reader
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.syncing import PartitionDone
from sync_pipelines.sandbox.bakalari import School, bakalari_app
from sync_pipelines.settings import Settings
from sync_pipelines_tests.conftest import plain_rows

__all__ = ["NOON", "TODAY", "Town"]

#: A Wednesday in the middle of a semester, on which all that is in here happens.
NOON = 1_795_604_400.0
TODAY = datetime.fromtimestamp(NOON, UTC).date()
_TABLES = ("schools", "classes", "subjects", "users", "enrollments", "rosters")
_OURS = (*(f"bakalari.{table}" for table in _TABLES), "sync.external_refs", "sync.rejects", "sync.upstream_tokens")


class Town:
    """`accounts` are those that the settings name, by school: usernames; `vouched` those called superusers.

    Passwords are the accounts' own, but where `passwords` has another.
    """

    url = ""

    def __init__(
        self, connection: sa.Connection, database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
        monkeypatch.setenv("SYNC_HOME", str(folder / "home"))
        self.open()

    def open(self, *schools: School) -> None:
        """Begin anew: with these schools, no accounts, and empty tables."""
        self.schools = {school.id: school for school in schools}
        self.app = bakalari_app(schools, clock=lambda: NOON)
        self.accounts: dict[str, list[str]] = {school: [] for school in self.schools}
        self.vouched: set[str] = set()
        self.passwords: dict[str, str] = {}
        self.bulk: set[str] = set()
        self.query(f"TRUNCATE {', '.join(_OURS)}, sync.streams")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    # --- running ------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        lines: list[str] = []
        for school in self.schools.values():
            lines += ["[[school]]", f'id = "{school.id}"', f'url = "{self.url}/{school.id}"']
            for username in self.accounts[school.id]:
                variable = f"PASSWORD_OF_{username.encode().hex()}"
                self._monkeypatch.setenv(variable, self.password_of(school, username))
                lines += ["[[school.account]]", f'username = "{username}"', f'password = "env:{variable}"']
                lines += ["superuser = true"] if username in self.vouched else []
            if school.id in self.bulk:
                lines += ["[[school.bulk]]", f'url = "{self.url}/{school.id}/export"']
        path = self._folder / "schools.toml"
        path.write_text("\n".join(lines), "utf-8")
        self._monkeypatch.setenv("BAKALARI_SCHOOLS_FILE", str(path))
        return Settings.load()

    def password_of(self, school: School, username: str) -> str:
        own = school.accounts[username].password if username in school.accounts else "no such account"
        return self.passwords.get(username, own)

    def run(self, *keys: str, streams: Iterable[str] | None = None, **options: bool) -> dict[str, PartitionDone]:
        """Sync schools, all by default; what became of each. It is TODAY."""
        flow = replace(ROSTERS, open_reader=partial(open_reader, today=TODAY))
        runner = PartitionRunner(self.settings)
        chosen = None if streams is None else set(streams)
        return {d.key: d for d in runner.run(flow, keys or list(self.schools), streams=chosen, **options)}  # pyright: ignore[reportArgumentType]

    def run_well(self, *keys: str, **options: Any) -> dict[str, SyncReport]:
        """As `run`, of one school where nothing fails; the reports by stream."""
        ((_, done),) = self.run(*keys, **options).items()
        assert done.error is None, done.error
        return {report.stream: report for report in done.reports}

    # --- looking ------------------------------------------------------------------------------------------------

    def query(self, statement: str, **parameters: Any) -> list[Any]:
        return plain_rows(self._connection.execute(sa.text(statement), parameters))

    def classes(self, school: str) -> set[str]:
        return set(self._ids("classes", school))

    def subjects(self, school: str) -> set[str]:
        return set(self._ids("subjects", school))

    def users(self, school: str) -> set[tuple[str, str]]:
        """Type and code."""
        return set(
            self.query("SELECT user_type, external_id FROM bakalari.users_current WHERE school_id = :s", s=school)
        )

    def class_of(self, school: str) -> dict[str, str]:
        """The class of each student."""
        return dict(
            self.query(
                "SELECT u.external_id, c.external_id FROM bakalari.users_current u "
                "JOIN bakalari.classes c ON c.id = u.class_id WHERE u.school_id = :s",
                s=school,
            )
        )

    def enrolled(self, school: str) -> set[tuple[str, str, str]]:
        """Student, subject and class."""
        return set(
            self.query(
                "SELECT u.external_id, s.external_id, c.external_id FROM bakalari.enrollments_current e "
                "JOIN bakalari.users u ON u.id = e.user_id JOIN bakalari.subjects s ON s.id = e.subject_id "
                "JOIN bakalari.classes c ON c.id = e.class_id WHERE e.school_id = :s",
                s=school,
            )
        )

    def _ids(self, table: str, school: str) -> list[str]:
        return self.query(f"SELECT external_id FROM bakalari.{table}_current WHERE school_id = :s", s=school)

    def marked(self) -> int:
        """How many rows are marked as vanished."""
        return sum(
            self.query(f"SELECT count(*) FROM bakalari.{table} WHERE remote_deleted_at IS NOT NULL")[0]
            for table in ("classes", "subjects", "users", "enrollments")
        )

    def rejects(self) -> dict[str, str]:
        """Why, by system and key, of the open ones."""
        return dict(
            self.query(
                "SELECT system || ':' || type || ' ' || external_id, error FROM sync.rejects "
                "WHERE resolved_at IS NULL"
            )
        )

    def everything(self) -> dict[str, list[Any]]:
        """Every row a sync could write but the rosters' (whose coverage is of each run), with who wrote it."""
        return {
            table: self.query(f"SELECT xmin::text, ctid::text, t::text FROM {table} t ORDER BY 2")
            for table in _OURS
            if table != "bakalari.rosters"
        }
