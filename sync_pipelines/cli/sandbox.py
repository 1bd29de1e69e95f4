"""`sandbox`: the simulated upstream alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sync_pipelines.errors import SettingsError

__all__ = ["command", "platform_options", "sandbox_app"]


def platform_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how much data is invented."""
    for option in (
        click.option("--seed", default=1, show_default=True, help="The same seed invents the same data."),
        click.option("--users", type=click.IntRange(0), default=300, show_default=True),
        click.option("--lessons", type=click.IntRange(0), default=480, show_default=True),
        click.option("--courses", type=click.IntRange(0), default=24, show_default=True),
    ):
        function = option(function)
    return function


def sandbox_app(courses: int, lessons: int, users: int, seed: int) -> tuple[Any, str]:
    """The application and the token it asks for. Raises SettingsError where the extra is not installed."""
    try:
        from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app
    except ImportError as error:
        raise SettingsError("the sandbox is not installed: pip install 'sync-pipelines[demo]'") from error
    platform = Platform.invented(courses=courses, lessons=lessons, users=users, seed=seed)
    return webtolearn_app(platform), platform.token


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8800, show_default=True, help="0 takes a free one.")
@platform_options
def command(port: int, courses: int, lessons: int, users: int, seed: int) -> int:
    """Serve a simulated WebToLearn on 127.0.0.1 until Ctrl-C."""
    app, token = sandbox_app(courses, lessons, users, seed)
    from sync_pipelines.sandbox.server import listen, serve

    try:
        sock = listen(port)
    except OSError as error:
        raise SettingsError(f"port {port} is taken: choose another with --port") from error
    click.echo(f"WTL_API_URL=http://127.0.0.1:{sock.getsockname()[1]}/api/v1")
    click.echo(f"WTL_API_TOKEN={token}")
    click.echo(f"{courses} courses, {lessons} lessons, {users} users; Ctrl-C stops it", err=True)
    serve(app, sock)
    return 0
