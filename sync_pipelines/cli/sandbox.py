"""`sandbox`: the simulated upstreams alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from sync_pipelines.errors import SettingsError
from sync_pipelines.settings import Settings

__all__ = ["Sandbox", "command", "data_options", "make_sandbox"]

# The sandbox's own words: it is an extra, and not imported for a --help.
_RANGES = ("inclusive", "offset-limit", "offset-limit+1", "half-open", "limit-offset", "page-size")
_FILTERS = ("honoured", "ignored")
_RELATIONS = ("none", "path", "filter", "query")
_PAGES = ("rendered", "embedded", "none")
_ACCOUNTS = ("superuser", "teachers", "students", "parents")
_PASSWORD_VARIABLE = "SANDBOX_PASSWORD"  # noqa: S105


def data_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how much data is invented."""
    for option in (
        click.option("--seed", default=1, show_default=True, help="The same seed invents the same data."),
        click.option("--students", type=click.IntRange(0), default=240, show_default=True, help="Of each school."),
        click.option(
            "--schools", type=click.IntRange(0, 999), default=2, show_default=True, help="With Bakalari."
        ),
        click.option("--users", type=click.IntRange(0), default=300, show_default=True),
        click.option("--lessons", type=click.IntRange(0), default=480, show_default=True),
        click.option("--courses", type=click.IntRange(0), default=24, show_default=True),
    ):
        function = option(function)
    return function


def _platform_options(function: Callable[..., Any]) -> Callable[..., Any]:
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


def _school_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which accounts of the schools are set up, and how their servers behave."""
    for option in (
        click.option(
            "--pages",
            type=click.Choice(_PAGES),
            default="rendered",
            show_default=True,
            help="How the schools' public timetables are made.",
        ),
        click.option(
            "--access-seconds",
            type=click.IntRange(1),
            default=3599,
            show_default=True,
            help="How long a school's access tokens live.",
        ),
        click.option("--accounts-at-most", type=click.IntRange(0), help="Of each school.  [default: all]"),
        click.option(
            "--accounts",
            type=click.Choice(_ACCOUNTS),
            default="superuser",
            show_default=True,
            help="Whose accounts the schools' file names.",
        ),
    ):
        function = option(function)
    return function


@dataclass(frozen=True)
class Sandbox:
    """The simulated upstreams, and where they are served from once that is known."""

    app: Any
    token: str
    schools: Any

    def environment(
        self, address: str, settings: Settings, *, accounts: str = "superuser", at_most: int | None = None
    ) -> dict[str, str]:
        """The settings that reach it. Writes the file of its schools to SYNC_HOME. Raises SettingsError."""
        from sync_pipelines.sandbox.town import PASSWORD, schools_file

        found = {"WTL_API_URL": f"{address}/api/v1", "WTL_API_TOKEN": self.token}
        if not self.schools:
            return found
        path: Path = settings.home.expanduser().resolve() / "sandbox-schools.toml"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(schools_file(self.schools, address, accounts, at_most, _PASSWORD_VARIABLE), "utf-8")  # pyright: ignore[reportArgumentType]
        except OSError as error:
            raise SettingsError(f"SYNC_HOME: {path} cannot be written: {error}") from error
        return {**found, "BAKALARI_SCHOOLS_FILE": str(path), _PASSWORD_VARIABLE: PASSWORD}


def make_sandbox(
    *, courses: int, lessons: int, users: int, schools: int, students: int, seed: int, **behaviour: Any
) -> Sandbox:
    """The simulated upstreams; `behaviour` sets attributes of the platform. Raises SettingsError."""
    try:
        from sync_pipelines.sandbox.town import invented_schools, town_app
        from sync_pipelines.sandbox.webtolearn import Platform
    except ImportError as error:
        raise SettingsError("the sandbox is not installed: pip install 'sync-pipelines[demo]'") from error
    platform = Platform.invented(courses=courses, lessons=lessons, users=users, seed=seed)
    for name, value in behaviour.items():
        setattr(platform, name, value)
    invented = invented_schools(schools, students, seed)
    return Sandbox(town_app(platform, invented), platform.token, invented)


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8800, show_default=True, help="0 takes a free one.")
@data_options
@_school_options
@_platform_options
def command(
    port: int,
    accounts: str,
    accounts_at_most: int | None,
    access_seconds: int,
    pages: str,
    **data_and_behaviour: Any,
) -> int:
    """Serve a simulated WebToLearn, and schools with Bakalari, on 127.0.0.1 until Ctrl-C.

    How they behave can be changed while they serve, at /control and /bakalari/control.
    """
    sandbox = make_sandbox(**data_and_behaviour)
    for school in sandbox.schools:
        school.access_seconds, school.pages = access_seconds, pages
    from sync_pipelines.sandbox.server import listen, serve

    try:
        sock = listen(port)
    except OSError as error:
        raise SettingsError(f"port {port} is taken: choose another with --port") from error
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    variables = sandbox.environment(url, Settings.load(), accounts=accounts, at_most=accounts_at_most)
    for name, value in variables.items():
        click.echo(f"{name}={value}")
    counts = ("courses", "lessons", "users", "schools")
    said = ", ".join(f"{data_and_behaviour[name]} {name}" for name in counts)
    click.echo(f"{said} of {data_and_behaviour['students']} students each; Ctrl-C stops it", err=True)
    fault = """-d '{"fault": "server-error", "times": 3}'"""
    click.echo(f"a fault: curl {url}/control/faults {fault} (without -d it lists them)", err=True)
    if sandbox.schools:
        click.echo(f"a school: curl {url}/bakalari/control/{sandbox.schools[0].id}", err=True)
    serve(sandbox.app, sock)
    return 0
