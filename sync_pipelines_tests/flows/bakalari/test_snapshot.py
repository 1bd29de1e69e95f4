"""A snapshot's JSON, and the keys in it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.flows.bakalari.snapshot import KINDS, Fact, Snapshot, enrollment_key, user_key

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
fields = st.dictionaries(texts, st.none() | st.integers() | texts, max_size=3)
some_facts = st.builds(Fact, fields, st.frozensets(texts, max_size=2), st.sampled_from(["now", "before", "gone"]))
of_a_kind = st.dictionaries(texts, some_facts, max_size=3)
snapshots = st.builds(Snapshot, st.fixed_dictionaries(dict.fromkeys(KINDS, of_a_kind)))


@given(snapshots)
def test_a_snapshot_is_its_json_again(snapshot: Snapshot) -> None:
    assert Snapshot.from_plain(json.loads(snapshot.to_json())) == snapshot


@given(snapshots)
def test_equal_snapshots_are_equal_texts_in_whatever_order_they_were_made(snapshot: Snapshot) -> None:
    other = Snapshot({})
    for kind in reversed(KINDS):
        turned = reversed(list(snapshot.of(kind).items()))
        other.facts[kind] = {key: f._replace(fields=dict(reversed(list(f.fields.items())))) for key, f in turned}
    assert other == snapshot
    assert other.to_json() == snapshot.to_json()


@given(snapshots)
def test_what_is_gone_is_known_and_not_there(snapshot: Snapshot) -> None:
    for kind in KINDS:
        gone = {key for key, fact in snapshot.of(kind).items() if fact.seen == "gone"}
        assert dict(snapshot.there(kind)).keys() == snapshot.of(kind).keys() - gone


def test_a_kind_that_an_older_snapshot_has_not_is_empty() -> None:
    assert Snapshot.from_plain({"class": []}) == Snapshot()


@given(texts, texts)
def test_an_enrollments_key_holds_its_user_and_subject_exactly(user: str, subject: str) -> None:
    assert json.loads(enrollment_key(user, subject)) == [user, subject]


def test_a_users_key_holds_the_code_exactly_and_the_type() -> None:
    assert user_key("teacher", "U  12") == "teacher:U  12"
    assert user_key("student", "U  12") != user_key("teacher", "U  12")
