"""`db upgrade`, `db status`: the database's schema."""

from __future__ import annotations

import json

import click

from sync_pipelines.cli.workplace import database_at_hand
from sync_pipelines.flows.database import open_database
from sync_pipelines.postgres import migrate
from sync_pipelines.settings import Settings

__all__ = ["command"]


@click.group("db")
def command() -> None:
    """The database's schema: SYNC_DATABASE_URL's, or the embedded PostgreSQL's."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def upgrade(as_json: bool) -> int:
    """Bring the schema to this version's revision. Safe to repeat, and while another upgrade runs."""
    with database_at_hand(Settings.load()) as settings:
        database = open_database(settings)
        before = migrate.upgrade(database)
    if as_json:
        click.echo(json.dumps({"from": before.current, "to": before.head, "applied": list(before.pending)}))
    elif before.pending:
        click.echo(f"{database}: upgraded from {before.current or 'empty'} to {before.head}")
    else:
        click.echo(f"{database}: up to date at {before.head}")
    return 0


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> int:
    """Say which revision the schema is at. Exit status 1 where an upgrade is due."""
    with database_at_hand(Settings.load()) as settings:
        database = open_database(settings)
        now = migrate.status(database)
    if as_json:
        click.echo(json.dumps({"current": now.current, "head": now.head, "pending": list(now.pending)}))
    elif now.up_to_date:
        click.echo(f"{database}: up to date at {now.head}")
    else:
        click.echo(
            f"{database}: at {now.current or 'nothing'}, {len(now.pending)} to do: sync-pipelines db upgrade"
        )
    return 0 if now.up_to_date else 1
