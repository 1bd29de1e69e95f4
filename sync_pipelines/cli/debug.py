"""`debug wtl lessons`: what a platform really does. It asks, and writes nothing; it needs no database."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

import click
from rich.console import Console

from sync_pipelines.cli.results import printable, show_rows
from sync_pipelines.clients.webtolearn import wtl_id
from sync_pipelines.clients.webtolearn.diagnosis import diagnose_lessons
from sync_pipelines.clients.webtolearn.findings import Diagnosis, Endpoint
from sync_pipelines.errors import SourceError
from sync_pipelines.settings import Settings

__all__ = ["command"]

_MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


@click.group("debug")
def command() -> None:
    """What a platform really does, where its documents say several things."""


@command.group()
def wtl() -> None:
    """A WebToLearn platform: that of WTL_API_URL and WTL_API_TOKEN."""


def _course_id(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return wtl_id(value)
    except SourceError as error:
        raise click.BadParameter(f"{value!r} is no course's id: {error}") from error


@wtl.command()
@click.option("--course", required=True, metavar="ID", callback=_course_id, help="The course to ask about.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def lessons(course: str, as_json: bool) -> int:
    """Ask for a course's lessons in every way there is, and say what came and what to make of it.

    It sends some 15 requests, writes nothing and needs no database. Exit status: 0 it could look, whatever it saw;
    1 the platform could not be reached, or refused; 2 bad usage or settings.
    """
    found = diagnose_lessons(*Settings.load().webtolearn(), course)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    else:
        _show(found)
    return 0


def _show(found: Diagnosis) -> None:
    click.echo(f"Lessons of course {found.course_id} at {found.platform}\n")
    rows = [_row(number, endpoint) for number, endpoint in enumerate(found.endpoints, 1)]
    show_rows(("", "asked", "status", "came", "fields", "verdict"), rows, right=("", "came"))
    click.echo()
    for number, endpoint in enumerate(found.endpoints, 1):
        click.echo(f"{number}  {_asked(endpoint)}")
    click.echo()
    for name, text in _facts(found):
        _hanging(f"{name:<15}", text)
    click.echo()
    for advice in found.recommendations:
        _hanging(f"{_MARKS[advice.state]} ", advice.text)


def _row(number: int, endpoint: Endpoint) -> list[str]:
    status = "–" if endpoint.status is None else str(endpoint.status)
    total = "?" if endpoint.total is None else endpoint.total
    came = endpoint.shape if endpoint.rows is None else f"{endpoint.rows} of {total}"
    verdict = f"{_words(endpoint.verdict)}: {endpoint.why}"
    # What stands in brackets stands under `status` and `came`, too.
    came, verdict = (text.partition(" (")[0] for text in (came, verdict))
    return [str(number), endpoint.name, status, came, _fields(endpoint), verdict]


def _fields(endpoint: Endpoint) -> str:
    """The names under which id, title and order came, with the number of rows where that is not all of them."""
    if not endpoint.rows:
        return "–"
    found = {kind: endpoint.fields[kind] or {f"no {kind}": endpoint.rows} for kind in ("id", "title")}
    names = [*found["id"].items(), *found["title"].items(), *endpoint.fields["order"].items()]
    return ", ".join(name if count == endpoint.rows else f"{name} {count}×" for name, count in names)


def _asked(endpoint: Endpoint) -> str:
    return f"{endpoint.path}?{'&'.join(f'{name}={value}' for name, value in endpoint.query.items())}"


def _facts(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """What was found out, a line each."""
    observed = {
        f"course {found.course_id}": found.course,
        "range": found.range,
        "sort by id": found.sort_by_id,
        "sort by order": found.sort_by_order,
        "Content-Range": found.content_range,
    }
    for name, seen in observed.items():
        yield name, f"{_words(seen.state)}: {seen.why}"
    yield "relation", found.relation.why
    if others := found.endpoints[0].fields["other"]:
        yield "other fields", ", ".join(f"{name} {count}×" for name, count in others.items())
    left = [f"{n} left this {w}" for w in ("minute", "hour") if (n := found.requests[f"left_{w}"]) is not None]
    yield "requests", ", ".join([f"{found.requests['used']} sent", *left])


def _words(state: str) -> str:
    return state.replace("_", " ")


def _hanging(begin: str, text: str) -> None:
    console = Console()
    lines = textwrap.TextWrapper(
        console.width if console.is_terminal else 120,
        initial_indent=begin,
        subsequent_indent=" " * len(begin),
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo(lines.fill(printable(text)))
