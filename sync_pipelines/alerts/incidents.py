"""What is wrong becomes incidents, and incidents become notes: one when each starts, one when it ends, one a day.

Pure: it knows no clock, no database and no orchestrator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from sync_pipelines.alerts.problems import FAILING, Good, Kind, Observed, Problem
from sync_pipelines.flows.naming import flow_of

__all__ = ["Event", "Incident", "Note", "State", "reconcile"]

Event = Literal["start", "reminder", "end"]

_REMIND_AFTER = timedelta(days=1)
# So long a wave is gathered: when an upstream is down, its schools fail one after the other.
_GATHER = timedelta(minutes=2)
# A run's failure may be written in the event log more than once.
_RUNS_REMEMBERED = 20


@dataclass(frozen=True)
class Incident:
    """A problem from its start to its end. `held_by` says who still sees it: "runs", "states".

    `told_at` is when its start or the last reminder was told, `told_to` who was told; `closed` means that there is
    nothing left to tell. `runs` counts those that had the problem, of which `seen` are the last.
    """

    kind: Kind
    subject: str
    started_at: datetime
    held_by: frozenset[str]
    ended_at: datetime | None = None
    told_at: datetime | None = None
    told_to: frozenset[str] = frozenset()
    closed: bool = False
    said: str = ""
    run_id: str | None = None
    runs: int = 0
    seen: tuple[str, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict[str, float])
    streams: frozenset[str] = frozenset()
    left: bool = False
    id: int | None = None

    @property
    def key(self) -> tuple[Kind, str]:
        """No two that are open have the same."""
        return self.kind, self.subject

    @property
    def lasts(self) -> bool:
        """It has not ended."""
        return self.ended_at is None


@dataclass(frozen=True)
class Note:
    """One thing to tell: an event of incidents of one flow, and to whom. `others` last, and were told before."""

    event: Event
    flow: str
    incidents: tuple[Incident, ...]
    to: frozenset[str]
    others: tuple[Incident, ...] = ()


@dataclass(frozen=True)
class State:
    """What is known: the incidents that are not closed, and the position of the last run they were made of."""

    position: int
    incidents: tuple[Incident, ...] = ()


def reconcile(
    state: State, observed: Observed, now: datetime, *, receivers: frozenset[str], interval: timedelta
) -> tuple[State, list[Note]]:
    """The state after a look, closed incidents among its own, and what is to be told.

    `receivers` are those who can be told now. Where a flow has many subjects, what starts or ends within one
    `interval` of another is told together.
    """
    runs = sorted((run for run in observed.runs if run.position > state.position), key=lambda run: run.position)
    book = _Book(state.incidents)
    for run in runs:
        for problem in run.problems:
            book.begin(problem, "runs", run.at, run.run_id)
        for good in run.good:
            book.end_good(good, run.at)
    book.take_states(observed, now)
    for subject in observed.left:
        book.leave(subject, now)
    notes = [
        *_starts(book, observed, now, interval),
        *_reminders(book, now),
        *_ends(book, observed, now, interval),
    ]
    told = _Telling(book, now, receivers)
    notes = [note for note in map(told.tell, notes) if note.to]
    book.close_untold()
    position = max([state.position, *(run.position for run in runs)])
    return State(position, tuple(book.all())), notes


class _Book:
    """The incidents, while a look is taken in."""

    def __init__(self, incidents: Iterable[Incident]) -> None:
        self._by_key = {incident.key: incident for incident in incidents}

    def all(self) -> list[Incident]:
        return sorted(self._by_key.values(), key=lambda i: (i.started_at, i.subject, i.kind))

    def put(self, incident: Incident) -> Incident:
        self._by_key[incident.key] = incident
        return incident

    def begin(self, problem: Problem, by: str, at: datetime, run_id: str | None = None) -> None:
        """It starts, or lasts on; one whose end nobody was told of yet has not ended."""
        since = problem.since or at
        incident = self._by_key.get((problem.kind, problem.subject))
        if incident is None:
            incident = Incident(problem.kind, problem.subject, since, frozenset())
        if run_id is not None and run_id in incident.seen:
            return
        seen = incident.seen if run_id is None else (*incident.seen, run_id)[-_RUNS_REMEMBERED:]
        said = incident.said if incident.held_by and by == "runs" else ""  # the first error tells most
        # Of one that had ended, what it befell then is well again.
        befallen = incident.streams if incident.lasts else frozenset[str]()
        befell_any = not problem.streams or (incident.lasts and incident.runs > 0 and not befallen)
        self.put(
            replace(
                incident,
                held_by=incident.held_by | {by},
                ended_at=None,
                said=said or problem.said or incident.said,
                run_id=problem.run_id or incident.run_id,
                runs=incident.runs + (run_id is not None),
                seen=seen,
                counts=problem.counts or incident.counts,
                streams=frozenset() if befell_any else befallen | problem.streams,
                left=False,
            )
        )

    def end_good(self, good: Good, at: datetime) -> None:
        """What a good run ends, also of the flow as a whole where it was one of its subjects'."""
        for incident in self.all():
            named = incident.subject in (good.subject, flow_of(good.subject))
            if named and incident.kind in good.kinds and incident.streams <= good.streams:
                self._let_go(incident, "runs", at)

    def take_states(self, observed: Observed, now: datetime) -> None:
        states = [problem for problem in observed.states if problem.subject not in observed.left]
        grave = [problem for problem in states if problem.kind is not Kind.STALE]
        for problem in sorted(grave, key=lambda p: (p.kind, p.subject)):
            self.begin(problem, "states", now)
        seen = {(problem.kind, problem.subject) for problem in states} | observed.unclear
        for incident in self.all():
            if incident.key not in seen and (incident.kind, flow_of(incident.subject)) in observed.looked_at:
                self._let_go(incident, "states", now)
        # Last: whether staleness is news depends on what has just ended.
        for problem in sorted((p for p in states if p.kind is Kind.STALE), key=lambda p: p.subject):
            if not self._is_no_news(problem):
                self.begin(problem, "states", now)

    def _is_no_news(self, problem: Problem) -> bool:
        """Whoever knows that the runs fail knows that the data grows old."""
        if (problem.kind, problem.subject) in self._by_key:
            return False
        whose = (problem.subject, flow_of(problem.subject))
        return any(i.lasts and i.kind in FAILING and i.subject in whose for i in self._by_key.values())

    def _let_go(self, incident: Incident, by: str, at: datetime) -> None:
        if by not in incident.held_by:
            return
        held_by = incident.held_by - {by}
        self.put(replace(incident, held_by=held_by, ended_at=None if held_by else max(at, incident.started_at)))

    def leave(self, subject: str, now: datetime) -> None:
        for incident in self.all():
            if incident.subject == subject and incident.lasts:
                self.put(replace(incident, held_by=frozenset(), ended_at=now, left=True))

    def close_untold(self) -> None:
        """One that ended before anybody was told of it is nobody's concern."""
        for incident in self.all():
            if not incident.lasts and incident.told_at is None:
                self.put(replace(incident, closed=True))


@dataclass(frozen=True)
class _Telling:
    book: _Book
    now: datetime
    receivers: frozenset[str]

    def tell(self, note: Note) -> Note:
        """The note with its receivers, and its incidents as they are once it is told."""
        if note.event == "end":
            # Who never heard of the start wonders about the end.
            knowing = frozenset[str]().union(*(incident.told_to for incident in note.incidents))
            incidents = tuple(self.book.put(replace(i, closed=True)) for i in note.incidents)
            return replace(note, incidents=incidents, to=self.receivers & knowing)
        incidents = tuple(
            self.book.put(replace(i, told_at=self.now, told_to=i.told_to | self.receivers)) for i in note.incidents
        )
        return replace(note, incidents=incidents, to=self.receivers)


def _starts(book: _Book, observed: Observed, now: datetime, interval: timedelta) -> Iterable[Note]:
    for flow, incidents in _by_flow(i for i in book.all() if i.lasts and i.told_at is None):
        told = _lasting(book, flow)
        first = min(incident.started_at for incident in incidents)
        is_wave = flow in observed.busy and now - first < _GATHER
        just_told = any(incident.told_at and now - incident.told_at < interval for incident in told)
        if not (_is_of_many(incidents) and (is_wave or just_told)):
            yield Note("start", flow, incidents, frozenset(), told)


def _reminders(book: _Book, now: datetime) -> Iterable[Note]:
    due = (i for i in book.all() if i.lasts and i.told_at is not None and now - i.told_at >= _REMIND_AFTER)
    for flow, incidents in _by_flow(due):
        others = tuple(i for i in _lasting(book, flow) if i not in incidents)
        yield Note("reminder", flow, incidents, frozenset(), others)


def _ends(book: _Book, observed: Observed, now: datetime, interval: timedelta) -> Iterable[Note]:
    ended = (i for i in book.all() if not i.lasts and not i.closed and i.told_at is not None)
    for flow, incidents in _by_flow(ended):
        others = _lasting(book, flow)
        first = min(incident.ended_at or now for incident in incidents)
        is_wave = flow in observed.busy and now - first < _GATHER
        more_may_end = bool(others) and now - first < interval
        if not (_is_of_many(incidents) and (is_wave or more_may_end)):
            yield Note("end", flow, incidents, frozenset(), others)


def _lasting(book: _Book, flow: str) -> tuple[Incident, ...]:
    """Those of a flow that somebody was told of."""
    return tuple(i for i in book.all() if i.lasts and i.told_at is not None and flow_of(i.subject) == flow)


def _is_of_many(incidents: Iterable[Incident]) -> bool:
    return any(incident.subject != flow_of(incident.subject) for incident in incidents)


def _by_flow(incidents: Iterable[Incident]) -> list[tuple[str, tuple[Incident, ...]]]:
    flows: dict[str, list[Incident]] = {}
    for incident in incidents:
        flows.setdefault(flow_of(incident.subject), []).append(incident)
    return [(flow, tuple(members)) for flow, members in sorted(flows.items())]
