"""What a person chooses on the command line, for the commands that let them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sync_pipelines.clients.webtolearn import wtl_id
from sync_pipelines.errors import SourceError
from sync_pipelines.flows.registry import partitioned_flows_of
from sync_pipelines.flows.spec import PartitionedFlow

__all__ = ["ALL", "chosen_partitions", "course_option"]

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


def chosen_partitions(upstream: str) -> tuple[PartitionedFlow, ...]:
    """The flows that are read a course at a time. Raises UsageError for an upstream without."""
    flows = partitioned_flows_of(upstream)
    if not flows:
        raise click.UsageError(f"{upstream} has nothing that is read a course at a time")
    return flows
