"""Learning progress of one learner: reading it, and merging what a device says, by the rules of `progress.merge`.

`progress_bulk` merges many learners' at once, by the same rules in SQL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Any

from sync_pipelines.errors import KeyReused
from sync_pipelines.postgres.engine import Session
from sync_pipelines.progress.merge import MAX_TIME_MS, Change, Counter, Lesson, Progress, Stored, merge

__all__ = [
    "Merged",
    "answer_once",
    "merge_changes",
    "note_imports",
    "noted_imports",
    "progress_of",
    "purge_imports",
]

_ROW = ", ".join(f.name for f in fields(Progress))
# In the order of merge.Progress: the arrays that its rows are written from.
_TYPES = ("timestamptz", "boolean", "boolean", "smallint", "smallint", "smallint", "timestamptz")


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a device's changes. `imported` are known lessons, `updated` those whose row is new or whose
    stamp moved forward, `unknown` those that no platform has. `received_at` is the server's time of the merge.
    """

    imported: int
    updated: int
    unknown: Sequence[int]
    received_at: datetime


def progress_of(
    session: Session, user_id: str, device_id: str = "", only: Sequence[int] | None = None
) -> Mapping[int, Lesson]:
    """A learner's lessons, or some of them, by id in ascending order; the own time is that of the device."""
    query = (
        f"SELECT p.lesson_id, p.time_ms, coalesce(d.time_ms, 0), p.{_ROW.replace(', ', ', p.')} "
        f"FROM {session.table('learning.lesson_progress')} p "
        f"LEFT JOIN {session.table('learning.device_time')} d "
        "ON d.user_id = p.user_id AND d.lesson_id = p.lesson_id AND d.device_id = %s "
        "WHERE p.user_id = %s AND (%s::bigint[] IS NULL OR p.lesson_id = ANY(%s)) ORDER BY p.lesson_id"
    )
    with session.cursor() as cursor:
        wanted = None if only is None else list(only)
        rows = cursor.execute(query, [device_id, user_id, wanted, wanted]).fetchall()
    return {row[0]: Lesson(Progress(*row[3:]), row[2], max(row[1] - row[2], 0)) for row in rows}


def answer_once(
    session: Session,
    user_id: str,
    device_id: str,
    import_key: str,
    payload_sha256: str,
    work: Callable[[], dict[str, Any]],
) -> tuple[dict[str, Any], bool]:
    """What `work` answered when this import came first, and whether that was before; it runs once, all or nothing.

    A second one at the same time waits for the first. Raises KeyReused where the key came with another payload.
    """
    ledger = session.table("learning.progress_imports")
    key = [user_id, device_id, import_key]
    this = "user_id = %s AND device_id = %s AND import_key = %s"
    note = (
        f"INSERT INTO {ledger} (user_id, device_id, import_key, payload_sha256, result) "
        "VALUES (%s, %s, %s, %s, '{}') ON CONFLICT DO NOTHING RETURNING 1"
    )
    with session.cursor() as cursor:
        # Once more where it was just forgotten, being old.
        while cursor.execute(note, [*key, payload_sha256]).fetchone() is None:
            query = f"SELECT payload_sha256, result FROM {ledger} WHERE {this}"
            if before := cursor.execute(query, key).fetchone():
                sha256, result = before
                if sha256 != payload_sha256:
                    raise KeyReused("the idempotency key was used for another payload: take a new one")
                return result, True
        result = work()
        cursor.execute(f"UPDATE {ledger} SET result = %s::jsonb WHERE {this}", [json.dumps(result), *key])
        return result, False


def merge_changes(session: Session, user_id: str, device_id: str, changes: Mapping[int, Change]) -> Merged:
    """Merge what a device says, all of it in one transaction. Two at once wait for each other's lessons."""
    with session.cursor() as cursor:
        known = _known(session, cursor, changes)
        stored, now = _locked(session, cursor, user_id, known)
        merged = {identity: merge(stored[identity], changes[identity], device_id, now) for identity in known}
        _write(session, cursor, user_id, device_id, stored, merged)
    updated = sum(
        (before := stored[identity]) is None or after.row.updated_at > before.row.updated_at
        for identity, after in merged.items()
    )
    unknown = [identity for identity in changes if identity not in merged]
    return Merged(len(known), updated, unknown, now)


def _known(session: Session, cursor: Any, lessons: Iterable[int]) -> list[int]:
    """Those that a platform has or had, in ascending order; its rows may lie in another application's table."""
    rows, bindings = session.table("wtl.lessons"), session.table("sync.external_refs")
    ids = [str(identity) for identity in lessons]
    query = (
        f"SELECT wtl_lesson_id::bigint FROM {rows} WHERE wtl_lesson_id = ANY(%s) "
        f"UNION SELECT external_id::bigint FROM {bindings} "
        "WHERE system = 'wtl' AND type = 'lesson' AND external_id = ANY(%s) ORDER BY 1"
    )
    return [row[0] for row in cursor.execute(query, [ids, ids])]


def _locked(
    session: Session, cursor: Any, user_id: str, lessons: Sequence[int]
) -> tuple[dict[int, Stored | None], datetime]:
    """What is stored of these lessons, None of those that are new, with their rows locked; and the server's time.

    A row that is not there cannot be locked: it is made first, so that whoever comes second finds it. The time is
    asked once the locks are held: no stamp that another has just stored lies after it.
    """
    progress, device_time = session.table("learning.lesson_progress"), session.table("learning.device_time")
    made = cursor.execute(
        f"INSERT INTO {progress} (user_id, lesson_id, updated_at) "
        "SELECT %s, lesson_id, now() FROM unnest(%s::bigint[]) lesson_id ORDER BY lesson_id "
        "ON CONFLICT DO NOTHING RETURNING lesson_id",
        [user_id, list(lessons)],
    ).fetchall()
    new = {row[0] for row in made}
    these = "WHERE user_id = %s AND lesson_id = ANY(%s)"
    rows = cursor.execute(
        f"SELECT lesson_id, time_ms, {_ROW} FROM {progress} {these} ORDER BY lesson_id FOR UPDATE",
        [user_id, list(lessons)],
    ).fetchall()
    counters: dict[int, dict[str, Counter]] = {}
    for lesson, device, *counter in cursor.execute(
        f"SELECT lesson_id, device_id, time_ms, ahead FROM {device_time} {these}", [user_id, list(lessons)]
    ):
        counters.setdefault(lesson, {})[device] = Counter(*counter)
    (now,) = cursor.execute("SELECT clock_timestamp()").fetchone()
    stored: dict[int, Stored | None] = {
        lesson: Stored(Progress(*row), counters.get(lesson, {})) for lesson, _, *row in rows if lesson not in new
    }
    return stored | dict.fromkeys(new), now


def _write(
    session: Session,
    cursor: Any,
    user_id: str,
    device_id: str,
    before: Mapping[int, Stored | None],
    merged: Mapping[int, Stored],
) -> None:
    changed = {lesson: stored for lesson, stored in merged.items() if stored != before[lesson]}
    if not changed:
        return
    rows = zip(*(astuple(stored.row) for stored in changed.values()), strict=True)
    arrays = ", ".join(f"%s::{kind}[]" for kind in _TYPES)
    cursor.execute(
        f"UPDATE {session.table('learning.lesson_progress')} p "
        f"SET ({_ROW}, time_ms) = (n.{_ROW.replace(', ', ', n.')}, "
        # What no device has told, because the row was brought some other way, stays.
        "least(p.time_ms::numeric + n.more_ms, %s)) "
        f"FROM unnest(%s::bigint[], %s::numeric[], {arrays}) n (lesson_id, more_ms, {_ROW}) "
        "WHERE p.user_id = %s AND p.lesson_id = n.lesson_id",
        [MAX_TIME_MS, list(changed), [_more(before[i], one, device_id) for i, one in changed.items()]]
        + [list(column) for column in rows]
        + [user_id],
    )
    counters = [stored.devices[device_id] for stored in changed.values()]
    cursor.execute(
        f"INSERT INTO {session.table('learning.device_time')} (user_id, lesson_id, device_id, time_ms, ahead) "
        "SELECT %s, n.lesson_id, %s, n.time_ms, n.ahead "
        "FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) n (lesson_id, time_ms, ahead) "
        "ON CONFLICT (user_id, lesson_id, device_id) "
        "DO UPDATE SET time_ms = excluded.time_ms, ahead = excluded.ahead",
        [user_id, device_id, list(changed), [c.time_ms for c in counters], [c.ahead for c in counters]],
    )


def _more(before: Stored | None, after: Stored, device_id: str) -> int:
    """By how much the device's own time has grown."""
    known = before.devices.get(device_id, Counter()).time_ms if before else 0
    return after.devices[device_id].time_ms - known


def note_imports(session: Session, imports: Sequence[tuple[str, str, str, str]], result: str) -> set[str]:
    """Note that these came: user_id, device_id, import_key, payload_sha256. Gives the keys of the new ones."""
    columns = [list(column) for column in zip(*imports, strict=True)] or [[], [], [], []]
    with session.cursor() as cursor:
        new = cursor.execute(
            f"INSERT INTO {session.table('learning.progress_imports')} "
            "(user_id, device_id, import_key, payload_sha256, result) "
            "SELECT *, jsonb_build_object('result', %s::text) "
            "FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) "
            "ON CONFLICT DO NOTHING RETURNING import_key",
            [result, *columns],
        ).fetchall()
    return {row[0] for row in new}


def noted_imports(session: Session, keys: Sequence[str]) -> set[str]:
    """Those of the import keys that came before, whoever sent them."""
    query = f"SELECT import_key FROM {session.table('learning.progress_imports')} WHERE import_key = ANY(%s)"
    with session.cursor() as cursor:
        return {row[0] for row in cursor.execute(query, [list(keys)])}


def purge_imports(session: Session, before: datetime) -> int:
    """Forget the imports that came before a time: what comes again is then merged again, and changes nothing."""
    with session.cursor() as cursor:
        ledger = session.table("learning.progress_imports")
        return cursor.execute(f"DELETE FROM {ledger} WHERE received_at < %s", [before]).rowcount
