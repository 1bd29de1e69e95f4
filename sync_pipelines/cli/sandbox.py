"""`sandbox`: the simulated upstream alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sync_pipelines.errors import SettingsError

__all__ = ["command", "platform_options", "sandbox_app"]

# The sandbox's own words: it is an extra, and not imported for a --help.
_RANGES = ("inclusive", "offset-limit", "offset-limit+1", "half-open", "limit-offset", "page-size")
_FILTERS = ("honoured", "ignored")
_RELATIONS = ("none", "path", "filter", "query")


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


def _behaviour_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how the platform behaves; named as the platform's attributes."""
    for option in (
        click.option("--limit-hour", type=click.IntRange(0), default=3600, show_default=True, help="Requests."),
        click.option("--limit-minute", type=click.IntRange(0), default=360, show_default=True, help="Requests."),
        click.option(
            "--churn", type=click.FloatRange(0), default=0, help="Changes of the data after each listing."
        ),
        click.option(
            "--relation",
            type=click.Choice(_RELATIONS),
            default="none",
            show_default=True,
            help="How it shows which lessons a course has.",
        ),
        click.option("--filters", type=click.Choice(_FILTERS), default="honoured", show_default=True),
        click.option("--page-cap", type=click.IntRange(1), help="The most rows of one answer.  [default: no cap]"),
        click.option(
            "--range",
            "range_meaning",
            type=click.Choice(_RANGES),
            default="inclusive",
            show_default=True,
            help="What range=[a,b] asks for.",
        ),
    ):
        function = option(function)
    return function


def sandbox_app(courses: int, lessons: int, users: int, seed: int, **behaviour: Any) -> tuple[Any, str]:
    """The application and the token it asks for; `behaviour` sets attributes of its platform.

    Raises SettingsError where the extra is not installed.
    """
    try:
        from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app
    except ImportError as error:
        raise SettingsError("the sandbox is not installed: pip install 'sync-pipelines[demo]'") from error
    platform = Platform.invented(courses=courses, lessons=lessons, users=users, seed=seed)
    for name, value in behaviour.items():
        setattr(platform, name, value)
    return webtolearn_app(platform), platform.token


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8800, show_default=True, help="0 takes a free one.")
@platform_options
@_behaviour_options
def command(port: int, courses: int, lessons: int, users: int, seed: int, **behaviour: Any) -> int:
    """Serve a simulated WebToLearn on 127.0.0.1 until Ctrl-C.

    How it behaves can be changed while it serves, at /control.
    """
    app, token = sandbox_app(courses, lessons, users, seed, **behaviour)
    from sync_pipelines.sandbox.server import listen, serve

    try:
        sock = listen(port)
    except OSError as error:
        raise SettingsError(f"port {port} is taken: choose another with --port") from error
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    click.echo(f"WTL_API_URL={url}/api/v1")
    click.echo(f"WTL_API_TOKEN={token}")
    click.echo(f"{courses} courses, {lessons} lessons, {users} users; Ctrl-C stops it", err=True)
    fault = """-d '{"fault": "server-error", "times": 3}'"""
    click.echo(f"a fault: curl {url}/control/faults {fault} (without -d it lists them)", err=True)
    serve(app, sock)
    return 0
