"""`trigger`: ask the service for a sync, from cron, a timer, another machine."""

from __future__ import annotations

import ipaddress
import json
from typing import Any, Final
from urllib.parse import urlsplit

import click
import httpx

from sync_pipelines import __version__
from sync_pipelines.cli.calling import Asking, Caller, Outcome, plain
from sync_pipelines.errors import SettingsError
from sync_pipelines.settings import Settings

__all__ = ["TRIGGERED", "command"]

#: What there is to sync. Not from the registry, which would load all that syncs.
TRIGGERED: Final = ("wtl", "bakalari", "progress")
_ALL: Final = "all"


@click.command("trigger")
@click.argument("upstream", type=click.Choice(TRIGGERED))
@click.option(
    "--school", "schools", multiple=True, metavar="ID", help="Of bakalari, this school. May be repeated."
)
@click.option(
    "--course", "courses", multiple=True, metavar="ID", help="Of wtl, what is read by course. May be repeated."
)
@click.option(
    "--wait", type=click.IntRange(0, 300), default=60, show_default=True, help="Seconds that a request waits."
)
@click.option(
    "--timeout", type=click.FloatRange(1), default=900, show_default=True, help="Seconds to wait for its end."
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 10),
    default=3,
    show_default=True,
    help="How often to ask where the service does not answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--debug", is_flag=True, help="Say on standard error what is asked and answered.")
@click.option("--insecure", is_flag=True, help="Send the token over http:// to another machine.")
def command(
    upstream: str,
    schools: tuple[str, ...],
    courses: tuple[str, ...],
    wait: int,
    timeout: float,
    attempts: int,
    as_json: bool,
    debug: bool,
    insecure: bool,
) -> int:
    """Ask the service at APP_URL for a sync, with OPERATOR_TOKEN, and wait for its end.

    Where a sync of the same is under way, that one is waited for. --course all: what is read by course, of all.

    Exit status: 0 it succeeded; 1 it failed, did not end in time, or the service was not reached; 2 bad usage or
    settings, or the service refused the token or what was asked.
    """
    body = _body(upstream, schools, courses)
    settings = Settings.load()
    with _client(settings, insecure=insecure) as client:
        caller = Caller(client, _say if debug else lambda _: None)
        try:
            outcome = caller.sync(Asking(upstream, body, wait, timeout, attempts))
        except KeyboardInterrupt:
            run = caller.outcome.run_id
            goes_on = f"run {run} goes on" if run else "a run that was asked for goes on"
            _say(f"waiting no longer: {goes_on}")
            raise
    if as_json:
        click.echo(json.dumps(_as_json(outcome)))
    elif outcome.status == 0:
        click.echo(outcome.message)
    if outcome.status:
        click.echo(f"error: {outcome.message}", err=True)
    return outcome.status


def _body(upstream: str, schools: tuple[str, ...], courses: tuple[str, ...]) -> dict[str, Any]:
    if schools and upstream != "bakalari":
        raise click.UsageError("--school is of bakalari")
    if courses and upstream != "wtl":
        raise click.UsageError("--course is of wtl")
    named: dict[str, Any] = {"schools": list(schools), "courses": _ALL if courses == (_ALL,) else list(courses)}
    return {name: keys for name, keys in named.items() if keys}


def _client(settings: Settings, *, insecure: bool) -> httpx.Client:
    """Has the token with it, and goes nowhere else with it: it follows no redirect."""
    token = settings.operator_token.get_secret_value().strip() if settings.operator_token else ""
    if not token:
        raise SettingsError(
            "OPERATOR_TOKEN is not set: make one with `sync-pipelines tokens create --scope operator`, and put it "
            "into the environment or .env, or its path into OPERATOR_TOKEN_FILE"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError("OPERATOR_TOKEN is no token: it has characters that none has")
    parts = urlsplit(settings.app_url)
    local = _is_this_machine(parts.hostname or "")
    if parts.scheme != "https" and not local and not insecure:
        raise SettingsError(
            "APP_URL is another machine's, over http://: anybody on the way could read OPERATOR_TOKEN. Use "
            "https://, or --insecure in a network that you trust"
        )
    return httpx.Client(
        base_url=settings.app_url,
        headers={"Authorization": f"Bearer {token}", "User-Agent": f"sync-pipelines/{__version__} trigger"},
        # No proxy has this machine's own traffic to see.
        trust_env=not local,
    )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _say(line: str) -> None:
    click.echo(f"» {line}", err=True)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    run = outcome.run
    return {
        "success": outcome.status == 0,
        "runId": outcome.run_id,
        "status": run.get("status"),
        "attempts": outcome.attempts,
        "result": run.get("result") or {},
        "errors": run.get("errors") or [],
        "requestId": outcome.request_id,
        "durationMs": run.get("durationMs"),
        "message": plain(outcome.message),
    }
