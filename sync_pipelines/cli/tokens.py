"""`tokens create`, `tokens list`, `tokens revoke`: who may call the service."""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import click

from sync_pipelines.cli.results import printable, show_rows
from sync_pipelines.cli.workplace import database_at_hand
from sync_pipelines.errors import SyncError
from sync_pipelines.flows.database import open_database, require_schema
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.api_tokens import SCOPES, ApiToken, create_token, list_tokens, revoke_token
from sync_pipelines.postgres.engine import Session
from sync_pipelines.settings import Settings

__all__ = ["command"]

_LONGEST_NAME, _LONGEST_SUBJECT = 100, 255
_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group("tokens")
def command() -> None:
    """Who may call the service (`serve`): operators, viewers, and learners for their own progress."""


def _name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and (
        not 0 < len(value.strip()) <= len(value) <= _LONGEST_NAME or not value.isprintable() or value.isdigit()
    ):
        raise click.BadParameter(f"at most {_LONGEST_NAME} printable characters, not digits alone")
    return value


def _subject(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (
        0 < len(value.strip()) <= len(value) <= _LONGEST_SUBJECT and value.isprintable()
    ):
        raise click.BadParameter(f"at most {_LONGEST_SUBJECT} printable characters")
    return value


@command.command()
@click.option("--name", callback=_name, help="What people call it: who or what it is for.  [default: its scope]")
@click.option(
    "--scope", "scopes", required=True, multiple=True, type=click.Choice(SCOPES), help="May be repeated."
)
@click.option("--subject", callback=_subject, metavar="ID", help="The learner whose progress it opens.")
@click.option("--expires-days", type=click.IntRange(1, 36_500), help="For so many days.  [default: for ever]")
@_as_json
def create(
    name: str | None, scopes: Sequence[Any], subject: str | None, expires_days: int | None, as_json: bool
) -> int:
    """Make a token and print it, this once: it is kept nowhere."""
    if ("learner" in scopes) != (subject is not None):
        raise click.UsageError("--scope learner and --subject belong together: whose progress does it open?")
    name = name or f"{'+'.join(dict.fromkeys(scopes))}-{secrets.token_hex(3)}"
    with _database(up_to_date=True) as session:
        token, made = create_token(
            session, name, {*scopes}, subject, None if expires_days is None else timedelta(days=expires_days)
        )
    if as_json:
        click.echo(json.dumps({"token": token, **_described(made)}))
    else:
        click.echo(token)
        click.echo(f"token {made.id} ({printable(made.name)}): keep it, it is not shown again", err=True)
    return 0


@command.command("list")
@_as_json
def list_(as_json: bool) -> int:
    """All that were made, with when they were last used, and never the tokens themselves."""
    with _database() as session:
        found = list_tokens(session)
    if as_json:
        click.echo(json.dumps({"tokens": [_described(token) for token in found]}))
        return 0
    if found:
        names = ["id", "name", "scopes", "subject", "created", "expires", "last used", "state"]
        show_rows(names, [_row(token) for token in found], right=("id",))
    valid = sum(token.state == "valid" for token in found)
    click.echo(f"{valid} of {len(found)} tokens are valid" if found else "no tokens")
    return 0


@command.command()
@click.argument("name_or_id", metavar="NAME|ID")
@_as_json
def revoke(name_or_id: str, as_json: bool) -> int:
    """Let nobody in by it any more, from this moment. Exit status 1 where no such token is in force."""
    with _database() as session:
        revoked = revoke_token(session, name_or_id)
    if revoked is None:
        raise SyncError(f"no token {printable(name_or_id)} is in force: see `tokens list`")
    if as_json:
        click.echo(json.dumps(_described(revoked)))
    else:
        click.echo(f"token {revoked.id} ({printable(revoked.name)}) is revoked")
    return 0


@contextmanager
def _database(*, up_to_date: bool = False) -> Generator[Session, None, None]:
    """The database; `up_to_date` brings an older schema up to this version's, as a run would."""
    with database_at_hand(Settings.load()) as settings:
        database = open_database(settings, "tokens")
        (migrate.upgrade if up_to_date else require_schema)(database)
        with database.session() as session:
            yield session


def _described(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "subject": token.subject,
        "state": token.state,
        "created_at": _time(token.created_at),
        "expires_at": _time(token.expires_at),
        "last_used_at": _time(token.last_used_at),
        "revoked_at": _time(token.revoked_at),
    }


def _time(moment: datetime | None) -> str | None:
    return moment and moment.astimezone().isoformat(timespec="seconds")


def _row(token: ApiToken) -> list[str]:
    times = (token.created_at, token.expires_at, token.last_used_at)
    return [
        str(token.id),
        printable(token.name),
        " ".join(sorted(token.scopes)),
        printable(token.subject or ""),
        *(f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else "" for moment in times),
        token.state,
    ]
