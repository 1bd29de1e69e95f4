"""The laws of a Source."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sync_pipelines.core.ports import Source
from sync_pipelines.core.records import Coverage, ExternalKey, Mark, Payload, Records, Unreadable
from sync_pipelines.core.testing.laws import Law, Laws, must, needs
from sync_pipelines.errors import CheckpointExpired, SourceError

__all__ = ["SourceUnderTest", "source_laws"]


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
class _Reading:
    """One fetch to its end. `marks` are the tokens, each with how many records came before it."""

    records: list[tuple[ExternalKey, Payload[Any]]] = field(default_factory=list[tuple[ExternalKey, Payload[Any]]])
    unreadable: list[Unreadable] = field(default_factory=list[Unreadable])
    marks: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    coverage: object = None

    @property
    def versions(self) -> dict[ExternalKey, str | None]:
        return {key: payload.version for key, payload in self.records}


_law = Laws[SourceUnderTest]()


def source_laws() -> Sequence[Law[SourceUnderTest]]:
    """Every law of a Source."""
    return tuple(_law.all)


def _read(source: Source[Any], since: str | None = None) -> _Reading:
    reading = _Reading()
    items = cast("Iterator[object]", iter(source.fetch(since)))
    while True:
        try:
            item = next(items)
        except StopIteration as end:
            reading.coverage = end.value
            return reading
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


@_law
def a_fetch_yields_what_is_well_formed(given: SourceUnderTest) -> None:
    reading = _read(given.source)
    must(bool(reading.records), "the upstream under test must hold some records, and fetch yielded none")
    for key, version in reading.versions.items():
        must(not key.is_stand_in, f"the record {key} has a stand-in for a key: a row without an id is Unreadable")
        good = version is None or (type(version) is str and bool(version))
        must(good, f"the version of {key.key} is {version!r}: it is a text that is not empty, or None")
    for row in reading.unreadable:
        must(type(row.key) is ExternalKey, f"an Unreadable has the key {row.key!r}")
        must(bool(row.reason), f"the unreadable row {row.key.key} has no reason")
        must(row.data is not None, f"the unreadable row {row.key.key} is not kept: its data is None")
    for token, _ in reading.marks:
        must(type(token) is str and bool(token), f"a Mark has the token {token!r}")


@_law
def two_fetches_give_the_same_keys(given: SourceUnderTest) -> None:
    first, second = _read(given.source), _read(given.source)
    for which in first.versions.keys() ^ second.versions.keys():
        must(False, f"{which} came in one fetch and not in the other, and nothing had changed upstream")
    one, two = ({row.key for row in reading.unreadable} for reading in (first, second))
    must(one == two, "an unreadable row had another key in the second fetch: it would be a new reject each time")


@_law
def two_fetches_give_the_same_versions(given: SourceUnderTest) -> None:
    first, second = _read(given.source).versions, _read(given.source).versions
    for key in first.keys() & second.keys():
        must(
            first[key] == second[key],
            f"the version of {key.key} was {first[key]!r}, then {second[key]!r}: nothing had changed upstream",
        )


@_law
def different_records_have_different_keys(given: SourceUnderTest) -> None:
    reading = _read(given.source)
    seen: dict[ExternalKey, Payload[Any]] = {}
    for key, payload in reading.records:
        same = seen.setdefault(key, payload)
        must(same == payload, f"two different records came under the key {key}: is a part of the key missing?")


@_law
def a_fetch_says_what_it_covered(given: SourceUnderTest) -> None:
    coverage = _read(given.source).coverage
    if not isinstance(coverage, Coverage):
        must(False, "fetch returned no Coverage: no run of this source is ever complete")
        return
    must(coverage.complete or bool(coverage.reason), "an incomplete Coverage does not say why it is incomplete")
    must(coverage.complete or not coverage.snapshot_of, "an incomplete read claims to be a snapshot")
    must(all(coverage.snapshot_of), "a Coverage is a snapshot of a system without a name")


@_law
def a_snapshot_is_of_the_systems_that_were_read(given: SourceUnderTest) -> None:
    reading = _read(given.source)
    if isinstance(reading.coverage, Coverage) and reading.coverage.snapshot_of:
        read = {key.system for key in reading.versions}
        must(
            read & set(reading.coverage.snapshot_of) != set(),
            f"the snapshot is of {reading.coverage.snapshot_of}, and the records are of {sorted(read)}",
        )


@_law
def a_read_that_fails_raises(given: SourceUnderTest) -> None:
    needs(given.failing, "failing")
    for number, source in enumerate(given.failing):
        try:
            reading = _read(source)
        except SourceError:
            continue
        must(
            False,
            f"failing[{number}] returned {reading.coverage} after {len(reading.records)} records: a read that "
            "failed raises SourceError, or what it missed would count as vanished",
        )


@_law
def a_record_passes_validation_or_is_refused(given: SourceUnderTest) -> None:
    for key, payload in _read(given.source).records:
        try:
            given.source.validate(key, payload)
        except SourceError as error:
            must(not error.ends_run, f"validate ends the whole run because of {key.key}: {type(error).__name__}")
            must(bool(str(error)), f"validate does not say what is wrong with {key.key}")


@_law
def nothing_is_lost_by_going_on_from_a_mark(given: SourceUnderTest) -> None:
    everything = _read(given.source)
    for token, place in everything.marks:
        before = [key for key, _ in everything.records[:place]]
        after = _read(given.source, token).versions
        for key in everything.versions.keys() - after.keys() - set(before):
            must(False, f"{key.key} came after the mark {token!r}, and is not read when going on from it")


@_law
def going_on_from_a_mark_is_no_snapshot(given: SourceUnderTest) -> None:
    everything = _read(given.source)
    for token, _ in everything.marks:
        later = _read(given.source, token)
        if isinstance(later.coverage, Coverage):
            systems, within = later.coverage.snapshot_of, later.coverage.within
            for key in everything.versions.keys() - later.versions.keys():
                absent = key.system in systems and (within is None or within(key))
                must(not absent, f"{key.key} is left out since {token!r}, and by the Coverage it has vanished")


@_law
def a_checkpoint_that_is_not_understood_counts_as_none(given: SourceUnderTest) -> None:
    everything = _read(given.source).versions
    for token in ("law", "law:1", "law:2026-11-21T00:00:00+00:00"):
        try:
            since = _read(given.source, token).versions
        except CheckpointExpired:
            continue
        for key in everything.keys() - since.keys():
            must(False, f"the checkpoint {token!r} is nobody's, and {key.key} was left out because of it")


@_law
def a_change_upstream_is_another_version(given: SourceUnderTest) -> None:
    needs(given.change, "change")
    before = _read(given.source).versions
    changed = set(given.change()) if given.change else set[ExternalKey]()
    after = _read(given.source).versions
    must(bool(changed), "`change` changed nothing")
    for key in changed & before.keys():
        must(key in after, f"{key.key} changed upstream and is no longer read")
        new = after[key] is None or after[key] != before[key]
        must(new, f"{key.key} changed upstream and has the same version {after[key]!r}: it would be skipped")
    for key in (before.keys() & after.keys()) - changed:
        must(after[key] == before[key], f"{key.key} did not change upstream, and its version did")


@_law
def a_change_upstream_is_read_from_the_last_mark_on(given: SourceUnderTest) -> None:
    needs(given.change, "change")
    marks = _read(given.source).marks
    changed = set(given.change()) if given.change else set[ExternalKey]()
    for token, _ in marks[-1:]:
        later = _read(given.source, token).versions
        for key in changed - later.keys():
            must(False, f"{key.key} changed after the mark {token!r}, and is not read when going on from it")
