"""What a flow is. A new one is a value of this class and a line in the registry."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sync_pipelines.core import Mapper, Source
from sync_pipelines.postgres.tables import TableSpec
from sync_pipelines.settings import Settings

__all__ = ["Flow", "OnRead"]

#: Hears how many rows are read, of how many, while a source reads: (rows, total or None).
OnRead = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Flow:
    """One stream from one upstream into one table.

    `stream` is its name everywhere ("wtl/courses"), `upstream` the name it is run by ("wtl"), `group` the one
    it is shown under. `open_source` connects to the upstream; it raises SettingsError where it is not set up.
    `after` are the streams whose rows this one refers to.
    """

    stream: str
    upstream: str
    group: str
    description: str
    table: TableSpec
    view: str
    mapper: Mapper[Any]
    open_source: Callable[[Settings, OnRead], AbstractContextManager[Source[Any]]]
    check_settings: Callable[[Settings], object]
    after: tuple[str, ...] = ()
