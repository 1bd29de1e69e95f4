"""Learning progress of many learners at once: their devices' states land, and are merged by the rules of
`progress.merge` in SQL. It knows no file and no JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from sync_pipelines.postgres.copying import copy_in
from sync_pipelines.postgres.engine import Session
from sync_pipelines.progress.columns import ChangeColumns
from sync_pipelines.progress.merge import MAX_TIME_MS

__all__ = ["PORTION", "BulkMerged", "LandedState", "count_landed", "land", "merge_landed"]

#: Landed rows that are merged in one transaction, about; while it lasts, nobody else writes progress.
PORTION = 50_000

_COLUMNS = (
    *("seen", "completed", "percent", "time_ms", "score_best", "score_last"),
    *("updated_at", "last_seen_at"),
)
_FLAGS = {None: None, False: "f", True: "t"}.__getitem__
_FLAG_COLUMNS = {"seen", "completed", "score_last_said", "last_seen_at_said"}
_PERCENTS = {None: None, **{number: str(number) for number in range(101)}}.__getitem__
_PERCENT_COLUMNS = {"percent", "score_best", "score_last"}


@dataclass(frozen=True, slots=True)
class LandedState:
    """What one device of a learner says of its lessons."""

    user_id: str
    device_id: str
    changes: ChangeColumns


@dataclass(frozen=True, slots=True)
class BulkMerged:
    """What became of landed rows. `created` and `updated` are rows of progress; `skipped` are the landed rows over
    and above them: those that changed nothing, or the same row as another. Together they are what was merged.
    """

    created: int
    updated: int
    skipped: int


def land(session: Session, states: Iterable[LandedState]) -> int:
    """Keep the states until `merge_landed`, in the order in which they came; gives the number of lessons."""
    kept = list(states)
    counts = [len(state.changes.lesson_id) for state in kept]
    if not sum(counts):
        return 0
    owners = [
        [text for text, count in zip(texts, counts, strict=True) for _ in range(count)]
        for texts in ([state.user_id for state in kept], [state.device_id for state in kept])
    ]
    fields = [
        _as_text(name, list(chain.from_iterable(columns)))
        for name, columns in zip(
            ChangeColumns._fields, zip(*(state.changes for state in kept), strict=True), strict=True
        )
    ]
    names = ", ".join(("user_id", "device_id", *ChangeColumns._fields))
    with session.cursor() as cursor:
        copy_in(cursor, f"{session.table('learning.device_states')} ({names})", [*owners, *fields])
    return sum(counts)


def _as_text(name: str, column: list[Any]) -> list[Any]:
    """The column as COPY reads it soonest: few values that are often the same are looked up."""
    if name in _FLAG_COLUMNS:
        return list(map(_FLAGS, column))
    return list(map(_PERCENTS, column)) if name in _PERCENT_COLUMNS else column


def count_landed(session: Session) -> int:
    """The landed rows that are still to be merged, those that wait for their lesson included."""
    with session.cursor() as cursor:
        return cursor.execute(f"SELECT count(*) FROM {session.table('learning.device_states')}").fetchone()[0]


def merge_landed(session: Session, *, portion: int = PORTION, now: datetime | None = None) -> Iterator[BulkMerged]:
    """Merge what has landed of known lessons, and delete it there; what lands meanwhile is left for the next time.

    Each portion, of about so many rows and of whole learners, is a transaction: a failure keeps those before it.
    Call it outside of any. `now` is the server's time, where it is not to be asked.
    """
    names = {
        name: session.table(f"learning.{name}") for name in ("lesson_progress", "device_time", "device_states")
    }
    names |= {
        "lessons": session.table("wtl.lessons"),
        "bindings": session.table("sync.external_refs"),
        "columns": ", ".join(_COLUMNS),
        "p_columns": ", ".join(f"p.{column}" for column in _COLUMNS),
        "m_columns": ", ".join(f"m.{column}" for column in _COLUMNS),
    }
    with session.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.progress_portions")
        cursor.execute(_DIVIDE.format(**names, portion=portion))
        (portions,) = cursor.execute("SELECT count(*) FROM pg_temp.progress_portions").fetchone()
    for number in range(portions):
        with session.cursor() as cursor:
            merged = _merge_portion(cursor, names, number, now)
        yield merged
    with session.cursor() as cursor:
        cursor.execute("DROP TABLE pg_temp.progress_portions")


def _merge_portion(cursor: Any, names: Mapping[str, str], number: int, now: datetime | None) -> BulkMerged:
    # Readers are not held up. Writers are, so that no row changes between our looking at it and our writing it.
    cursor.execute(f"LOCK TABLE {names['lesson_progress']} IN SHARE ROW EXCLUSIVE MODE")
    # Asked once nobody else writes: no stamp that another has just stored lies after it.
    (now,) = cursor.execute("SELECT coalesce(%s, clock_timestamp())", [now]).fetchone()
    values = {"now": now, "number": number, "most": MAX_TIME_MS}

    def run(statement: str) -> int:
        return cursor.execute(statement.format(**names), values).rowcount

    run(_TAKEN)
    taken = run(_TAKE)
    run(_MERGE)
    # Nearly always all of its rows are new, or none: a half of them would call for other plans.
    run("ANALYZE pg_temp.progress_merged (is_new)")
    run(_TELL)
    updated, created = run(_UPDATE), run(_CREATE)
    run("DROP TABLE pg_temp.progress_taken, pg_temp.progress_merged")
    return BulkMerged(created, updated, taken - created - updated)


# Which rows are merged together: those of a learner never come apart.
_DIVIDE = """
CREATE TEMP TABLE progress_portions AS
WITH known AS (
  SELECT d.id, d.user_id FROM {device_states} d JOIN (
    SELECT wtl_lesson_id COLLATE "C" AS id FROM {lessons}
    UNION SELECT external_id FROM {bindings} WHERE system = 'wtl' AND type = 'lesson'
  ) l ON l.id = d.lesson_id::text COLLATE "C"
),
learner AS (
  SELECT user_id, (sum(count(*)) OVER (ORDER BY user_id) - 1)::bigint / {portion} AS portion
  FROM known GROUP BY user_id
)
SELECT row_number() OVER (ORDER BY portion) - 1 AS number, array_agg(id) AS ids
FROM known JOIN learner USING (user_id) GROUP BY portion
"""

# The rows of a portion, each with whether its change is newer than what is stored and was not said before.
_TAKEN = """
CREATE TEMP TABLE progress_taken ON COMMIT DROP AS
SELECT d.*, d.updated_at AS stamp, false AS newer, d.time_ms AS known_ms FROM {device_states} d WITH NO DATA
"""
_TAKE = """
WITH taken AS (
  DELETE FROM {device_states}
  WHERE id IN (SELECT unnest(ids) FROM pg_temp.progress_portions WHERE number = %(number)s)
  RETURNING *
)
INSERT INTO pg_temp.progress_taken
SELECT t.*, least(t.updated_at, %(now)s),
  (p.updated_at IS NULL OR least(t.updated_at, %(now)s) > p.updated_at)
  AND (c.ahead IS NULL OR t.updated_at <> c.ahead AND NOT (t.updated_at > %(now)s AND t.updated_at < c.ahead)),
  coalesce(c.time_ms, 0)
FROM taken t
LEFT JOIN {lesson_progress} p USING (user_id, lesson_id)
LEFT JOIN {device_time} c USING (user_id, lesson_id, device_id)
"""

# The rows that are to be written, as they are to be. Of newer changes with one stamp the first counts; a field has
# what the last of those that count and say it says.
_MERGE = """
CREATE TEMP TABLE progress_merged ON COMMIT DROP AS
WITH taken AS (
  SELECT *,
    newer AND 1 = row_number() OVER (
      PARTITION BY user_id, lesson_id, newer, stamp ORDER BY updated_at DESC, id) AS counts,
    CASE row_number() OVER (PARTITION BY user_id, lesson_id, device_id ORDER BY time_ms DESC NULLS LAST)
      WHEN 1 THEN greatest(time_ms - known_ms, 0) END AS more_ms
  FROM pg_temp.progress_taken
),
merged AS (
  SELECT user_id, lesson_id,
    max(stamp) FILTER (WHERE counts) AS updated_at,
    (array_agg(seen ORDER BY stamp DESC) FILTER (WHERE counts AND seen IS NOT NULL))[1] AS seen,
    (array_agg(completed ORDER BY stamp DESC) FILTER (WHERE counts AND completed IS NOT NULL))[1] AS completed,
    (array_agg(percent ORDER BY stamp DESC) FILTER (WHERE counts AND percent IS NOT NULL))[1] AS percent,
    (array_agg(score_last ORDER BY stamp DESC) FILTER (WHERE counts AND score_last_said))[1] AS score_last,
    bool_or(counts AND score_last_said) AS score_last_said,
    (array_agg(last_seen_at ORDER BY stamp DESC) FILTER (WHERE counts AND last_seen_at_said))[1] AS last_seen_at,
    bool_or(counts AND last_seen_at_said) AS last_seen_at_said,
    max(score_best) AS score_best,
    coalesce(sum(more_ms), 0) AS more_ms
  FROM taken GROUP BY user_id, lesson_id
),
row AS (
  SELECT user_id, lesson_id, p.user_id IS NULL AS is_new, ({p_columns}) AS was,
    coalesce(m.seen, p.seen, false) AS seen,
    coalesce(m.completed, p.completed, false) AS completed,
    coalesce(m.percent, p.percent, 0::smallint) AS percent,
    least(coalesce(p.time_ms, 0) + m.more_ms, %(most)s)::bigint AS time_ms,
    greatest(m.score_best, p.score_best) AS score_best,
    CASE WHEN m.score_last_said THEN m.score_last ELSE p.score_last END AS score_last,
    coalesce(m.updated_at, least(p.updated_at, %(now)s)) AS updated_at,
    CASE WHEN s.last_seen_at > %(now)s THEN %(now)s ELSE s.last_seen_at END AS last_seen_at
  FROM merged m LEFT JOIN {lesson_progress} p USING (user_id, lesson_id)
  CROSS JOIN LATERAL (
    SELECT CASE WHEN m.last_seen_at_said THEN m.last_seen_at ELSE p.last_seen_at END AS last_seen_at
  ) s
)
SELECT user_id, lesson_id, is_new, {columns} FROM row WHERE was IS DISTINCT FROM ({columns})
"""

_TELL = """
INSERT INTO {device_time} AS c (user_id, lesson_id, device_id, time_ms, ahead)
SELECT user_id, lesson_id, device_id,
  coalesce(max(time_ms), 0), max(updated_at) FILTER (WHERE updated_at > %(now)s)
FROM pg_temp.progress_taken GROUP BY user_id, lesson_id, device_id ORDER BY user_id, lesson_id, device_id
ON CONFLICT (user_id, lesson_id, device_id) DO UPDATE
SET time_ms = greatest(c.time_ms, excluded.time_ms), ahead = greatest(c.ahead, excluded.ahead)
WHERE excluded.time_ms > c.time_ms OR excluded.ahead > c.ahead OR (c.ahead IS NULL AND excluded.ahead IS NOT NULL)
"""

_UPDATE = """
UPDATE {lesson_progress} p SET ({columns}) = ({m_columns})
FROM pg_temp.progress_merged m WHERE NOT m.is_new AND p.user_id = m.user_id AND p.lesson_id = m.lesson_id
"""
_CREATE = """
INSERT INTO {lesson_progress} (user_id, lesson_id, {columns})
SELECT user_id, lesson_id, {columns} FROM pg_temp.progress_merged WHERE is_new ORDER BY user_id, lesson_id
"""
