"""The problems that the database shows: records refused, data grown old, accounts that need a login."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from sync_pipelines.alerts.history import History, Tick
from sync_pipelines.alerts.problems import Kind, Problem
from sync_pipelines.errors import NotSetUp, SettingsError
from sync_pipelines.flows.bakalari import ROSTERS
from sync_pipelines.flows.bakalari.vault import system_of
from sync_pipelines.flows.naming import FLOWS_BY_NAME, NamedFlow
from sync_pipelines.flows.spec import Partitions, Sites
from sync_pipelines.postgres.alerts import StreamState
from sync_pipelines.settings import Settings

__all__ = ["FlowInUse", "accounts", "error_rates", "flows_in_use", "is_empty", "is_left", "stale", "unclear_rates"]

# So long the run of a tick may take to begin and to end.
_GRACE = timedelta(minutes=5)


@dataclass(frozen=True)
class FlowInUse:
    """A flow whose upstream is set up, and its schools where it has some: None where it has none by its nature."""

    flow: NamedFlow
    members: tuple[str, ...] | None = None

    @property
    def partitions(self) -> tuple[str | None, ...]:
        """Those that are subjects of their own; the flow itself is the only one of None."""
        return (None,) if self.members is None else self.members


def flows_in_use(settings: Settings) -> tuple[list[FlowInUse], frozenset[str]]:
    """The flows that are set up; and the names of those that are not, nor meant to be.

    One whose settings are wrong is neither: nothing can be said of it.
    """
    used: list[FlowInUse] = []
    unused: set[str] = set()
    for flow in FLOWS_BY_NAME.values():
        try:
            flow.upstream.require_settings(settings)
            sites = flow.partitions.addresses(settings) if isinstance(flow.partitions, Sites) else None
        except NotSetUp:
            unused.add(flow.name)
        except SettingsError:
            continue
        else:
            used.append(FlowInUse(flow, None if sites is None else tuple(sites)))
    return used, frozenset(unused)


def is_left(subject: str, used: Iterable[FlowInUse], unused: Collection[str]) -> bool:
    """Whether the settings no longer name this subject."""
    flow, _, member = subject.partition("/")
    members = next((u.members for u in used if u.flow.name == flow), None)
    return flow in unused or bool(member and members is not None and member not in members)


def error_rates(
    used: Iterable[FlowInUse], streams: Mapping[str, StreamState], at_most: float
) -> Iterator[Problem]:
    """The subjects of which a stream's last run refused a larger share of the records than `at_most`."""
    for one in used:
        for partition in one.partitions:
            rated = [
                (failed / fetched, stream, fetched, failed, error)
                for stream in sorted(one.flow.streams)
                for fetched, failed, error in [_counted(one.flow, stream, partition, streams)]
                if fetched and failed / fetched > at_most
            ]
            if rated:
                _, stream, fetched, failed, error = max(rated)
                counts = {"fetched": fetched, "failed": failed}
                said = f"{stream}: {error}" if error else stream
                yield Problem(Kind.ERROR_RATE, one.flow.subject(partition), said, counts=counts)


def unclear_rates(used: Iterable[FlowInUse], streams: Mapping[str, StreamState]) -> frozenset[tuple[Kind, str]]:
    """The subjects of which the last run did not read everything: it says nothing for what it did not come to."""
    return frozenset(
        (Kind.ERROR_RATE, one.flow.subject(partition))
        for one in used
        for partition in one.partitions
        for stream in one.flow.settled
        if any(not state.complete for state in _rows(one.flow, stream, partition, streams))
        and not isinstance(one.flow.partitions, Partitions)
    )


def _counted(
    flow: NamedFlow, stream: str, partition: str | None, streams: Mapping[str, StreamState]
) -> tuple[int, int, str]:
    """Of a stream's last run: records fetched, refused, and why the first was; of Partitions: of all of them."""
    states = _rows(flow, stream, partition, streams)
    error = next((state.first_error for state in states if state.failed and state.first_error), "")
    return sum(state.fetched for state in states), sum(state.failed for state in states), error


def _rows(
    flow: NamedFlow, stream: str, partition: str | None, streams: Mapping[str, StreamState]
) -> list[StreamState]:
    if isinstance(flow.partitions, Partitions):
        return [state for name, state in streams.items() if name.startswith(f"{stream}/")]
    state = streams.get(stream if partition is None else f"{stream}/{partition}")
    return [state] if state else []


def stale(
    used: Iterable[FlowInUse],
    streams: Mapping[str, StreamState],
    history: History,
    now: datetime,
    *,
    intervals: int,
    interval: timedelta,
) -> Iterator[Problem]:
    """The subjects of which no complete sync was made while their schedules came so many times, and some minutes.

    A machine that was off, and schedules that are, make none: what never came cannot have been in vain.
    """
    for one in used:
        times = {partition: _last_complete(one.flow, partition, streams) for partition in one.partitions}
        recent = now - max(intervals - 1, 0) * interval - _GRACE
        old = {partition: at for partition, at in times.items() if at is None or at < recent}
        if not old or is_empty(one.flow, streams):
            continue
        ticks = history.ticks(one.flow.name, _earliest(old.values()))
        for partition, at in old.items():
            came = _came_in_vain(ticks, partition, at, now, interval)
            if len(came) >= intervals:
                said = (
                    f"its schedule came {len(came)} times since"
                    if at
                    else f"never; its schedule came {len(came)} times"
                )
                yield Problem(
                    Kind.STALE, one.flow.subject(partition), f"last complete sync: {said}", since=at or came[0]
                )


def _last_complete(flow: NamedFlow, partition: str | None, streams: Mapping[str, StreamState]) -> datetime | None:
    """When all of it was last complete; of Partitions, when any was. None: never."""
    rows = [_rows(flow, stream, partition, streams) for stream in flow.settled]
    if isinstance(flow.partitions, Partitions):
        return max((state.last_complete_at for state in chain(*rows) if state.last_complete_at), default=None)
    times = [state.last_complete_at for state in chain(*rows) if state.last_complete_at]
    return min(times) if len(times) == len(flow.settled) else None


def is_empty(flow: NamedFlow, streams: Mapping[str, StreamState]) -> bool:
    """Whether a flow has no partition that could be synced: no course is there."""
    if not isinstance(flow.partitions, Partitions):
        return False
    courses = streams.get(flow.partitions.stream)
    return courses is None or not courses.fetched


def _earliest(times: Iterable[datetime | None]) -> datetime | None:
    times = list(times)
    known = [at for at in times if at is not None]
    return min(known) if len(known) == len(times) else None


def _came_in_vain(
    ticks: Sequence[Tick], partition: str | None, since: datetime | None, now: datetime, interval: timedelta
) -> list[datetime]:
    """When its schedules came since then, from the first that wanted it: what skipped before was not set up.

    What comes late, after the machine was off, comes at once: turns close together count as one.
    """
    after = [tick for tick in ticks if (since is None or tick.at > since) and tick.at <= now - _GRACE]
    first = next((place for place, tick in enumerate(after) if tick.wanted(partition)), len(after))
    came: list[datetime] = []
    for tick in after[first:]:
        if not came or tick.at - came[-1] >= interval / 2:
            came.append(tick.at)
    return came


def accounts(
    used: Iterable[FlowInUse], waiting: Collection[tuple[str, str]], settings: Settings
) -> Iterator[Problem]:
    """The schools of which accounts, of those that the settings name, need a person to log in again."""
    for one in used:
        for school in settings.schools() if one.flow.upstream is ROSTERS.upstream else ():
            number = sum((system_of(school.id), account.username) in waiting for account in school.accounts)
            if number:
                yield Problem(
                    Kind.CREDENTIALS,
                    one.flow.subject(school.id),
                    counts={"accounts": number},
                )
