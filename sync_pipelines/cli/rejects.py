"""`rejects list`, `rejects show`, `rejects retry`: the records that were refused."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from sync_pipelines.cli.results import printable, show, show_rows
from sync_pipelines.cli.run import launch_flows, launch_partitions
from sync_pipelines.cli.workplace import database_at_hand, workplace
from sync_pipelines.errors import SyncError
from sync_pipelines.flows.database import open_database, require_schema
from sync_pipelines.flows.registry import owner_of, require_settings, streams_by_system
from sync_pipelines.flows.spec import PartitionedFlow, WholeFlow
from sync_pipelines.log import redact
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.rejects import (
    StoredReject,
    count_open,
    count_resolved_since,
    find_rejects,
    list_rejects,
    server_time,
)
from sync_pipelines.settings import Settings

__all__ = ["command"]

_STREAMS = streams_by_system()
_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_stream = click.option("--stream", type=click.Choice(sorted(_STREAMS.values())), help="Only those of this stream.")


@click.group("rejects")
def command() -> None:
    """The records that were refused. Each is kept whole until a good one comes in its place."""


@command.command("list")
@_as_json
@click.option("--all", "resolved", is_flag=True, help="Also those that a good record has replaced.")
@_stream
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def list_(as_json: bool, resolved: bool, stream: str | None, limit: int) -> int:
    """The open ones, the newest first, without the records themselves."""
    with _reading() as session:
        found, total = list_rejects(session, _systems(stream), resolved=resolved, limit=limit)
    if as_json:
        click.echo(json.dumps({"total": total, "rejects": [_described(reject) for reject in found]}))
        return 0
    if found:
        times = ["first", "last", "resolved"] if resolved else ["first", "last"]
        names = ["id", "stream", "key", "stage", "seen", *times, "error"]
        show_rows(names, [_row(reject, resolved) for reject in found], right=("id", "seen"))
    kind = "" if resolved else "open "
    more = "; --limit shows more" if len(found) < total else ""
    click.echo(f"{len(found)} of {total} {kind}rejects{more}" if found else f"no {kind}rejects")
    return 0


@command.command("show")
@click.argument("id_or_key", metavar="ID|KEY")
@_stream
@_as_json
def show_(id_or_key: str, stream: str | None, as_json: bool) -> int:
    """One whole, with the record as it came: by the id that `list` gives, or by the record's own key.

    Where that names several, all of them. Exit status 1 where there is none.
    """
    with _reading() as session:
        found = find_rejects(session, id_or_key, _systems(stream))
    if not found:
        raise SyncError(f"there is no reject with the id or key {printable(id_or_key)}: see `rejects list`")
    if as_json:
        click.echo(json.dumps({"rejects": [{**_described(r), "payload": r.payload} for r in found]}))
        return 0
    for reject in found:
        for name, value in _described(reject).items():
            click.echo(f"{name:<14} {printable(str('' if value is None else value))}".rstrip())
        click.echo(printable(json.dumps(reject.payload, indent=2, ensure_ascii=False)) + "\n")
    return 0


@command.command()
@_stream
@_as_json
def retry(stream: str | None, as_json: bool) -> int:
    """Read the flows that have open rejects again, from the beginning, as `run` would.

    Says how many were settled, and how many are still refused. Exit status as that of `run`.
    """
    with workplace(Settings.load()) as settings:
        with open_database(settings, "rejects").session() as session:
            began, before = server_time(session), count_open(session)
        systems = [system for system in before if (owner := owner_of(system)) and stream in (None, owner.stream)]
        flows, partitions = _owners(systems)
        require_settings([*flows, *(flow for flow, _ in partitions.values())], settings)
        finished = launch_flows(settings, flows, {"full": True})
        for partitioned, keys in partitions.values():
            finished = finished.then(launch_partitions(settings, [partitioned], keys, {"full": True}))
        with open_database(settings, "rejects").session() as session:
            settled, after = count_resolved_since(session, systems, began), count_open(session)
    refused = sum(after.get(system, 0) for system in systems)
    if as_json:
        return show(finished, as_json=True, more={"settled": settled, "still_refused": refused})
    if not finished.reports:
        click.echo("no open rejects")
        return 0
    status = show(finished, as_json=False)
    click.echo(f"{settled} settled, {refused} still refused")
    return status


@contextmanager
def _reading() -> Generator[Session, None, None]:
    with database_at_hand(Settings.load()) as settings:
        database = open_database(settings, "rejects")
        require_schema(database)
        with database.session() as session:
            yield session


def _systems(stream: str | None) -> list[str] | None:
    return None if stream is None else [system for system, name in _STREAMS.items() if name == stream]


def _owners(systems: Iterable[str]) -> tuple[list[WholeFlow], dict[str, tuple[PartitionedFlow, list[str]]]]:
    """The flows to read again for these systems; and those of partitions, by stream, with their keys."""
    flows: list[WholeFlow] = []
    partitions: dict[str, tuple[PartitionedFlow, list[str]]] = {}
    for owner in filter(None, map(owner_of, systems)):
        if not isinstance(owner.flow, PartitionedFlow):
            flows.append(owner.flow)
        elif owner.partition is not None:
            keys = partitions.setdefault(owner.flow.stream, (owner.flow, []))[1]
            keys.append(owner.partition)
    return flows, partitions


def _described(reject: StoredReject) -> dict[str, Any]:
    """All but the record itself."""
    owner = owner_of(reject.key.system)
    return {
        "id": reject.id,
        "stream": owner and owner.stream,
        **({"partition": owner.partition} if owner and owner.partition else {}),
        "system": reject.key.system,
        "key": reject.key.key,
        "stage": reject.stage,
        "error": redact(reject.error),
        "occurrences": reject.occurrences,
        "first_seen_at": _time(reject.first_seen_at),
        "last_seen_at": _time(reject.last_seen_at),
        "resolved_at": _time(reject.resolved_at),
    }


def _time(moment: datetime | None) -> str | None:
    return moment and moment.astimezone().isoformat(timespec="seconds")


def _row(reject: StoredReject, resolved: bool) -> list[str]:
    """A line of the list."""
    times = [reject.first_seen_at, reject.last_seen_at, *([reject.resolved_at] if resolved else [])]
    return [
        str(reject.id),
        str(owner_of(reject.key.system) or reject.key.system),
        printable(redact(reject.key.key)),
        reject.stage,
        str(reject.occurrences),
        *(f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else "" for moment in times),
        printable(redact(reject.error)),
    ]
