"""Laws of what a reading of a school changes: what is gone, what stays, and whose word counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given

from sync_pipelines.flows.bakalari.merging import ROSTERS, Sighting, Whole, merged
from sync_pipelines.flows.bakalari.snapshot import Fact, Kind, Snapshot, enrollment_key
from sync_pipelines_tests.flows.bakalari.histories import (
    LISTS,
    STUDENTS,
    SUBJECTS,
    Read,
    Thing,
    befores,
    facts,
    readings,
    there,
)


def newly_gone(before: Snapshot, after: Snapshot) -> Iterator[tuple[Thing, Fact]]:
    """What was there and is not, as it was."""
    return ((thing, facts(before)[thing]) for thing in there(before) - there(after))


def of_a_gone_user(thing: Thing, fact: Fact, after: Snapshot) -> bool:
    user = after.of("user").get(str(fact.fields.get("user")))
    return thing[0] == "enrollment" and user is not None and user.seen == "gone"


# --- what is gone, and what is not ------------------------------------------------------------------------------


@given(befores, readings)
def test_without_a_list_that_is_whole_nothing_is_ever_gone(before: Snapshot, read: Read) -> None:
    # Of users who went before it is known that they learn nothing.
    change = replace(read, whole=Whole()).onto(before)
    assert all(of_a_gone_user(*each, change.snapshot) for each in newly_gone(before, change.snapshot))


@given(befores, readings)
def test_what_is_gone_stood_in_a_list_that_was_read_to_its_end_and_nobody_saw_it(
    before: Snapshot, read: Read
) -> None:
    after = read.onto(before).snapshot
    whole = read.whole.silent(before)
    for thing, fact in newly_gone(before, after):
        assert thing not in read.seen
        proven = any(whole.covers(by, thing[0], fact) for by in fact.by) and not read.holds(thing)
        assert proven or of_a_gone_user(thing, fact, after)


@given(befores, readings)
def test_what_a_whole_list_held_and_nobody_sees_is_gone_and_its_fields_stay(before: Snapshot, read: Read) -> None:
    after = read.onto(before).snapshot
    whole = read.whole.silent(before)
    for thing, fact in facts(before).items():
        if fact.seen == "gone" or thing in read.seen or read.holds(thing):
            continue
        if any(whole.covers(by, thing[0], fact) for by in fact.by):
            assert facts(after)[thing].seen == "gone"
            assert facts(after)[thing].fields == fact.fields


@given(befores, readings)
def test_what_is_seen_is_there_and_known_as_seen(before: Snapshot, read: Read) -> None:
    after = facts(read.onto(before).snapshot)
    assert {thing for thing, fact in after.items() if fact.seen == "now"} == read.seen


@given(befores, readings)
def test_what_is_held_is_not_gone_unless_it_is_what_a_gone_user_learnt(before: Snapshot, read: Read) -> None:
    after = read.onto(before).snapshot
    for thing, fact in newly_gone(before, after):
        assert not read.holds(thing) or of_a_gone_user(thing, fact, after)


@given(befores, readings)
def test_a_user_who_is_gone_learns_nothing_but_what_is_seen(before: Snapshot, read: Read) -> None:
    after = read.onto(before).snapshot
    for thing, fact in facts(after).items():
        assert not (of_a_gone_user(thing, fact, after) and fact.seen == "before")


@given(befores, readings)
def test_only_what_was_gone_before_is_ever_forgotten_and_only_if_it_is_settled(
    before: Snapshot, read: Read
) -> None:
    known, after = facts(before), facts(read.onto(before).snapshot)
    forgotten = {(k, key) for (k, key), fact in known.items() if fact.seen == "gone" and (k, key) in read.settled}
    assert known.keys() - after.keys() == forgotten - read.seen
    assert after.keys() - known.keys() == read.seen - known.keys()
    assert there(read.onto(before).snapshot) == there(read.onto(before, settled=()).snapshot)


@given(befores, readings)
def test_the_same_reading_once_more_changes_nothing(before: Snapshot, read: Read) -> None:
    # An empty sheet is doubted for as long as it is news, which the next test is about.
    read = replace(read, whole=replace(read.whole, empty=frozenset()))
    once = read.onto(before, settled=())
    twice = read.onto(once.snapshot, settled=())
    assert twice.snapshot == once.snapshot
    assert (twice.created, twice.updated, twice.gone, twice.restored) == (0, 0, 0, 0)
    assert twice.unchanged == len(read.seen)


def test_a_sheet_that_is_empty_takes_nobody_away_where_there_was_somebody() -> None:
    who, what = STUDENTS[0], SUBJECTS[0]
    enrolled = Sighting("enrollment", enrollment_key(who, what), {"user": who, "subject": what}, by=ROSTERS)
    student = Sighting("user", who, {"type": "student", "code": "a"}, by=ROSTERS)
    before = merged(Snapshot(), [enrolled, student], Whole()).snapshot
    whole = Whole(rosters=True, sheets_name_teachers=True)
    assert merged(before, [], replace(whole, empty=frozenset({what}))).gone == 0
    assert merged(before, [], replace(whole, empty=frozenset({"another"}))).gone == 2


@given(befores, readings)
def test_every_change_is_counted_once(before: Snapshot, read: Read) -> None:
    change = read.onto(before)
    known = facts(before)
    assert change.created + change.updated + change.unchanged == len(read.seen)
    assert change.created == len(read.seen - known.keys())
    assert change.restored == sum(known[thing].seen == "gone" for thing in read.seen & known.keys())
    assert change.gone == len(list(newly_gone(before, change.snapshot)))


@given(befores, readings)
def test_a_thing_is_listed_by_who_lists_it_now_and_by_who_was_not_asked_again(
    before: Snapshot, read: Read
) -> None:
    after, whole = facts(read.onto(before).snapshot), read.whole.silent(before)
    for kind, key in read.seen:
        now = {s.by for s in read.sightings if (s.kind, s.key) == (kind, key) and s.by}
        old = facts(before).get((kind, key), Fact({}))
        assert after[kind, key].by == now | {by for by in old.by if not whole.covers(by, kind, old)}


# --- which lists cover what -------------------------------------------------------------------------------------

CLASS, SUBJECT = Fact({"abbrev": "1.A"}), Fact({"abbrev": "M"})
STUDENT, TEACHER = Fact({"type": "student", "code": "a"}), Fact({"type": "teacher", "code": "a"})
ENROLLMENT = Fact({"user": "student:a", "subject": "1"})
ALL_SHEETS = Whole(rosters=True, sheets_name_teachers=True)
EVERYTHING = {f"rosters {what}" for what in LISTS}


@pytest.mark.parametrize(
    ("whole", "covered"),
    [
        (Whole(), set[str]()),
        (Whole(bulk=frozenset({"user"})), {"bulk student", "bulk teacher"}),
        (Whole(bulk=frozenset({"class", "enrollment"})), {"bulk class", "bulk enrollment"}),
        (Whole(public_classes=True), {"public class"}),
        (Whole(public_teachers=True), {"public teacher"}),
        (Whole(own=frozenset({"student:a"})), {"own enrollment"}),
        (Whole(own=frozenset({"student:b"})), set[str]()),
        (ALL_SHEETS, EVERYTHING),
        (replace(ALL_SHEETS, sheets_name_teachers=False), EVERYTHING - {"rosters teacher"}),
        (replace(ALL_SHEETS, unread=frozenset({"1"})), {"rosters subject", "rosters teacher"}),
        (replace(ALL_SHEETS, unread=frozenset({"2"})), EVERYTHING - {"rosters class", "rosters student"}),
        (replace(ALL_SHEETS, rosters=False), set[str]()),
    ],
)  # fmt: skip
def test_a_list_covers_what_it_would_have_shown(whole: Whole, covered: set[str]) -> None:
    things: dict[str, tuple[Kind, Fact]] = {
        "class": ("class", CLASS),
        "subject": ("subject", SUBJECT),
        "student": ("user", STUDENT),
        "teacher": ("user", TEACHER),
        "enrollment": ("enrollment", ENROLLMENT),
    }
    listed = [(by, what) for what in things for by in LISTS[what] if by]
    assert {f"{by} {what}" for by, what in listed if whole.covers(by, *things[what])} == covered
