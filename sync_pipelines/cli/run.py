"""`run`: sync flows now."""

from __future__ import annotations

import warnings

import click

from sync_pipelines.cli.progress import shown_progress
from sync_pipelines.cli.results import show
from sync_pipelines.cli.workplace import workplace
from sync_pipelines.flows.registry import UPSTREAMS, flows_of
from sync_pipelines.flows.runner import Runner
from sync_pipelines.settings import Settings

__all__ = ["command", "run_flows"]


@click.command("run")
@click.argument("upstream", type=click.Choice([*UPSTREAMS, "all"]), default="all")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(upstream: str, as_json: bool) -> int:
    """Sync the flows of an upstream, or all. The run is in the Dagster UI's history.

    Exit status: 0 all flows ran complete, 1 one failed or was incomplete, 2 bad usage or settings.
    """
    settings = Settings.load()
    for flow in flows_of(upstream):
        flow.upstream.require_settings(settings)
    with workplace(settings) as settings:
        return run_flows(settings, upstream, as_json=as_json)


def run_flows(settings: Settings, upstream: str, *, as_json: bool) -> int:
    """Run in a workplace that stands; prints the result and gives the exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Here and not above: Dagster takes a second to import, and a wrong setting should show at once.
        from sync_pipelines.definitions import defs
        from sync_pipelines.defs.jobs import job_name
        from sync_pipelines.defs.launch import launch

        upstreams = {flow.upstream.name for flow in flows_of(upstream)}
        if len(upstreams) == 1:
            job = defs.resolve_job_def(job_name(upstreams.pop()))
        else:
            job = defs.resolve_implicit_global_asset_job_def()
        with shown_progress() as progress:
            launched = launch(job, flows_of(upstream), Runner(settings, progress))
    return show(launched, as_json=as_json)
