"""The command line. Results go to standard output, everything else to standard error.

Exit status: 0 all flows ran complete; 1 one failed or was incomplete; 2 bad usage or settings; 3 the mass-change
guard stopped one; 130 interrupted.
"""

from __future__ import annotations

import importlib
import io
import logging
import signal
import sys
from types import FrameType

import click

from sync_pipelines import __version__, log
from sync_pipelines.errors import SettingsError, SyncError

__all__ = ["main"]

# Loaded when asked for: `--help` and `db status` need neither Dagster nor the sandbox.
_COMMANDS = {
    "demo": "PostgreSQL, a simulated WebToLearn and the Dagster UI, with data flowing.",
    "run": "Sync flows now, through Dagster in this process.",
    "trigger": "Ask the service for a sync, from wherever you are.",
    "plan": "Say what a run would do, and write nothing.",
    "alerts": "Who is told of trouble: test, list, watch.",
    "rejects": "The records that were refused: list, show, retry.",
    "serve": "Serve the learners' progress API.",
    "tokens": "Who may call the service: create, list, revoke.",
    "db": "The database's schema.",
    "sandbox": "Serve a simulated WebToLearn.",
    "doctor": "Check settings, database and upstreams, and say what to fix.",
    "debug": "What a platform really does, where its documents say several things.",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        return importlib.import_module(f"sync_pipelines.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sync-pipelines")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")
def _cli(verbose: bool) -> None:
    """Sync school systems into PostgreSQL. Settings come from the environment and .env; `doctor` lists them."""
    log.configure(logging.INFO if verbose else logging.WARNING)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point of `sync-pipelines`."""
    # Explicit handlers, also where the parent ignored SIGINT: whoever is ended ends what it started, and
    # children do not inherit an ignored SIGINT.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    for stream in (sys.stdout, sys.stderr):
        # A console that cannot show a letter shows another; it does not end the run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = _cli.main(standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        status = 130
    except SettingsError as error:
        click.echo(f"error: {log.redact(str(error))}", err=True)
        status = 2
    except SyncError as error:
        click.echo(f"error: {log.redact(str(error))}", err=True)
        status = 1
    sys.exit(status)
