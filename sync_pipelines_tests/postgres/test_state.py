from collections.abc import Callable, Collection
from typing import Any

import pytest

from sync_pipelines.core import Binding, ExternalKey, MemoryTarget, Reject, Stage, StateError, SyncReport
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines_tests.core.workshop import counts, in_postgres, record

Query = Callable[..., list[Any]]
ID = "6f1b2c3d-0000-4000-8000-000000000001"
KEY = ExternalKey("bakalari:gymnazium:class", " 6")


@pytest.fixture
def store(session: Session) -> PostgresStateStore:
    return PostgresStateStore(session)


def test_a_binding_comes_back_as_it_was(store: PostgresStateStore, query: Query) -> None:
    store.bind(KEY, ID, "1:abc")
    assert store.get_binding(KEY) == Binding(KEY, ID, "1:abc")
    assert query("SELECT system, type, external_id FROM sync.external_refs") == [
        ("bakalari:gymnazium", "class", " 6")
    ]


def test_keys_that_differ_in_a_blank_or_in_their_system_are_different_keys(store: PostgresStateStore) -> None:
    keys = [
        KEY,
        ExternalKey(KEY.system, "6"),
        ExternalKey("bakalari:other:class", " 6"),
        ExternalKey("rooms", " 6"),
    ]
    store.bind_many([Binding(k, ID.replace("1", str(i)), str(i)) for i, k in enumerate(keys)])
    found = store.get_bindings([*keys, ExternalKey("rooms", "7")])
    assert {k: b.version for k, b in found.items()} == {k: str(i) for i, k in enumerate(keys)}


@pytest.mark.parametrize("new", [True, False])
def test_a_row_id_that_is_no_uuid_is_refused_and_says_what_to_do(store: PostgresStateStore, new: bool) -> None:
    with pytest.raises(StateError, match="no uuids"):
        store.bind_many([Binding(KEY, "7", "1:a")], new=new)
    assert store.get_binding(KEY) is None


def test_binding_again_replaces(store: PostgresStateStore) -> None:
    store.bind(KEY, ID, "1:a")
    store.bind(KEY, ID, None)
    assert list(store.iter_bindings(KEY.system)) == [Binding(KEY, ID, None)]
    assert list(store.iter_bindings("rooms")) == []


# --- notes beside a binding -------------------------------------------------------------------------------------

NOTES = "SELECT external_id, metadata FROM sync.external_refs ORDER BY external_id"


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(
    "note", [{"bakalariClassId": " XL", "gradeGuessed": True}, {}, {"a": [1, None, {"b": 'Łąka "\\'}]}, None]
)
def test_what_is_noted_beside_a_binding_is_json_for_people(
    store: PostgresStateStore, query: Query, note: dict[str, Any] | None, new: bool
) -> None:
    other = ExternalKey(KEY.system, "7")
    store.bind_many([Binding(KEY, ID, "1:a", metadata=note), Binding(other, ID, "1:a")], new=new)
    assert query(NOTES) == [(" 6", note), ("7", None)]


def test_a_note_changes_with_the_binding_and_stays_where_nothing_is_noted(
    store: PostgresStateStore, query: Query
) -> None:
    store.bind_many([Binding(KEY, ID, "1:a", metadata={"abbrev": "1.A"})])
    store.bind_many([Binding(KEY, ID, "1:b", metadata={"abbrev": "2.A"})])
    assert query(NOTES) == [(" 6", {"abbrev": "2.A"})]
    store.bind(KEY, ID, "1:c")
    assert query(NOTES) == [(" 6", {"abbrev": "2.A"})]
    store.mark_vanished([KEY])
    assert query(NOTES) == [(" 6", {"abbrev": "2.A"})]


@pytest.mark.parametrize("text", ["nul \x00", "half \ud800"])
def test_a_note_that_the_database_cannot_hold_as_json_is_kept_as_text(
    store: PostgresStateStore, query: Query, text: str
) -> None:
    store.bind_many([Binding(KEY, ID, "1:a", metadata={"name": text})])
    ((_, noted),) = query(NOTES)
    assert text.split()[0] in noted["json"]


def test_a_checkpoint_is_the_streams_own_and_survives_a_run(store: PostgresStateStore) -> None:
    store.save_checkpoint("a", "2026-11-21T00:00:00Z")
    store.run_started("a")
    store.run_ended("a", SyncReport("a", complete=True))
    assert store.get_checkpoint("a") == "2026-11-21T00:00:00Z"
    assert store.get_checkpoint("b") is None


def test_only_a_complete_run_moves_the_time_of_completeness(store: PostgresStateStore, query: Query) -> None:
    store.run_started("a")
    store.run_ended("a", SyncReport("a", complete=False, fetched=3, failed=3))
    columns = "last_started_at IS NOT NULL, last_complete_at IS NOT NULL, last_report->>'failed'"
    state = f"SELECT {columns} FROM sync.streams"
    assert query(state) == [(True, False, "3")]
    store.run_ended("a", SyncReport("a", complete=True))
    assert query(state) == [(True, True, "0")]


@pytest.mark.parametrize(
    "payload",
    [{"id": "1", "name": "Łąka"}, None, [1, 2], "text", {"nul": "a\x00b"}, {"half": "\ud800"}, {"n": 10**30}],
)
def test_a_reject_is_kept_whole(store: PostgresStateStore, query: Query, payload: object) -> None:
    store.save_rejects([Reject(KEY, Stage.MAPPING, "the title is blank", payload)])
    ((kept, stage, error),) = query("SELECT payload::text, stage, error FROM sync.rejects")
    assert (stage, error) == ("mapping", "the title is blank")
    for piece in ("Łąka", "text", "nul", "half", "a", "b", str(10**30)):
        if piece in str(payload):
            assert piece in kept


def test_a_repeated_reject_is_counted_and_a_good_record_settles_it(
    store: PostgresStateStore, query: Query
) -> None:
    for _ in range(3):
        store.save_rejects([Reject(KEY, Stage.SOURCE, "no name", {"id": "6"})])
    assert query("SELECT occurrences, resolved_at FROM sync.rejects") == [(3, None)]
    store.resolve_rejects([KEY])
    assert query("SELECT resolved_at IS NOT NULL FROM sync.rejects") == [True]
    store.save_rejects([Reject(KEY, Stage.SOURCE, "no name", {"id": "6"})])
    assert query("SELECT occurrences, resolved_at FROM sync.rejects") == [(4, None)]


STRANGE = [
    "a\x00b",
    "a\\u0000b",
    "\x00",
    "\ud800",
    "x\udfff",
    "\x1b",
    '\x1b"a"',
    "a\x1b",
    "a\tb\n",
    "\x01",
    "\\N",
    "\u2028",
]


@pytest.mark.parametrize("how", ["bind", "bind_many", "new", "load"])
@pytest.mark.parametrize("texts", [*([text] for text in STRANGE), STRANGE])
def test_any_text_is_a_key_and_no_two_are_one(store: PostgresStateStore, how: str, texts: list[str]) -> None:
    bindings = [Binding(ExternalKey("rooms", t), ID[:-1] + f"{i:x}", "1") for i, t in enumerate(texts)]
    keys, bound = [b.key for b in bindings], {b.key: b for b in bindings}
    if how == "bind":
        for b in bindings:
            store.bind(b.key, b.internal_id, b.version)
    elif how == "load":
        store.load_bindings("rooms", texts, [b.internal_id for b in bindings], ["1"] * len(texts))
    else:
        store.bind_many(bindings, new=how == "new")
    assert store.get_bindings(keys) == {b.key: b for b in store.iter_bindings("rooms")} == bound
    store.save_rejects([Reject(k, Stage.SOURCE, f"{k.key} is strange", {k.key: k.key}) for k in keys])
    assert set(store.open_rejects("rooms")) == set(keys)
    store.resolve_rejects(keys[1:])
    assert set(store.open_rejects("rooms")) == {keys[0]}
    store.mark_vanished(keys[:1])
    assert store.count_bindings("rooms") == len(keys) - 1


@pytest.mark.parametrize("version", ["1:a\x00b", "1:\ud800", "1:a\tb\n\\", "1:\x01"])
def test_any_text_is_a_version(store: PostgresStateStore, version: str) -> None:
    others = [Binding(ExternalKey(KEY.system, text), ID, "1:x") for text in "ab"]
    for new in (True, False):
        store.bind_many([others[0], Binding(KEY, ID, version), others[1]], new=new)
        found = store.get_binding(KEY)
        assert found is not None
        assert found.version is not None
        assert found.version.isprintable() or found.version == version


def test_a_reject_may_hold_what_is_no_json(store: PostgresStateStore, query: Query) -> None:
    for payload in ({"n": float("nan")}, {"n": float("inf")}, {"a": "\\u0000"}, "\udfff"):
        store.save_rejects([Reject(KEY, Stage.SOURCE, "half \ud800, nul \x00", payload)])
    assert query("SELECT occurrences FROM sync.rejects") == [4]


def test_a_binding_that_did_not_change_is_not_written(store: PostgresStateStore, query: Query) -> None:
    other = ExternalKey(KEY.system, "7")
    store.bind_many([Binding(KEY, ID, "1:a"), Binding(other, ID, None)])
    before = query("SELECT xmin::text, ctid::text FROM sync.external_refs")
    store.bind_many([Binding(KEY, ID, "1:a"), Binding(other, ID, None)])
    assert query("SELECT xmin::text, ctid::text FROM sync.external_refs") == before


def test_a_run_in_which_nothing_changed_writes_no_row_and_no_binding(session: Session, query: Query) -> None:
    workshop = in_postgres(session, query)
    items = [
        *(record(str(i), f"Kurs {i}") for i in range(50)),
        record("unversioned", "Fizyka", None),
        record("strange\x07", "Chemia", "a\x00b"),
        record("old", "Historia"),
    ]
    workshop.snapshot(items)
    workshop.snapshot(items[:-1])
    tables = {"wtl.courses": "wtl_course_id", "sync.external_refs": "external_id", "sync.rejects": "external_id"}
    look = [f"SELECT {order}, xmin::text, ctid::text FROM {name} ORDER BY 1" for name, order in tables.items()]
    before = [query(each) for each in look]
    for batch_size in (7, 10_000):
        assert counts(workshop.snapshot(items[:-1], batch_size=batch_size)) == {"skipped": 52}
    assert [query(each) for each in look] == before


def test_rows_of_another_kind_of_target_are_asked_for_many_at_a_time(store: PostgresStateStore) -> None:
    asked: list[int] = []

    class Counting(MemoryTarget):
        def alive(self, internal_ids: Collection[str]) -> Collection[str]:
            asked.append(len(internal_ids))
            return super().alive(internal_ids)

    bindings = [Binding(ExternalKey("rooms", str(i)), f"{ID[:-2]}{i:02}", "1") for i in range(50)]
    store.bind_many(bindings)
    store.mark_vanished([bindings[7].key])
    target = Counting()
    target.rows = {binding.internal_id: {} for binding in bindings if binding is not bindings[7]}
    assert store.all_alive("rooms", target)
    assert asked == [49]
    del target.rows[bindings[0].internal_id]
    assert not store.all_alive("rooms", target)
