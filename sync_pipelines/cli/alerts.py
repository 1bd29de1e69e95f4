"""`alerts test`, `alerts list`, `alerts watch`: who is told of trouble, of what, and the process that tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from sync_pipelines.alerts.incidents import Incident
from sync_pipelines.alerts.outage import Outage
from sync_pipelines.alerts.receivers import receivers
from sync_pipelines.alerts.rows import incident_of
from sync_pipelines.alerts.watching import Watcher
from sync_pipelines.cli.results import printable, show_rows
from sync_pipelines.cli.workplace import database_at_hand, workplace
from sync_pipelines.errors import SettingsError, SyncError
from sync_pipelines.flows.database import open_database, require_schema
from sync_pipelines.log import redact
from sync_pipelines.postgres.alerts import AlertTables, UndeliveredAlert
from sync_pipelines.settings import Settings

if TYPE_CHECKING:
    from sync_pipelines.alerts.history import History

__all__ = ["command"]


@click.group("alerts")
def command() -> None:
    """Who is told of trouble: SYNC_ALERT_URLS. Of each incident when it starts, once a day, and when it ends."""


@command.command()
def test() -> int:
    """Send a message to each receiver, and say which took it.

    Exit status: 0 all did, 1 one did not, 2 none is set.
    """
    told = receivers(Settings.load().alerted())
    if not told:
        raise SettingsError("SYNC_ALERT_URLS is not set: put addresses of apprise there, as .env.example shows")
    status = 0
    for receiver in told:
        try:
            receiver.send(None, "sync-pipelines: a test", "This is how trouble will be told. There is none.")
        except SyncError as error:
            status = 1
            click.echo(f"✗ {receiver.place} {receiver}  {redact(str(error))}")
        else:
            click.echo(f"✓ {receiver.place} {receiver}  ok")
    return status


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(as_json: bool) -> int:
    """The incidents that last, and the messages that some receiver does not have yet."""
    settings = Settings.load()
    outage = Outage(settings.home)
    with database_at_hand(settings) as settings:
        database = open_database(settings, "alerts")
        require_schema(database)
        with database.session() as session:
            tables = AlertTables(session)
            kept = [*map(incident_of, tables.open_incidents()), *outage.open_incidents()]
            incidents = [incident for incident in kept if incident.lasts]
            undelivered = [*tables.undelivered(), *outage.undelivered()]
    names = {receiver.fingerprint: f"{receiver.place} {receiver}" for receiver in receivers(settings.alerted())}
    if as_json:
        said = {
            "incidents": [_described(incident) for incident in incidents],
            "undelivered": [_described_alert(alert, names) for alert in undelivered],
        }
        click.echo(json.dumps(said))
        return 0
    rows = [
        [i.kind.value, i.subject, _minute(i.started_at), str(i.runs or ""), printable(i.said)] for i in incidents
    ]
    if rows:
        show_rows(["kind", "subject", "since", "runs", "first error"], rows, right=("runs",))
    click.echo(f"open incidents: {len(rows) or 'none'}")
    late = [
        [
            _name(a, names),
            _minute(a.created_at),
            str(a.attempts),
            printable(a.last_error or ""),
            printable(a.title),
        ]
        for a in undelivered
    ]
    if late:
        show_rows(["receiver", "since", "attempts", "why", "message"], late, right=("attempts",))
        click.echo(f"messages not delivered yet: {len(late)}")
    return 0


@command.command()
@click.option(
    "--every", type=click.FloatRange(1, 3600), default=30, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Look once, deliver what is due, and exit.")
def watch(every: float, once: bool) -> int:
    """Look for trouble and tell of it, until Ctrl-C: also whether the database answers and Dagster's daemon ticks.

    Exit status with --once: 0 it could look, 1 it could not.
    """
    with _watcher() as watcher:
        if once:
            watcher.look()
            return 0
        click.echo(f"» watching, every {every:g} s; Ctrl-C stops it", err=True)
        try:
            watcher.watch(every)
        except KeyboardInterrupt:
            click.echo("» stopped", err=True)
    return 0


@contextmanager
def _watcher() -> Generator[Watcher, None, None]:
    """One whose orchestrator is opened when the database first answers: it is there to say so when it does not."""
    with ExitStack() as stack:
        stack.enter_context(database_at_hand(Settings.load()))
        opened: list[Callable[[Settings], History]] = []

        def history(settings: Settings) -> History:
            if not opened:
                from sync_pipelines.defs.alerts import open_history

                stack.enter_context(workplace(settings))
                opened.append(stack.enter_context(open_history()))
            return opened[0](settings)

        yield Watcher(history)


def _described(incident: Incident) -> dict[str, Any]:
    return {
        "kind": incident.kind.value,
        "subject": incident.subject,
        "started_at": _time(incident.started_at),
        "told_at": _time(incident.told_at),
        "runs": incident.runs,
        "run_id": incident.run_id,
        "counts": dict(incident.counts),
        "said": redact(incident.said),
    }


def _described_alert(alert: UndeliveredAlert, names: dict[str, str]) -> dict[str, Any]:
    return {
        "receiver": _name(alert, names),
        "title": alert.title,
        "created_at": _time(alert.created_at),
        "attempts": alert.attempts,
        "next_attempt_at": _time(alert.next_attempt_at),
        "last_error": alert.last_error,
    }


def _name(alert: UndeliveredAlert, names: dict[str, str]) -> str:
    return names.get(alert.receiver, "(no longer set)")


def _time(moment: datetime | None) -> str | None:
    return moment and moment.astimezone().isoformat(timespec="seconds")


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
