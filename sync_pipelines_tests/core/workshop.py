"""A target, a store and an upstream to try the engine with: in memory, and in PostgreSQL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.core import (
    Change,
    Coverage,
    ExternalKey,
    MappingError,
    MemoryStateStore,
    MemoryTarget,
    Payload,
    Projection,
    Projections,
    SourceError,
    SyncJob,
    SyncReport,
    TargetError,
    Written,
    fingerprint,
)
from sync_pipelines.postgres import tables
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.target import PostgresTarget

SYSTEM = "wtl:course"
STREAM = "wtl/courses"
Upstream = dict[str, str]


def key(external_id: str) -> ExternalKey:
    return ExternalKey(SYSTEM, external_id)


def record(external_id: str, title: str, version: str | None = "by title") -> tuple[ExternalKey, Payload[str]]:
    return key(external_id), Payload(title, fingerprint(title) if version == "by title" else version)


@dataclass
class ListSource:
    """Yields what it is given; an exception in the list is raised there."""

    items: Sequence[Any]
    coverage: Coverage | None = field(default_factory=lambda: Coverage(complete=True))
    asked: list[str | None] = field(default_factory=list[str | None])

    def fetch(self, since: str | None):
        self.asked.append(since)
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            yield item
        return self.coverage

    def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
        if payload.data == "malformed":
            raise SourceError("the title is malformed")


@dataclass
class TitleMapper:
    version: str = "1"

    def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
        if payload.data == "forbidden":
            raise MappingError("the title is forbidden")

    def map(self, key: ExternalKey, payload: Payload[str]) -> Projection:
        return Projection("wtl.courses", {"wtl_course_id": key.key, "title": payload.data})


@dataclass
class BulkTitleMapper(TitleMapper):
    """The same, for many at once."""

    def map_many(self, keys: Sequence[str], data: Sequence[str]) -> Projections:
        if "forbidden" in data:
            raise MappingError("a title is forbidden")
        return Projections("wtl.courses", {"wtl_course_id": keys, "title": data})


@dataclass
class Workshop:
    """A target and a store, and a look at what they hold; `completed` are the names of jobs that ever were.

    The target refuses titles longer than 500 characters when asked, and "clashing" when it is written to.
    """

    target: Any
    store: Any
    titles: Callable[[], Upstream]
    vanished: Callable[[], set[str]]
    bound: Callable[[], dict[str, bool]]
    rejects: Callable[[], dict[str, str]]
    completed: Callable[[], set[str]]
    forget_row: Callable[[str], object]

    def sync(self, items: Sequence[Any], coverage: Coverage | None = None, **options: Any) -> SyncReport:
        """Run a job over the items, which are a complete read that proves no absence unless `coverage` says so."""
        source = options.pop("source", None) or ListSource(items, coverage or Coverage.changes())
        mapper, stream = options.pop("mapper", TitleMapper()), options.pop("stream", STREAM)
        job = SyncJob(stream, source, mapper, options.pop("target", self.target), self.store, **options)
        report = job.run()
        assert report.fetched == report.created + report.updated + report.skipped + report.failed
        return report

    def snapshot(self, items: Sequence[Any], **options: Any) -> SyncReport:
        """Run a job over everything there is."""
        return self.sync(items, Coverage.snapshot(SYSTEM), **options)


class PickyTarget(MemoryTarget):
    """Refuses what PostgreSQL does."""

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        if len(projection.fields["title"]) > 500:
            raise TargetError("title is too long")

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        return [self._one(change) for change in changes]

    def load_rows(self, rows: Projections) -> Sequence[str]:
        if any(len(title) > 500 or title == "clashing" for title in rows.columns["title"]):
            raise TargetError("one of the rows is refused")
        return super().load_rows(rows)

    def _one(self, change: Change) -> Written | TargetError:
        if change.projection.fields["title"] == "clashing":
            return TargetError("clash")
        return super().upsert_many([change])[0]


def in_memory() -> Workshop:
    """Dictionaries."""
    store = MemoryStateStore()
    target = PickyTarget(store)

    def forget(external_id: str) -> None:
        target.rows.pop(store.bindings[key(external_id)].internal_id, None)

    def vanished() -> set[str]:
        return {target.rows[i]["wtl_course_id"] for i in target.vanished if i in target.rows}

    return Workshop(
        target,
        store,
        lambda: {row["wtl_course_id"]: row["title"] for row in target.rows.values()},
        vanished,
        lambda: {k.key: b.remote_deleted_at is not None for k, b in store.bindings.items()},
        lambda: {k.key: r.error for k, r in store.rejects.items()},
        lambda: set(store.last_complete_at),
        forget,
    )


def in_postgres(session: Session, query: Callable[..., list[Any]]) -> Workshop:
    """The tables of a real server."""
    spec = TableSpec(tables.wtl.courses, natural_key=("wtl_course_id",), owned=("title",))
    query("ALTER TABLE wtl.courses DROP CONSTRAINT IF EXISTS no_clash")
    query("ALTER TABLE wtl.courses ADD CONSTRAINT no_clash CHECK (title <> 'clashing')")
    return Workshop(
        PostgresTarget(session, spec),
        PostgresStateStore(session),
        lambda: dict(query("SELECT wtl_course_id, title FROM wtl.courses")),
        lambda: set(query("SELECT wtl_course_id FROM wtl.courses WHERE remote_deleted_at IS NOT NULL")),
        lambda: dict(query("SELECT external_id, remote_deleted_at IS NOT NULL FROM sync.external_refs")),
        lambda: dict(query("SELECT external_id, error FROM sync.rejects WHERE resolved_at IS NULL")),
        lambda: set(query("SELECT stream FROM sync.streams WHERE last_complete_at IS NOT NULL")),
        lambda external_id: query("DELETE FROM wtl.courses WHERE wtl_course_id = :id", id=external_id),
    )


def counts(report: SyncReport) -> dict[str, int]:
    """The counters that are not 0."""
    names = ("created", "updated", "skipped", "failed", "deleted", "restored")
    return {name: getattr(report, name) for name in names if getattr(report, name)}
