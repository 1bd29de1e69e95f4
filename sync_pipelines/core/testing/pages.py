"""The laws of a Source whose records come in pages: what makes it safe to leave a page unread."""

from __future__ import annotations

import unittest
from collections.abc import Iterable, Sequence
from typing import Any, cast

from sync_pipelines.core.records import Records, Unreadable
from sync_pipelines.core.testing.laws import Law, Laws, must, needs
from sync_pipelines.core.testing.reading import Reading, SourceUnderTest, read

__all__ = ["page_laws"]

_law = Laws[SourceUnderTest]()
_Content = tuple[tuple[str, ...], ...]


def page_laws() -> Sequence[Law[SourceUnderTest]]:
    """Every law of a Source that yields pages; the others skip them."""
    return tuple(_law.all)


def _in_pages(given: SourceUnderTest) -> Reading:
    reading = read(given.source)
    if not reading.pages:
        raise unittest.SkipTest("the source yields no `Page`")
    return reading


def _content(parts: Iterable[object]) -> _Content:
    """What a page gives, by all that the engine goes by: keys and versions, and rows that are no records."""
    given: list[tuple[str, ...]] = []
    for part in parts:
        if isinstance(part, Unreadable):
            given.append((*part.key, part.reason, repr(part.data)))
            continue
        if not isinstance(part, Records):
            must(False, f"a page gave a {type(part).__name__}, and not Records or an Unreadable")
        records = cast("Records[Any]", part)
        for key, version, data in zip(records.keys, records.versions, records.data, strict=True):
            given.append((records.system, key, repr(data) if version is None else version))
    return tuple(given)


def _contents(reading: Reading) -> list[tuple[str, _Content]]:
    return [(page.digest, _content(parts)) for page, parts in reading.pages]


@_law
def a_page_gives_records_and_has_a_digest(given: SourceUnderTest) -> None:
    for digest, _ in _contents(_in_pages(given)):
        must(
            type(digest) is str and bool(digest),
            f"a page has the digest {digest!r}: it is a text that is not empty",
        )


@_law
def all_of_a_fetch_comes_in_pages_or_nothing_does(given: SourceUnderTest) -> None:
    reading = _in_pages(given)
    for name in reading.outside:
        must(False, f"beside {len(reading.pages)} pages came a {name}: such pages are read at every run")


@_law
def a_page_that_is_read_twice_gives_the_same(given: SourceUnderTest) -> None:
    for number, (page, parts) in enumerate(_in_pages(given).pages):
        same = _content(page.read()) == _content(parts)
        must(same, f"page {number} gave something else when it was read once more")


@_law
def the_same_page_has_the_same_digest(given: SourceUnderTest) -> None:
    digests = {content: digest for digest, content in _contents(_in_pages(given))}
    for number, (digest, content) in enumerate(_contents(_in_pages(given))):
        must(
            digests.get(content, digest) == digest,
            f"page {number} gave the same in two fetches, under two digests: it is read at every run",
        )


@_law
def another_page_has_another_digest(given: SourceUnderTest) -> None:
    needs(given.change, "change")
    before = _contents(_in_pages(given))
    contents = dict(before)
    for digest, content in before:
        must(contents[digest] == content, "two pages of one fetch differ, and their digests do not")
    if given.change is not None:
        given.change()
    for digest, content in _contents(read(given.source)):
        must(
            contents.get(digest, content) == content,
            "after a change upstream a page gives something else under its old digest: it would be left unread",
        )
