"""`run`: sync flows now."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import click

from sync_pipelines.cli.choices import ALL, chosen, chosen_partitions, course_option, school_option
from sync_pipelines.cli.progress import shown_progress
from sync_pipelines.cli.results import show
from sync_pipelines.cli.workplace import workplace
from sync_pipelines.flows.naming import job_name
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.registry import UPSTREAMS, require_settings
from sync_pipelines.flows.runner import Finished, Runner
from sync_pipelines.flows.spec import PartitionedFlow, WholeFlow
from sync_pipelines.settings import Settings

__all__ = ["command", "launch_flows", "launch_partitions"]


@click.command("run")
@click.argument("upstream", type=click.Choice([*UPSTREAMS, "all"]), default="all")
@course_option
@school_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--allow-mass-vanish",
    is_flag=True,
    help="Believe the upstream, for this run, where the mass-change guard stopped the last one.",
)
@click.option("--full", is_flag=True, help="Read from the beginning, not from where the last run ended.")
def command(
    upstream: str,
    courses: tuple[str, ...],
    schools: tuple[str, ...],
    as_json: bool,
    allow_mass_vanish: bool,
    full: bool,
) -> int:
    """Sync the flows of an upstream, or of all that are set up. The run is in the Dagster UI's history.

    Without --course or --school: what the schedules do, WebToLearn's whole lists and every school of Bakalari.
    With --course: what costs a request a course. With --school: that school.

    Exit status: 0 all flows ran complete, 1 one failed or was incomplete, 2 bad usage or settings, 3 the
    mass-change guard stopped one: nothing was marked as vanished.
    """
    settings = Settings.load()
    config = {"allow_mass_vanish": allow_mass_vanish, "full": full}
    if courses and schools:
        raise click.UsageError("--course or --school, not both")
    if not courses:
        choice = chosen(upstream, schools, settings)
        with workplace(settings) as settings:
            finished = launch_flows(settings, choice.flows, config)
            for flow in choice.sites:
                finished = finished.then(launch_partitions(settings, [flow], choice.keys, config))
            return show(finished, as_json=as_json)
    partitioned = chosen_partitions(upstream)
    require_settings(partitioned, settings)
    with workplace(settings) as settings:
        first = launch_flows(settings, PartitionRunner(settings).needed_first(partitioned), config)
        if not first.success:
            return show(first, as_json=as_json)
        return show(
            first.then(launch_partitions(settings, partitioned, () if courses == (ALL,) else courses, config)),
            as_json=as_json,
        )


def launch_flows(settings: Settings, flows: Sequence[WholeFlow], config: Mapping[str, bool]) -> Finished:
    """Run through Dagster in this process, in a workplace that stands; `config` is that of the assets."""
    if not flows:
        return Finished((), success=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Here and not above: Dagster takes a second to import, and a wrong setting should show at once.
        from sync_pipelines.definitions import defs
        from sync_pipelines.defs.config import SyncConfig
        from sync_pipelines.defs.launch import launch

        upstreams = {flow.upstream.name for flow in flows}
        if len(upstreams) == 1:
            job = defs.resolve_job_def(job_name(upstreams.pop()))
        else:
            job = defs.resolve_implicit_global_asset_job_def()
        with shown_progress() as progress:
            return launch(job, flows, Runner(_at_once(settings), progress), SyncConfig(**config))


def launch_partitions(
    settings: Settings, flows: Sequence[PartitionedFlow], keys: Sequence[str], config: Mapping[str, Any]
) -> Finished:
    """As `launch_flows`, for partitions of one upstream's partitioned flows: these, or all where none is named."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sync_pipelines.definitions import defs
        from sync_pipelines.defs.config import PartitionsConfig
        from sync_pipelines.defs.jobs import partition_job_name
        from sync_pipelines.defs.launch import launch_partitions as launch

        job = defs.resolve_job_def(partition_job_name(flows[0].partitions.name))
        asked = PartitionsConfig(keys=list(keys), **config)
        with shown_progress() as progress:
            return launch(job, flows, Runner(_at_once(settings), progress), asked)


def _at_once(settings: Settings) -> Settings:
    """Somebody sits and waits: what fails is said, and not tried again by itself a minute later."""
    return settings.model_copy(update={"retries": 0})
