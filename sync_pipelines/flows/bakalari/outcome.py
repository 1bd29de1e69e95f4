"""What a reading of a school changes: worked out, landed, and reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from sync_pipelines.core import ExternalKey, Source, SyncReport, fingerprint
from sync_pipelines.core.report import Fact
from sync_pipelines.flows.bakalari.concluding import Conclusion, concluded
from sync_pipelines.flows.bakalari.landed import sources_of
from sync_pipelines.flows.bakalari.merging import Merged, merged
from sync_pipelines.flows.bakalari.reading import Asked, SchoolReading
from sync_pipelines.flows.bakalari.snapshot import KINDS, Kind, Snapshot
from sync_pipelines.postgres import rosters
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.settings import School

__all__ = ["ROSTER", "STREAMS", "Outcome", "worked_out"]

ROSTER = "bakalari/roster"
#: The stream of each kind of thing.
STREAMS: dict[Kind, str] = {
    "class": "bakalari/classes",
    "subject": "bakalari/subjects",
    "user": "bakalari/users",
    "enrollment": "bakalari/enrollments",
}
_NAMED = 5
# A report is kept of every run.
_MOST_ROWS = 100


def worked_out(session: Session, reading: SchoolReading, today: date, *, approved: bool) -> Outcome:
    """What a reading of `today` changes. Writes nothing. `approved` believes sheets that show nobody any more."""
    school = reading.school
    lies_there = rosters.landed(session, school.id)
    before = Snapshot() if lies_there is None else Snapshot.from_plain(lies_there.snapshot)
    conclusion = concluded(reading, today)
    if approved:
        conclusion.whole = replace(conclusion.whole, empty=frozenset())
    settled = _settled(session, school, before)
    change = merged(before, conclusion.sightings, conclusion.whole, held=conclusion.held, settled=settled)
    doubted = conclusion.whole.silent(before).unread - conclusion.whole.unread
    names = [account.user.school_name for account in reading.accounts if account.user and account.user.school_name]
    known = None if lies_there is None else lies_there.coverage["school"]
    return Outcome(reading, conclusion, change, doubted, names[0] if names else known)


def _settled(session: Session, school: School, before: Snapshot) -> set[tuple[Kind, str]]:
    """What is gone and has no unmarked row any more: a run that was killed or stopped may not have come to it."""
    gone: dict[ExternalKey, tuple[Kind, str]] = {
        ExternalKey(f"bakalari:{school.id}:{kind}", key): (kind, key)
        for kind in KINDS
        for key, fact in before.of(kind).items()
        if fact.seen == "gone"
    }
    bound = PostgresStateStore(session).get_bindings(list(gone))
    return {thing for key, thing in gone.items() if key not in bound or bound[key].remote_deleted_at is not None}


@dataclass(frozen=True)
class Outcome:
    """A reading, and what it changes. `doubted` are subjects of which a sheet shows nobody any more."""

    reading: SchoolReading
    conclusion: Conclusion
    merged: Merged
    doubted: frozenset[str]
    name: str | None

    def sources(self) -> Sequence[Source[Any]]:
        """What the tables are synced from."""
        return sources_of(self.reading.school, self.name, self.merged.snapshot, self.conclusion.refusals)

    def land(self, session: Session) -> None:
        """Make it what is known of the school."""
        whole = asdict(self.conclusion.whole)
        coverage = {
            "school": self.name,
            "asked": [asdict(asked) for asked in self.reading.asked],
            "whole": {name: sorted(v) if isinstance(v, frozenset) else v for name, v in whole.items()},
            "warnings": self._warnings(),
            "refused": [list(refusal) for refusal in self.conclusion.refusals],
        }
        snapshot = self.merged.snapshot.to_json()
        rosters.land(session, self.reading.school.id, snapshot, fingerprint(snapshot), coverage)

    def report(self, duration_ms: int) -> SyncReport:
        """Counted are things: classes, subjects, people and enrollments, as the snapshot gained or lost them."""
        change, reading = self.merged, self.reading
        refused = len(self.conclusion.refusals)
        missing = [asked for asked in reading.asked if not asked.complete]
        errors = [f"{asked.source}: {asked.outcome}: {asked.said}" for asked in missing[:_NAMED]]
        if self.doubted:
            errors.append(
                f"incomplete: of {len(self.doubted)} subjects a marking sheet shows nobody where somebody was: "
                "nobody was taken for gone; if that is so, approve it for one run with --allow-mass-vanish"
            )
        if missing:
            named = ", ".join(asked.source for asked in missing[:_NAMED])
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            of = f"{len(missing)} of {len(reading.asked)}"
            errors.append(f"incomplete: {of} sources did not give all they have: {named}{more}")
        return SyncReport(
            ROSTER,
            self.reading.school.id,
            fetched=change.created + change.updated + change.unchanged + refused,
            created=change.created,
            updated=change.updated,
            skipped=change.unchanged,
            deleted=change.gone,
            restored=change.restored,
            failed=refused,
            complete=not missing and not self.doubted,
            requests=reading.spent.requests,
            retries=reading.spent.retries,
            duration_ms=duration_ms,
            errors=tuple(errors),
            facts=self._facts(),
        )

    def _facts(self) -> dict[str, Fact]:
        there = self.merged.snapshot.there
        counts = {stream.partition("/")[2]: sum(1 for _ in there(kind)) for kind, stream in STREAMS.items()}
        return {**counts, **self._warnings(), "coverage": _table(self.reading.asked)}

    def _warnings(self) -> Mapping[str, int]:
        conflicts = {f"conflicts of {what}": count for what, count in self.merged.conflicts.items()}
        return {**self.conclusion.warnings, **conflicts}


def _table(asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """The rows of the coverage; of very many those that are well last, and the rest of them as one."""
    if len(asked) <= _MOST_ROWS:
        return [asdict(one) for one in asked]
    ordered = sorted(asked, key=lambda one: one.complete)
    shown, rest = ordered[:_MOST_ROWS], ordered[_MOST_ROWS:]
    outcome = "ok" if all(one.complete for one in rest) else "partial"
    more = Asked(
        f"{len(rest)} more", "", outcome, sum(one.requests for one in rest), "all are in bakalari.rosters"
    )
    return [asdict(one) for one in (*shown, more)]
