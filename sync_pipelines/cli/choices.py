"""What a person chooses on the command line, for the commands that let them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from sync_pipelines.clients.webtolearn import wtl_id
from sync_pipelines.errors import NotSetUp, SettingsError, SourceError
from sync_pipelines.flows.registry import UPSTREAMS, flows_of, partitioned_flows_of, require_settings, sites_of
from sync_pipelines.flows.spec import PartitionedFlow, WholeFlow
from sync_pipelines.settings import Settings

__all__ = ["ALL", "Choice", "chosen", "chosen_partitions", "course_option", "school_option"]

ALL = "all"


def _course_ids(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            if value != ALL:
                wtl_id(value)
        except SourceError as error:
            raise click.BadParameter(f"{value!r} is no course's id: {error}; or say {ALL}") from error
    if ALL in values and len(values) > 1:
        raise click.BadParameter(f"{ALL}, or ids")
    return tuple(dict.fromkeys(values))


def course_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--course ID`, any number of times, or `--course all`."""
    return click.option(
        "--course",
        "courses",
        multiple=True,
        metavar="ID",
        callback=_course_ids,
        help=f"What is read a course at a time, for this course; may be repeated. `{ALL}`: the stalest first.",
    )(command)


def school_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--school ID`, any number of times."""
    return click.option(
        "--school",
        "schools",
        multiple=True,
        metavar="ID",
        help="Only this school of the settings; may be repeated.",
    )(command)


@dataclass(frozen=True)
class Choice:
    """What is to run: whole lists, servers that the settings name, and which of those."""

    flows: tuple[WholeFlow, ...]
    sites: tuple[PartitionedFlow, ...]
    keys: tuple[str, ...] = ()


def chosen(upstream: str, schools: tuple[str, ...], settings: Settings) -> Choice:
    """What an upstream's name stands for; of all, those that are set up. Raises SettingsError, UsageError."""
    if schools:
        sites = sites_of(upstream)
        if not sites:
            raise click.UsageError(f"{upstream} has no schools")
        require_settings(sites, settings)
        known = [school.id for school in settings.schools()]
        for school in schools:
            if school not in known:
                raise click.BadParameter(f"the settings name no school {school!r}, but {', '.join(known)}")
        return Choice((), sites, tuple(dict.fromkeys(schools)))
    if upstream != ALL and (set_up := UPSTREAMS[upstream].set_up):
        set_up(settings)
    names = [upstream] if upstream != ALL else _set_up(settings)
    flows = tuple(flow for name in names for flow in flows_of(name))
    sites = tuple(flow for name in names for flow in sites_of(name))
    require_settings([*flows, *sites], settings)
    return Choice(flows, sites)


def _set_up(settings: Settings) -> list[str]:
    missing: dict[str, NotSetUp] = {}
    for name, upstream in UPSTREAMS.items():
        try:
            upstream.require_settings(settings)
        except NotSetUp as error:
            missing[name] = error
    if len(missing) == len(UPSTREAMS):
        raise SettingsError("; ".join(f"{name}: {error}" for name, error in missing.items()))
    return [name for name in UPSTREAMS if name not in missing]


def chosen_partitions(upstream: str) -> tuple[PartitionedFlow, ...]:
    """The flows that are read a course at a time. Raises UsageError for an upstream without."""
    flows = partitioned_flows_of(upstream)
    if not flows:
        raise click.UsageError(f"{upstream} has nothing that is read a course at a time")
    return flows
