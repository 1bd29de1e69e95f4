"""`serve`: the HTTP service."""

from __future__ import annotations

import click

from sync_pipelines.cli.workplace import database_at_hand
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.progress.inbox import Inbox
from sync_pipelines.postgres import migrate
from sync_pipelines.settings import Settings

__all__ = ["command"]


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
def command(host: str, port: int) -> int:
    """Serve the learners' progress API until Ctrl-C. `tokens create` says who may call it.

    It speaks plain HTTP: beyond this machine, put a proxy with TLS before it.
    """
    from sync_pipelines.service.app import make_app
    from sync_pipelines.service.serving import listen, serve

    sock = listen(host, port)
    with sock, database_at_hand(Settings.load()) as settings:
        migrate.upgrade(open_database(settings))
        Inbox.of(settings).make()
        app = make_app(settings)
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"» http://{shown}:{sock.getsockname()[1]}; Ctrl-C stops it", err=True)
        try:
            serve(app, sock)
        except KeyboardInterrupt:
            click.echo("» stopped", err=True)
    return 0
