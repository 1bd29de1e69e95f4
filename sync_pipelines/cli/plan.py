"""`plan`: what a run would do, without Dagster and without writing."""

from __future__ import annotations

import click

from sync_pipelines.cli.choices import ALL, Choice, chosen, chosen_partitions, course_option, school_option
from sync_pipelines.cli.progress import shown_progress
from sync_pipelines.cli.results import show
from sync_pipelines.cli.workplace import database_at_hand
from sync_pipelines.flows.database import open_database, require_schema
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.registry import UPSTREAMS, require_settings
from sync_pipelines.flows.runner import Runner
from sync_pipelines.settings import Settings

__all__ = ["command"]


@click.command("plan")
@click.argument("upstream", type=click.Choice([*UPSTREAMS, "all"]), default="all")
@course_option
@school_option
@click.option("--allow-mass-vanish", is_flag=True, help="Count what the mass-change guard would stop, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    upstream: str, courses: tuple[str, ...], schools: tuple[str, ...], allow_mass_vanish: bool, as_json: bool
) -> int:
    """Say what `run` would do: its counters, and the first differences with old and new values.

    It reads everything and writes nothing. Exit status as that of `run`: 0 it would be complete, 1 a flow would
    fail or be incomplete, 2 bad usage or settings, 3 the mass-change guard would stop one.
    """
    settings = Settings.load()
    if courses and schools:
        raise click.UsageError("--course or --school, not both")
    choice = Choice((), chosen_partitions(upstream)) if courses else chosen(upstream, schools, settings)
    require_settings([*choice.flows, *choice.sites], settings)
    with database_at_hand(settings) as settings:
        require_schema(open_database(settings, "plan"))
        with shown_progress() as progress:
            planned = Runner(settings, progress).plan_all(choice.flows, allow_mass_vanish=allow_mass_vanish)
            keys = choice.keys or (() if courses == (ALL,) else courses)
            partitions = PartitionRunner(settings, progress)
            planned = planned.then(partitions.plan_all(choice.sites, keys, allow_mass_vanish=allow_mass_vanish))
    return show(planned, as_json=as_json, differences=True)
