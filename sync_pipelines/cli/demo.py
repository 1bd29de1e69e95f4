"""`demo`: everything at once on this machine, for a first look."""

from __future__ import annotations

import os
import sys
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import click

from sync_pipelines.cli.children import Child, WebChild
from sync_pipelines.cli.dagster_ui import DagsterUi, free_port
from sync_pipelines.cli.demo_learners import invent_learners
from sync_pipelines.cli.results import show
from sync_pipelines.cli.run import launch_flows, launch_partitions
from sync_pipelines.cli.sandbox import data_options, make_sandbox
from sync_pipelines.cli.workplace import project_file, workplace
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.progress import PROGRESS
from sync_pipelines.flows.registry import FLOWS, flows_of, partitioned_flows_of, sites_of
from sync_pipelines.flows.runner import Finished
from sync_pipelines.postgres.api_tokens import Scope, create_token, revoke_token
from sync_pipelines.settings import Settings

__all__ = ["command"]

# The platform is as large as --courses and the others say: what it lacks since the last demo is really gone.
_INVENTED = {"allow_mass_vanish": True}
# What costs a request a course is shown with so many: the simulated platform's limits are enforced too.
_COURSES_AT_MOST = 50
_LEARNER = "learner-001"


@click.command("demo")
@click.option("--once", is_flag=True, help="Run every flow once, print the report and exit: no UI.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print one JSON object.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of the UI.  [default: 3000, or the next free one]"
)
@data_options
def command(once: bool, as_json: bool, port: int | None, **data: int) -> int:
    """A PostgreSQL of its own (or SYNC_DATABASE_URL's), simulated upstreams, and the Dagster UI on top.

    Data is kept in SYNC_HOME (.sync). Ctrl-C stops everything.
    """
    if as_json and not once:
        raise click.UsageError("--json goes with --once")
    began = time.monotonic()
    sandbox = make_sandbox(**data)
    from sync_pipelines.sandbox.server import serving

    with ExitStack() as stack:
        address = stack.enter_context(serving(sandbox.app))
        os.environ.update(sandbox.environment(address, Settings.load()))
        settings = Settings.load()
        _say(_about_postgres(settings))
        settings = stack.enter_context(workplace(settings))
        if once:
            return show(_sync_everything(settings), as_json=as_json)
        _be_the_only_demo(settings, stack)
        _say("starting Dagster (10–40 s); meanwhile the first sync runs here")
        ui = stack.enter_context(_dagster_ui(free_port(range(port, port + 1) if port else range(3000, 3020))))
        if status := show(_sync_everything(settings), as_json=False):
            return status
        service = stack.enter_context(_service(free_port(range(8080, 8100))))
        ui.wait_until_it_answers()
        service.wait_until_it_answers()
        stack.enter_context(_watcher(settings))
        _say(f"ready after {time.monotonic() - began:.0f} s")
        _show_where_to_look(ui, settings, address, sandbox.token)
        _show_service(service, settings)
        try:
            ui.wait_until_it_ends()
        except KeyboardInterrupt:
            _say("stopping")
    _say("stopped; the data is kept")
    return 0


def _sync_everything(settings: Settings) -> Finished:
    lists = launch_flows(settings, FLOWS, _INVENTED)
    if not lists.success:
        return lists
    done = lists.then(
        launch_partitions(settings, partitioned_flows_of("all"), (), {**_INVENTED, "at_most": _COURSES_AT_MOST})
    )
    for flow in sites_of("all") if settings.bakalari_schools_file else ():
        done = done.then(launch_partitions(settings, [flow], (), _INVENTED))
    invent_learners(settings)
    return done.then(launch_flows(settings, flows_of(PROGRESS.name), {}))


def _be_the_only_demo(settings: Settings, stack: ExitStack) -> None:
    """Two of Dagster's daemons on one database would both start every scheduled run."""
    session = stack.enter_context(open_database(settings, "demo").session())
    if not session.try_lock(f"sync-pipelines demo {settings.dagster_schema}"):
        raise SettingsError("a demo is running on this database: stop it first, or set another SYNC_HOME")


def _say(sentence: str) -> None:
    click.echo(f"» {sentence}", err=True)


def _about_postgres(settings: Settings) -> str:
    if settings.database_url is None:
        return f"starting PostgreSQL (embedded; its data is kept in {settings.home / 'postgres'})"
    return f"using the PostgreSQL of SYNC_DATABASE_URL ({open_database(settings)})"


def _dagster_ui(port: int) -> DagsterUi:
    from sync_pipelines.defs.launch import prepare_instance

    prepare_instance()
    # What alerts say to look at.
    os.environ.setdefault("DAGSTER_WEBSERVER_URL", f"http://127.0.0.1:{port}")
    return DagsterUi(port, project_file("workspace.yaml"), Path(os.environ["DAGSTER_HOME"]) / "dagster-dev.log")


def _service(port: int) -> WebChild:
    command = [sys.executable, "-m", "sync_pipelines", "serve", "--port", str(port)]
    log = Path(os.environ["DAGSTER_HOME"]) / "service.log"
    return WebChild("the service", command, log, f"http://127.0.0.1:{port}", "/healthz")


def _watcher(settings: Settings) -> AbstractContextManager[object]:
    """Who tells of trouble, where somebody is to be told."""
    if not settings.alerted():
        return nullcontext()
    command = [sys.executable, "-m", "sync_pipelines", "alerts", "watch"]
    return Child(command, Path(os.environ["DAGSTER_HOME"]) / "alerts.log")


def _minutes(settings: Settings) -> str:
    return "minute" if settings.every_minutes == 1 else f"{settings.every_minutes} minutes"


def _show_where_to_look(ui: DagsterUi, settings: Settings, sandbox: str, token: str) -> None:
    database = open_database(settings)
    click.echo(
        f"""
  Dagster UI   {ui.url}
               {ui.url}/locations/sync_pipelines/asset-groups/webtolearn/lineage
               {ui.url}/locations/sync_pipelines/asset-groups/bakalari/lineage
               {ui.url}/locations/sync_pipelines/asset-groups/progress/lineage
                 the flows: click one for its counters, "Materialize all" to sync now
               {ui.url}/runs
                 every run with its counters; the first has just succeeded
               {ui.url}/automation
                 the schedules, switched on: a sync every {_minutes(settings)}
               {ui.url}/assets/health/sync_report
                 how the syncs went: success, durations, freshness, with plots

  PostgreSQL   {database.url.set(drivername="postgresql").render_as_string(hide_password=True)}
                 read the views wtl.*_current: courses, lessons, users, course_users
                 and bakalari.*_current: schools, classes, subjects, users, enrollments
                 learning.lesson_progress and course_summary: what learners did
  WebToLearn   {sandbox}/api/v1   simulated; header X-Auth-Token: {token}
  Bakalari     {sandbox}/bakalari/control   simulated schools: what each holds, and how it behaves
  Log          {ui.log}
"""
    )


def _token(settings: Settings, scope: Scope, subject: str | None = None) -> str:
    """One of this demo's: the last one's was shown once, and is let in no more."""
    name = f"demo {scope}"
    with open_database(settings, "demo").session() as session:
        revoke_token(session, name)
        return create_token(session, name, [scope], subject)[0]


def _show_service(service: WebChild, settings: Settings) -> None:
    """Its pages, and who may open them."""
    operator = _token(settings, "operator")
    click.echo(
        f"""  Operators    {service.url}/admin/   a button for each sync, lessons by drag and drop
                 token of an operator: {operator}
                 curl -X POST -H "Authorization: Bearer {operator}" {service.url}/api/sync/bakalari
  Learners     {service.url}/progress/   a page that works offline
                 token of {_LEARNER}: {_token(settings, "learner", _LEARNER)}
               {settings.home.resolve() / "inbox"}   drop devices' state files here

  Ctrl-C stops everything; the data stays in {settings.home.resolve()}.
"""
    )
