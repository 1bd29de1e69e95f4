"""`doctor`: what is set, what answers, and what to fix."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from sync_pipelines.cli.workplace import database_at_hand
from sync_pipelines.flows.health import examine
from sync_pipelines.settings import Settings

__all__ = ["command"]

_MARKS = {"ok": "✓", "warning": "!", "problem": "✗", "not set": "✗", "unused": "·"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> int:
    """Check settings, database, migrations, credentials, clocks and request budget.

    Exit status: 0 nothing stands in the way of a sync, 1 something does.
    """
    settings = Settings.load()
    with database_at_hand(settings) as at_hand:
        findings = list(examine(at_hand))
    healthy = all(finding.state in ("ok", "warning", "unused") for finding in findings)
    if as_json:
        shown = {
            "healthy": healthy,
            "settings": dict(settings.overview()),
            "findings": [asdict(f) for f in findings],
        }
        click.echo(json.dumps(shown))
        return 0 if healthy else 1
    for name, value in settings.overview():
        click.echo(f"  {name:<22} {'not set' if value is None else value}")
    for finding in findings:
        click.echo(f"{_MARKS[finding.state]} {finding.name:<22} {finding.detail}")
    return 0 if healthy else 1
