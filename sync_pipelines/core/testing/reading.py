"""A source that the laws look at, and one reading of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sync_pipelines.core.ports import Source
from sync_pipelines.core.records import ExternalKey, Mark, Page, Payload, Records, Unreadable
from sync_pipelines.core.testing.laws import Laws, must

__all__ = ["Reading", "SourceUnderTest", "law", "read"]


@dataclass(frozen=True)
class SourceUnderTest:
    """A source over an upstream that holds some records and stands still, and what the laws need further.

    `change` changes some records upstream and gives their keys. `failing` are sources, as many as there are ways,
    whose upstream is out of order: unreachable, cut off half-way, refusing, answering nonsense.
    """

    source: Source[Any]
    change: Callable[[], Collection[ExternalKey]] | None = None
    failing: Sequence[Source[Any]] = ()


@dataclass
class Reading:
    """One fetch to its end. `marks` are the tokens, each with how many records came before it.

    `pages` are the pages, each with what it gave; `outside` names what came in none.
    """

    records: list[tuple[ExternalKey, Payload[Any]]] = field(default_factory=list[tuple[ExternalKey, Payload[Any]]])
    unreadable: list[Unreadable] = field(default_factory=list[Unreadable])
    marks: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    pages: list[tuple[Page[Any], Sequence[object]]] = field(
        default_factory=list[tuple[Page[Any], Sequence[object]]]
    )
    outside: list[str] = field(default_factory=list[str])
    coverage: object = None

    @property
    def versions(self) -> dict[ExternalKey, str | None]:
        return {key: payload.version for key, payload in self.records}


law = Laws[SourceUnderTest]()


def read(source: Source[Any], since: str | None = None) -> Reading:
    """Fetch to the end, and look into every page."""
    reading = Reading()
    items = cast("Iterator[object]", iter(source.fetch(since)))
    while True:
        try:
            item = next(items)
        except StopIteration as end:
            reading.coverage = end.value
            return reading
        if isinstance(item, Page):
            page = cast("Page[Any]", item)
            reading.pages.append((page, list(page.read())))
            for part in reading.pages[-1][1]:
                _note(reading, part)
        else:
            reading.outside.append(type(item).__name__)
            _note(reading, item)


def _note(reading: Reading, item: object) -> None:
    if isinstance(item, Mark):
        reading.marks.append((item.token, len(reading.records)))
    elif isinstance(item, Unreadable):
        reading.unreadable.append(item)
    else:
        reading.records.extend(_records(item))


def _records(item: object) -> Iterator[tuple[ExternalKey, Payload[Any]]]:
    if isinstance(item, Records):
        many = cast("Records[Any]", item)
        for key, version, data in zip(many.keys, many.versions, many.data, strict=True):
            yield ExternalKey(many.system, key), Payload(data, version)
        return
    what = type(item).__name__
    pair: tuple[Any, ...] = cast("Any", item) if what == "tuple" else ()
    good = len(pair) == 2 and isinstance(pair[0], ExternalKey) and isinstance(pair[1], Payload)
    must(good, f"fetch yielded a {what}, and not a pair of an ExternalKey and a Payload")
    key, payload = pair
    yield key, payload
