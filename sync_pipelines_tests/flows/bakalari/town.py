"""Schools on a real socket, the tables they are synced into, and which of their accounts are set up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Sender
from sync_pipelines.core import SyncReport
from sync_pipelines.flows.bakalari import ROSTERS
from sync_pipelines.flows.bakalari.roster import open_reader
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.syncing import PartitionDone
from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari import School, bakalari_app
from sync_pipelines.sandbox.bakalari.faults import SPOILT
from sync_pipelines.sandbox.switching import Fault, SwitchedOn
from sync_pipelines.settings import Settings
from sync_pipelines_tests.conftest import plain_rows
from sync_pipelines_tests.flows.bakalari.known import Fact
from sync_pipelines_tests.flows.webtolearn.school import Clock

__all__ = ["NOON", "TODAY", "Town"]

#: A Wednesday in the middle of a semester, on which all that is in here happens.
NOON = 1_795_604_400.0
TODAY = datetime.fromtimestamp(NOON, UTC).date()
_TABLES = ("schools", "classes", "subjects", "users", "enrollments", "rosters")
_OURS = (*(f"bakalari.{table}" for table in _TABLES), "sync.external_refs", "sync.rejects", "sync.upstream_tokens")


class Town:
    """`accounts` are those that the settings name, by school: usernames; `vouched` those called superusers.

    Passwords are the accounts' own, but where `passwords` has another; `refresh_tokens` are those of accounts that
    have no password. `now` is the servers' time. To wait before a request is sent again takes none.
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
        clock = Clock()
        for made, name, ours in ((Sender, "sleep", clock.sleep), (RateBudget, "clock", clock)):
            defaults: Any = made.__init__.__kwdefaults__
            monkeypatch.setitem(defaults, name, ours)
        self.open()

    def open(self, *schools: School) -> None:
        """Begin anew: with these schools, no accounts, and empty tables."""
        self.schools = {school.id: school for school in schools}
        self.now: Callable[[], float] = lambda: NOON
        self.app = bakalari_app(schools, clock=lambda: self.now())
        self._withheld: tuple[str, bytes, threading.Event] | None = None
        self.accounts: dict[str, list[str]] = {school: [] for school in self.schools}
        self.vouched: set[str] = set()
        self.passwords: dict[str, str] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.bulk: set[str] = set()
        self.query(f"TRUNCATE {', '.join(_OURS)}, sync.streams")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = bytearray()

        async def noted() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def sent(message: Any) -> None:
            path, form, withheld = self._withheld or ("", b"", None)
            begins = message["type"] == "http.response.start"
            if withheld and begins and scope["path"].endswith(path) and form in body:
                self._withheld = None
                withheld.set()
                while (await receive())["type"] != "http.disconnect":
                    pass
            await send(message)

        await self.app(scope, noted, sent)

    # --- what goes wrong ----------------------------------------------------------------------------------------

    def alter(self, school: School, path: str, change: Callable[[Any], object]) -> SwitchedOn:
        """From now on a school's good answers to a path are what `change` makes of their JSON, in place."""

        def act(answer: Answer, on: SwitchedOn) -> None:
            if answer.status == 200 and answer.text is None:
                change(answer.value)

        return self._spoil(school, path, act)

    def rewrite(self, school: School, path: str, change: Callable[[str], str]) -> SwitchedOn:
        """As `alter`, of a web page's text."""

        def act(answer: Answer, on: SwitchedOn) -> None:
            answer.text = change(answer.text or "")

        return self._spoil(school, path, act)

    def _spoil(self, school: School, path: str, act: Callable[[Answer, SwitchedOn], None]) -> SwitchedOn:
        on = SwitchedOn(f"a test's own, {len(SPOILT)}", path)
        self._monkeypatch.setitem(SPOILT, on.fault, Fault("", act))
        school.faults.append(on)
        return on

    def withhold(self, path: str, form: bytes) -> threading.Event:
        """The answer to the next form with this in it never goes out; the event says that it would now."""
        event = threading.Event()
        self._withheld = (path, form, event)
        return event

    def open_whole(self, *schools: School) -> None:
        """As `open`; of each school there is the superuser, who sees it all."""
        self.open(*schools)
        self.accounts = {school.id: ["spravce"] for school in schools}
        self.vouched = {"spravce"}

    # --- running ------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        lines: list[str] = []
        for school in self.schools.values():
            lines += ["[[school]]", f'id = "{school.id}"', f'url = "{self.url}/{school.id}"']
            for username in self.accounts[school.id]:
                secret, value = "password", self.password_of(school, username)
                if username in self.refresh_tokens:
                    secret, value = "refresh_token", self.refresh_tokens[username]
                variable = f"SECRET_{f'{school.id} {username}'.encode().hex()}"
                self._monkeypatch.setenv(variable, value)
                lines += ["[[school.account]]", f"username = {json.dumps(username)}"]
                lines += [f'{secret} = "env:{variable}"']
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

    def held(self, school: str) -> set[Fact]:
        """All that is there of a school."""
        held: set[Fact] = {("class", key) for key in self.classes(school)}
        held |= {("subject", key) for key in self.subjects(school)}
        held |= {("user", *user) for user in self.users(school)}
        return held | {("enrollment", user, subject) for user, subject, _ in self.enrolled(school)}

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

    def coverage(self, school: str) -> dict[str, tuple[str, str]]:
        """What came of each source in the last reading, and what was said of it."""
        (landed,) = self.query("SELECT coverage FROM bakalari.rosters WHERE school_id = :s", s=school)
        return {row["source"]: (row["outcome"], row["said"]) for row in landed["asked"]}

    def everything(self) -> dict[str, list[Any]]:
        """Every row a sync could write but the rosters' (whose coverage is of each run), with who wrote it."""
        return {
            table: self.query(f"SELECT xmin::text, ctid::text, t::text FROM {table} t ORDER BY 2")
            for table in _OURS
            if table != "bakalari.rosters"
        }
