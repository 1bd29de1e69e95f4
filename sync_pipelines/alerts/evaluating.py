"""One look: what Dagster and the database show becomes incidents and messages, and they go out.

Incidents and messages are written in one transaction. Any number of processes may look: one at a time does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from sync_pipelines.alerts import states
from sync_pipelines.alerts.delivery import clock, deliver
from sync_pipelines.alerts.history import History
from sync_pipelines.alerts.incidents import Incident, State, reconcile
from sync_pipelines.alerts.problems import EndedRun, Kind, Observed, Problem
from sync_pipelines.alerts.receivers import receivers
from sync_pipelines.alerts.rows import incident_of, row_of
from sync_pipelines.alerts.states import FlowInUse, flows_in_use, is_left
from sync_pipelines.alerts.wording import Message, Surroundings, write
from sync_pipelines.errors import DatabaseError, DatabaseUnavailable
from sync_pipelines.flows.database import open_database, require_schema
from sync_pipelines.postgres.alerts import AlertTables, NewAlert, accounts_needing_login, stream_states
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.settings import Settings

__all__ = ["DAGSTER", "deliver_what_is_due", "look_and_deliver"]

#: The subject of trouble with Dagster itself.
DAGSTER = "dagster"
# An event's id is given before it can be read: who reads on at once passes by one that comes late.
_SETTLED = timedelta(seconds=5)
_DAEMONS_TICK_WITHIN = timedelta(minutes=5)


def look_and_deliver(
    settings: Settings, history: History, *, daemons: bool = False, now: Callable[[], datetime] = clock
) -> None:
    """Take in what there is to see, and give receivers what they do not have yet.

    `daemons`: also whether they tick, which none of them can say of itself. Raises DatabaseError, of which
    SchemaError says that the tables are not there yet.
    """
    database = open_database(settings, "alerts")
    try:
        with database.session() as session:
            _look(session, settings, history, now(), daemons=daemons)
    except DatabaseUnavailable:
        raise
    except DatabaseError:
        require_schema(database)
        raise
    deliver_what_is_due(settings, now)


def deliver_what_is_due(settings: Settings, now: Callable[[], datetime] = clock) -> None:
    """Give receivers what they do not have yet."""
    database = open_database(settings, "alerts")
    deliver(lambda: _outbox(database), receivers(settings.alerted()), now)


@contextmanager
def _outbox(database: Database) -> Generator[AlertTables, None, None]:
    with database.session() as session:
        yield AlertTables(session)


def _look(session: Session, settings: Settings, history: History, now: datetime, *, daemons: bool) -> None:
    tables = AlertTables(session)
    if not tables.try_alone("looking"):
        return
    told = frozenset(receiver.fingerprint for receiver in receivers(settings.alerted()))
    interval = timedelta(minutes=settings.every_minutes)
    with session.transaction():
        before = tables.position()
        state = State(before or 0, tuple(map(incident_of, tables.open_incidents())))
        runs, position = _ended_since(before, history, now)
        used, unused = flows_in_use(settings)
        observed = _states(session, settings, used, history, now)
        observed = replace(
            _with_daemons(observed, history, now) if daemons else observed,
            runs=runs,
            left=frozenset(i.subject for i in state.incidents if is_left(i.subject, used, unused)),
            busy=history.busy(),
        )
        after, notes = reconcile(state, observed, now, receivers=told, interval=interval)
        sizes = {one.flow.name: len(one.members) for one in used if one.members is not None}
        around = Surroundings(settings.dagster_webserver_url, sizes)
        changed = [incident for incident in after.incidents if incident not in state.incidents]
        messages = _new_alerts(changed, [write(note, around, now) for note in notes])
        if changed or position != before:
            tables.save(position, [row_of(incident, now) for incident in changed], messages, now)


def _ended_since(before: int | None, history: History, now: datetime) -> tuple[Sequence[EndedRun], int]:
    """The runs that ended since a position, and how far that reads.

    None where nothing was read yet, or where Dagster's history was made anew: what was before is past.
    """
    newest = history.newest()
    if before is None or before > newest:
        return (), newest
    return history.ended_after(before, now - _SETTLED)


def _new_alerts(changed: Sequence[Incident], messages: Sequence[Message]) -> list[NewAlert]:
    """The messages, each with the places of its incidents among those that changed."""
    places = {incident.key: place for place, incident in enumerate(changed)}
    return [NewAlert(m.event, m.title, m.body, m.to, [places[i.key] for i in m.incidents]) for m in messages]


def _states(
    session: Session, settings: Settings, used: Sequence[FlowInUse], history: History, now: datetime
) -> Observed:
    """What the database shows."""
    streams = {state.stream: state for state in stream_states(session)}
    limits = {"intervals": settings.stale_intervals, "interval": timedelta(minutes=settings.every_minutes)}
    problems = [
        *states.error_rates(used, streams, settings.max_error_rate),
        *states.stale(used, streams, history, now, **limits),
        *states.accounts(used, accounts_needing_login(session), settings),
    ]
    kinds = (Kind.ERROR_RATE, Kind.STALE, Kind.CREDENTIALS)
    return Observed(
        states=problems,
        looked_at=frozenset((kind, one.flow.name) for one in used for kind in kinds),
        unclear=states.unclear_rates(used, streams),
    )


def _with_daemons(observed: Observed, history: History, now: datetime) -> Observed:
    """And whether the daemons tick."""
    problems = [*observed.states]
    if silent := history.silent_daemons(now - _DAEMONS_TICK_WITHIN):
        names = ", ".join(sorted(name for name, _ in silent))
        problems.append(Problem(Kind.DAEMON, DAGSTER, f"silent: {names}", since=min(at for _, at in silent)))
    return replace(observed, states=problems, looked_at=observed.looked_at | {(Kind.DAEMON, DAGSTER)})
