"""A batch in parts that one statement takes: changes that are alike, and halves where a row is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from sync_pipelines.core import Change, TargetError

__all__ = ["Fields", "alike", "columns_of", "halving"]

T = TypeVar("T")
R = TypeVar("R")

#: The names of a projection's fields, in its order.
Fields: TypeAlias = tuple[str, ...]


def alike(changes: Sequence[Change]) -> Iterable[tuple[tuple[bool, Fields], list[tuple[int, Change]]]]:
    """Changes with their numbers, by whether they are new and which fields they have, in order of key."""
    shapes = [(change.binding is None, tuple(change.projection.fields)) for change in changes]
    order = sorted(range(len(changes)), key=[change.key.key for change in changes].__getitem__)
    for shape in dict.fromkeys(shapes):
        yield shape, [(number, changes[number]) for number in order if shapes[number] == shape]


def columns_of(changes: Sequence[Change], fields: Fields) -> list[Sequence[Any]]:
    """The values of each field, in columns."""
    projections = [change.projection.fields for change in changes]
    return [[p[name] for p in projections] for name in fields]


def halving(
    group: Sequence[tuple[int, T]], write: Callable[[Sequence[T]], Sequence[R | TargetError]], kind: str
) -> Iterator[tuple[int, R | TargetError]]:
    """Write a group of items with their numbers, or where a row of it is refused its halves.

    `write` keeps nothing where it raises TargetError. `kind` names the table to people.
    """
    try:
        results = write([item for _, item in group])
    except TargetError as error:
        if len(group) == 1:
            yield group[0][0], TargetError(f"{kind} refuses the row: {error}")
            return
        half = len(group) // 2
        yield from halving(group[:half], write, kind)
        yield from halving(group[half:], write, kind)
    else:
        yield from zip((number for number, _ in group), results, strict=True)
