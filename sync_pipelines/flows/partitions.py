"""Runs partitioned flows: any set of partitions in one go, each with reports of its own.

A partition's failure is its own. What concerns them all (the credentials, the hour's requests, the database) ends
the run; what was done by then is done, and the next run begins with what was not.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any

from sync_pipelines.core import SyncJob, SyncReport
from sync_pipelines.errors import (
    StateError,
    SyncError,
)
from sync_pipelines.flows.database import open_database, read_only, require_schema
from sync_pipelines.flows.origins import origin_of
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.runner import Finished, Progress, Quiet
from sync_pipelines.flows.spec import Flow, PartitionedFlow, PartitionRead, Partitions, Sites
from sync_pipelines.flows.syncing import PartitionDone, Syncing, report_of
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.streams import last_changed, last_complete, last_reports, never_complete
from sync_pipelines.settings import Settings

__all__ = ["PartitionDone", "PartitionRunner"]


class PartitionRunner:
    """Runs partitions of a flow. Making one reads and connects to nothing."""

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        self._progress = progress or Quiet()

    def keys(self, partitions: Partitions | Sites) -> list[str]:
        """The partitions there are: Sites as set, others by their numbers; vanished ones for a time too."""
        if isinstance(partitions, Sites):
            return list(partitions.addresses(self.settings))
        with open_database(self.settings, partitions.name).session() as session:
            known = _known(PostgresStateStore(session), partitions, self.settings)
        oldest = datetime.now(UTC) - partitions.keep
        return sorted((k for k, gone in known.items() if gone is None or gone > oldest), key=lambda k: (len(k), k))

    def stalest_first(self, flow: PartitionedFlow, *, older_than: timedelta | None = None) -> list[str]:
        """The partitions that are there upstream: first those never read to their end, then those that changed
        since, then the longest ago.

        `older_than` leaves out what was read to its end within that time, and has not changed.
        """
        partitions = flow.partitions
        with open_database(self.settings, flow.stream).session() as session:
            known = _known(PostgresStateStore(session), partitions, self.settings)
            there = [key for key, gone in known.items() if gone is None]
            read = last_complete(session, flow.stream)
            changed = {} if isinstance(partitions, Sites) else last_changed(session, partitions.system)
        urgent = {key for key in there if key not in read or changed.get(key, read[key]) > read[key]}
        oldest = datetime.now(UTC) - (older_than or timedelta())
        due = [key for key in there if older_than is None or key in urgent or read[key] <= oldest]
        return sorted(due, key=lambda key: (key in read, key not in urgent, read.get(key), len(key), key))

    def uncovered(self, flow: PartitionedFlow, keys: Sequence[str]) -> list[tuple[str, str, datetime | None]]:
        """Of these partitions those whose last reading was not complete: which, why, and when it last was."""
        with open_database(self.settings, flow.stream).session() as session:
            reports = last_reports(session, flow.stream)
        found: list[tuple[str, str, datetime | None]] = []
        for key in keys:
            report, complete_at = reports.get(key, (None, None))
            if report is None:
                found.append((key, "never read", None))
            elif not report["complete"]:
                found.append((key, report["errors"][-1] if report["errors"] else "incomplete", complete_at))
        return found

    def needed_first(self, flows: Sequence[PartitionedFlow]) -> list[Flow]:
        """The flows that these refer to, and that were never synced to their end."""
        after = tuple(dict.fromkeys(chain.from_iterable(flow.after for flow in flows)))
        with open_database(self.settings, "looking").session() as session:
            missing = never_complete(session, after)
        return [flow for flow in FLOWS if flow.stream in missing]

    def plan_all(
        self, flows: Sequence[PartitionedFlow], keys: Sequence[str], *, allow_mass_vanish: bool = False
    ) -> Finished:
        """What `run` would do to these partitions of each flow; without keys, to all that are there."""
        reports: list[SyncReport] = []
        guarded: set[str] = set()
        for flow in flows:
            asked = keys or self.stalest_first(flow)
            try:
                for done in self.run(flow, asked, allow_mass_vanish=allow_mass_vanish, plan=True):
                    reports.extend(done.reports)
                    guarded.update([done.reports[-1].stream] if done.guarded else ())
            except SyncError as error:
                reports.append(SyncReport(flow.stream, errors=(str(error),)))
        return Finished(reports, all(report.complete for report in reports), guarded=frozenset(guarded))

    def run(
        self,
        flow: PartitionedFlow,
        keys: Sequence[str],
        *,
        streams: Collection[str] | None = None,
        allow_mass_vanish: bool = False,
        full: bool = False,
        plan: bool = False,
    ) -> Generator[PartitionDone, None, None]:
        """Sync these partitions and say of each what became of it, as soon as that is known.

        `plan` writes nothing. `streams` are those of a flow with a stage that are to run, all by default: without
        the flow's own nobody is asked, and the others are synced from what has landed. Raises the SyncError that
        concerns all partitions.
        """
        database = open_database(self.settings, f"plan {flow.stream}" if plan else flow.stream)
        if plan:
            require_schema(database)
        else:
            migrate.upgrade(database)
        with database.session() as session:
            if plan:
                read_only(session)
            store = PostgresStateStore(session)
            known = _known(store, flow.partitions, self.settings)
            keys = list(dict.fromkeys(keys))
            there = dict.fromkeys(key for key in keys if key in known and known[key] is None)
            yield from (_not_there(flow, key, vanished=key in known) for key in keys if key not in there)
            if not there:
                return
            job = partial(SyncJob[Any], allow_mass_vanish=allow_mass_vanish, full=full, plan=plan)
            syncing = Syncing(
                flow, session, self.settings, job, flow.streams if streams is None else streams, plan=plan
            )
            if not isinstance(flow.partitions, Sites):
                origin = origin_of(flow.upstream, self.settings)
                for part in flow.parts:
                    (store.check_origin if plan else store.claim)(part.stream, origin)
            approved = allow_mass_vanish
            with self._reading(flow, list(there), streams, keep=not plan, approved=approved) as reader:
                yield from syncing.all_of(reader)

    def _reading(
        self,
        flow: PartitionedFlow,
        keys: Sequence[str],
        streams: Collection[str] | None,
        *,
        keep: bool,
        approved: bool,
    ) -> AbstractContextManager[Iterator[tuple[str, PartitionRead]]]:
        asked = self.settings, keys, partial(self._progress.reading, flow.stream)
        if flow.stage is None:
            return flow.open_reader(*asked)
        if streams is not None and flow.stream not in streams:
            return flow.stage.open_landed(*asked)
        return flow.open_reader(*asked, keep=keep, approved=approved)


def _known(
    store: PostgresStateStore, partitions: Partitions | Sites, settings: Settings
) -> Mapping[str, datetime | None]:
    """The partitions that ever were, and since when they are gone upstream."""
    if isinstance(partitions, Sites):
        return dict.fromkeys(partitions.addresses(settings))
    return {b.key.key: b.remote_deleted_at for b in store.iter_bindings(partitions.system)}


def _not_there(flow: PartitionedFlow, key: str, *, vanished: bool) -> PartitionDone:
    if isinstance(flow.partitions, Sites):
        named = ", ".join(flow.streams[:1])
        error = StateError(f"{named}: the settings name no {key}")
    elif vanished:
        facts = {flow.partitions.system: "vanished upstream: not asked for"}
        return PartitionDone(key, (SyncReport(flow.stream, key, complete=True, facts=facts),))
    else:
        said = f"{flow.partitions.system} {key} is not known here: run {flow.partitions.stream}, or look the id up"
        error = StateError(said)
    return PartitionDone(key, (report_of(flow.stream, key, error),), error)
