"""The counters of a run: one mutable tally while it goes on, one frozen report for everyone else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from sync_pipelines.core.records import Difference

__all__ = ["Fact", "SyncReport", "Tally"]

_KEPT_ERRORS = 20
_KEPT_DIFFERENCES = 20
_NOT_KEPT = ("differences", "rows")

#: Something that a source learnt of its upstream: a word, a number, or the rows of a table.
Fact: TypeAlias = str | int | bool | Sequence[Mapping[str, str | int | bool]]


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a run did. `fetched == created + updated + skipped + failed`; `deleted` counts apart.

    `duration_ms` is wall time. `complete` is true when the read provably held everything there is.
    `errors` are sentences without personal data: the first refused records, and last what ended the run or
    kept it from being complete. `facts` are what the source learnt of its upstream on the way, without personal
    data.

    Not among what `to_dict` gives: `differences`, the first of what a plan would change, with the records' values,
    or of what a run changed, without; and `rows`, how many records of the upstream have a row that is not marked
    as vanished, where a complete read counted them.
    """

    stream: str
    partition: str | None = None
    fetched: int = 0
    created: int = 0
    updated: int = 0
    skipped: int = 0
    deleted: int = 0
    restored: int = 0
    failed: int = 0
    complete: bool = False
    requests: int = 0
    retries: int = 0
    duration_ms: int = 0
    errors: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])
    rows: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The counters as JSON-ready data; the keys are the field names, "facts" only where there are any."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("facts", *_NOT_KEPT)}
        facts = {"facts": dict(self.facts)} if self.facts else {}
        return {**values, "errors": list(self.errors), **facts}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SyncReport:
        """The inverse of `to_dict`; unknown keys are ignored."""
        known = {f.name for f in fields(cls)}.difference(_NOT_KEPT)
        kept: dict[str, Any] = {name: value for name, value in data.items() if name in known}
        kept["errors"] = tuple(kept.get("errors", ()))
        return cls(**kept)


@dataclass(slots=True)
class Tally:
    """The counters of a run under way. `ended_by` says why it is not complete, once that is known."""

    stream: str
    partition: str | None = None
    created: int = 0
    updated: int = 0
    skipped: int = 0
    deleted: int = 0
    restored: int = 0
    failed: int = 0
    complete: bool = False
    ended_by: str | None = None
    rows: int | None = None
    _errors: list[str] = field(default_factory=list[str])
    _more_errors: int = 0
    _differences: list[Difference] = field(default_factory=list[Difference])
    _started: float = field(default_factory=time.monotonic)

    def error(self, sentence: str) -> None:
        """Keep the first sentences and count the rest: a report stays small whatever the upstream sends."""
        if len(self._errors) < _KEPT_ERRORS:
            self._errors.append(_writable(sentence))
        else:
            self._more_errors += 1

    @property
    def room(self) -> int:
        """How many differences more are kept."""
        return _KEPT_DIFFERENCES - len(self._differences)

    def difference(self, difference: Difference) -> None:
        """Keep a sample of what changes."""
        if self.room:
            self._differences.append(difference)

    def report(
        self, *, requests: int = 0, retries: int = 0, facts: Mapping[str, Fact] | None = None
    ) -> SyncReport:
        """The counters as they stand now."""
        more = (f"… and {self._more_errors} more",) if self._more_errors else ()
        ended = (_writable(self.ended_by),) if self.ended_by else ()
        return SyncReport(
            stream=self.stream,
            partition=self.partition,
            fetched=self.created + self.updated + self.skipped + self.failed,
            created=self.created,
            updated=self.updated,
            skipped=self.skipped,
            deleted=self.deleted,
            restored=self.restored,
            failed=self.failed,
            complete=self.complete,
            requests=requests,
            retries=retries,
            duration_ms=round((time.monotonic() - self._started) * 1000),
            errors=(*self._errors, *more, *ended),
            differences=tuple(self._differences),
            facts={_writable(name): _fact(value) for name, value in (facts or {}).items()},
            rows=self.rows,
        )


def _fact(value: Fact) -> Fact:
    if isinstance(value, (str, int)):
        return _writable(value) if isinstance(value, str) else value
    return [{name: _writable(v) if isinstance(v, str) else v for name, v in row.items()} for row in value]


def _writable(sentence: str) -> str:
    """A sentence that any log and database can hold: it may quote the upstream, which may say anything."""
    return sentence.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
