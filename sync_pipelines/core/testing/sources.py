"""The laws of a Source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sync_pipelines.core.records import Coverage, ExternalKey, Payload
from sync_pipelines.core.testing.laws import Law, must, needs
from sync_pipelines.core.testing.pages import page_laws
from sync_pipelines.core.testing.reading import SourceUnderTest, law, read
from sync_pipelines.errors import CheckpointExpired, SourceError

__all__ = ["SourceUnderTest", "source_laws"]


def source_laws() -> Sequence[Law[SourceUnderTest]]:
    """Every law of a Source, those of its pages among them."""
    return (*law.all, *page_laws())


@law
def a_fetch_yields_what_is_well_formed(given: SourceUnderTest) -> None:
    reading = read(given.source)
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


@law
def two_fetches_give_the_same_keys(given: SourceUnderTest) -> None:
    first, second = read(given.source), read(given.source)
    for which in first.versions.keys() ^ second.versions.keys():
        must(False, f"{which} came in one fetch and not in the other, and nothing had changed upstream")
    one, two = ({row.key for row in reading.unreadable} for reading in (first, second))
    must(one == two, "an unreadable row had another key in the second fetch: it would be a new reject each time")


@law
def two_fetches_give_the_same_versions(given: SourceUnderTest) -> None:
    first, second = read(given.source).versions, read(given.source).versions
    for key in first.keys() & second.keys():
        must(
            first[key] == second[key],
            f"the version of {key.key} was {first[key]!r}, then {second[key]!r}: nothing had changed upstream",
        )


@law
def different_records_have_different_keys(given: SourceUnderTest) -> None:
    reading = read(given.source)
    seen: dict[ExternalKey, Payload[Any]] = {}
    for key, payload in reading.records:
        same = seen.setdefault(key, payload)
        must(same == payload, f"two different records came under the key {key}: is a part of the key missing?")


@law
def a_fetch_says_what_it_covered(given: SourceUnderTest) -> None:
    coverage = read(given.source).coverage
    if not isinstance(coverage, Coverage):
        must(False, "fetch returned no Coverage: no run of this source is ever complete")
        return
    must(coverage.complete or bool(coverage.reason), "an incomplete Coverage does not say why it is incomplete")
    must(coverage.complete or not coverage.snapshot_of, "an incomplete read claims to be a snapshot")
    must(all(coverage.snapshot_of), "a Coverage is a snapshot of a system without a name")


@law
def a_snapshot_is_of_the_systems_that_were_read(given: SourceUnderTest) -> None:
    reading = read(given.source)
    if isinstance(reading.coverage, Coverage) and reading.coverage.snapshot_of:
        systems = {key.system for key in reading.versions}
        must(
            systems & set(reading.coverage.snapshot_of) != set(),
            f"the snapshot is of {reading.coverage.snapshot_of}, and the records are of {sorted(systems)}",
        )


@law
def a_read_that_fails_raises(given: SourceUnderTest) -> None:
    needs(given.failing, "failing")
    for number, source in enumerate(given.failing):
        try:
            reading = read(source)
        except SourceError:
            continue
        must(
            False,
            f"failing[{number}] returned {reading.coverage} after {len(reading.records)} records: a read that "
            "failed raises SourceError, or what it missed would count as vanished",
        )


@law
def a_record_passes_validation_or_is_refused(given: SourceUnderTest) -> None:
    for key, payload in read(given.source).records:
        try:
            given.source.validate(key, payload)
        except SourceError as error:
            must(not error.ends_run, f"validate ends the whole run because of {key.key}: {type(error).__name__}")
            must(bool(str(error)), f"validate does not say what is wrong with {key.key}")


@law
def nothing_is_lost_by_going_on_from_a_mark(given: SourceUnderTest) -> None:
    everything = read(given.source)
    for token, place in everything.marks:
        before = [key for key, _ in everything.records[:place]]
        after = read(given.source, token).versions
        for key in everything.versions.keys() - after.keys() - set(before):
            must(False, f"{key.key} came after the mark {token!r}, and is not read when going on from it")


@law
def going_on_from_a_mark_is_no_snapshot(given: SourceUnderTest) -> None:
    everything = read(given.source)
    for token, _ in everything.marks:
        later = read(given.source, token)
        if isinstance(later.coverage, Coverage):
            systems, within = later.coverage.snapshot_of, later.coverage.within
            for key in everything.versions.keys() - later.versions.keys():
                absent = key.system in systems and (within is None or within(key))
                must(not absent, f"{key.key} is left out since {token!r}, and by the Coverage it has vanished")


@law
def a_checkpoint_that_is_not_understood_counts_as_none(given: SourceUnderTest) -> None:
    everything = read(given.source).versions
    for token in ("law", "law:1", "law:2026-11-21T00:00:00+00:00"):
        try:
            since = read(given.source, token).versions
        except CheckpointExpired:
            continue
        for key in everything.keys() - since.keys():
            must(False, f"the checkpoint {token!r} is nobody's, and {key.key} was left out because of it")


@law
def a_change_upstream_is_another_version(given: SourceUnderTest) -> None:
    needs(given.change, "change")
    before = read(given.source).versions
    changed = set(given.change()) if given.change else set[ExternalKey]()
    after = read(given.source).versions
    must(bool(changed), "`change` changed nothing")
    for key in changed & before.keys():
        must(key in after, f"{key.key} changed upstream and is no longer read")
        new = after[key] is None or after[key] != before[key]
        must(new, f"{key.key} changed upstream and has the same version {after[key]!r}: it would be skipped")
    for key in (before.keys() & after.keys()) - changed:
        must(after[key] == before[key], f"{key.key} did not change upstream, and its version did")


@law
def a_change_upstream_is_read_from_the_last_mark_on(given: SourceUnderTest) -> None:
    needs(given.change, "change")
    marks = read(given.source).marks
    changed = set(given.change()) if given.change else set[ExternalKey]()
    for token, _ in marks[-1:]:
        later = read(given.source, token).versions
        for key in changed - later.keys():
            must(False, f"{key.key} changed after the mark {token!r}, and is not read when going on from it")
