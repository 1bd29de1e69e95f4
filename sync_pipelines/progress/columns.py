"""Changes of many lessons as columns, the form in which they are read, kept and merged by the million."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sync_pipelines.progress.merge import UNSAID, Change

__all__ = ["ChangeColumns", "columns_of"]


class ChangeColumns(NamedTuple):
    """The fields of changes, each as a column; all are of one length.

    None stands for what was not said; `score_last` and `last_seen_at` can be said to be None, and so have a column
    that tells.
    """

    lesson_id: Sequence[int]
    seen: Sequence[bool | None]
    completed: Sequence[bool | None]
    percent: Sequence[int | None]
    time_ms: Sequence[int | None]
    score_best: Sequence[int | None]
    score_last: Sequence[int | None]
    score_last_said: Sequence[bool]
    updated_at: Sequence[datetime]
    last_seen_at: Sequence[datetime | None]
    last_seen_at_said: Sequence[bool]


def columns_of(changes: Mapping[int, Change]) -> ChangeColumns:
    """The changes by lesson id, in their order."""
    all_of = list(changes.values())
    return ChangeColumns(
        lesson_id=list(changes),
        seen=[change.seen for change in all_of],
        completed=[change.completed for change in all_of],
        percent=[change.percent for change in all_of],
        time_ms=[change.time_ms for change in all_of],
        score_best=[change.score_best for change in all_of],
        score_last=[None if change.score_last is UNSAID else change.score_last for change in all_of],
        score_last_said=[change.score_last is not UNSAID for change in all_of],
        updated_at=[change.updated_at for change in all_of],
        last_seen_at=[None if change.last_seen_at is UNSAID else change.last_seen_at for change in all_of],
        last_seen_at_said=[change.last_seen_at is not UNSAID for change in all_of],
    )
