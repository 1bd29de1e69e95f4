"""The sync under test: a flow as a user of the engine would write it, on its public API only.

A table of the user's own, a source that reads pages over HTTP, a mapper, and one job.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from sync_pipelines.clients.http import Answer, Sender
from sync_pipelines.core import (
    Coverage,
    ExternalKey,
    Item,
    Page,
    Payload,
    Projection,
    Projections,
    Records,
    SyncJob,
    Unreadable,
    fingerprints,
)
from sync_pipelines.errors import MappingError, UnexpectedAnswer
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.target import PostgresTarget

__all__ = ["SYSTEM", "VERSIONS", "Enrollment", "EnrollmentMapper", "EnrollmentSource", "make_tables"]

SYSTEM = "bench:enrollment"
PAGE_SIZE = 1000
SCHEMAS = {"sync": "sync", "wtl": "wtl", "bakalari": "bakalari", "learning": "learning", "dagster": "dagster"}

_time = sa.DateTime(timezone=True)
TABLE = sa.Table(
    "enrollments",
    sa.MetaData(),
    sa.Column("id", UUID(as_uuid=False), primary_key=True, server_default=sa.text("gen_random_uuid()")),
    sa.Column("external_id", sa.String(255, collation="C"), nullable=False, unique=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("subject_id", sa.Text, nullable=False),
    sa.Column("class_id", sa.Text, nullable=False),
    sa.Column("source_updated_at", _time, nullable=False),
    sa.Column("remote_deleted_at", _time),
    sa.Column("last_sync_at", _time),
    sa.Column("created_at", _time, nullable=False, server_default=sa.text("now()")),
    sa.Column("updated_at", _time, nullable=False, server_default=sa.text("now()")),
    schema="bench",
)
SPEC = TableSpec(
    TABLE, natural_key=("external_id",), owned=("user_id", "subject_id", "class_id", "source_updated_at")
)


_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Enrollment(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One record as the upstream sends it; decoding refuses one that lacks anything."""

    id: _Text
    user_id: _Text
    subject_id: _Text
    class_id: _Text
    updated_at: _Text


VersionOf = Callable[[Sequence[Enrollment]], Sequence[str]]

_decode_page = msgspec.json.Decoder(list[Enrollment]).decode
_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_row = msgspec.json.Decoder(Enrollment).decode


@dataclass(frozen=True, slots=True)
class _Answered:
    """A page's bytes and their digest, and how many rows there are in all."""

    body: bytes
    digest: str
    total: int


def read_answer(answer: Answer) -> _Answered:
    """Raises UnexpectedAnswer where it is no page at all, or does not say how many rows there are."""
    if answer.status != 200:
        raise UnexpectedAnswer(f"{answer.path} answered {answer.status}")
    total = answer.headers.get("content-range", "").rpartition("/")[2]
    if not total.isdecimal():
        raise UnexpectedAnswer(f"{answer.path} does not say how many rows there are (Content-Range)")
    return _Answered(answer.body, hashlib.blake2b(answer.body, digest_size=16).hexdigest(), int(total))


def read_rows(body: bytes, version_of: VersionOf) -> list[Records[Enrollment] | Unreadable]:
    """The records of a page, as columns; one that cannot be read is set aside, and the others stay.

    Raises UnexpectedAnswer where it is no list.
    """
    unreadable: list[Records[Enrollment] | Unreadable] = []
    try:
        records = _decode_page(body)
    except msgspec.ValidationError:
        records = list(_row_by_row(body, unreadable))
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer(f"a page is no JSON: {error}") from None
    return [Records(SYSTEM, [r.id for r in records], version_of(records), records), *unreadable]


def _row_by_row(body: bytes, unreadable: list[Records[Enrollment] | Unreadable]) -> Iterator[Enrollment]:
    try:
        rows = _decode_rows(body)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer(f"a page is no list: {error}") from None
    for raw in rows:
        try:
            yield _decode_row(raw)
        except msgspec.ValidationError as error:
            data: Any = msgspec.json.decode(raw)
            key = data.get("id") if isinstance(data, dict) else None
            if isinstance(key, str) and key:
                where = ExternalKey(SYSTEM, key)
            else:
                where = ExternalKey.unidentified(SYSTEM, data)
            unreadable.append(Unreadable(where, data, str(error)))


def _by_fields(records: Sequence[Enrollment]) -> Sequence[str]:
    return fingerprints(
        [r.user_id for r in records],
        [r.subject_id for r in records],
        [r.class_id for r in records],
        [r.updated_at for r in records],
    )


def _by_time(records: Sequence[Enrollment]) -> Sequence[str]:
    return [r.updated_at for r in records]


#: How the records' versions are told: by their content, or by upstream's own marker.
VERSIONS: Mapping[str, VersionOf] = {
    "updated_at": _by_time,
    "fingerprint": _by_fields,
}


@dataclass(frozen=True)
class EnrollmentSource:
    """Every enrollment, page by page; `parameters` go with each request."""

    sender: Sender
    version_of: VersionOf = _by_fields
    in_flight: int = 8
    in_pages: bool = True
    parameters: Mapping[str, str] | None = None

    @property
    def requests(self) -> int:
        return self.sender.requests

    @property
    def retries(self) -> int:
        return self.sender.retries

    def fetch(self, since: str | None) -> Generator[Item[Enrollment], None, Coverage]:
        """Complete when as many rows came as the upstream said at the beginning, and it kept to that."""
        first = self.sender.get(*self._request(0), read_answer)
        for number, page in enumerate(chain((first,), self._after(first))):
            if page.total != first.total:
                return Coverage.partial("the number of rows changed while they were read")
            wanted = min(PAGE_SIZE, first.total - number * PAGE_SIZE)
            if page.body.count(b'"id":') != wanted:
                return Coverage.partial(f"a page had another number of rows than {wanted}")
            if self.in_pages:
                yield Page(page.digest, partial(read_rows, page.body, self.version_of))
            else:
                yield from read_rows(page.body, self.version_of)
        return Coverage.snapshot(SYSTEM)

    def validate(self, key: ExternalKey, payload: Payload[Enrollment]) -> None:
        """Types and presence were checked while decoding."""

    def _after(self, first: _Answered) -> Iterator[_Answered]:
        others = (self._request(offset) for offset in range(PAGE_SIZE, first.total, PAGE_SIZE))
        return self.sender.get_many(others, read_answer, in_flight=self.in_flight)

    def _request(self, offset: int) -> tuple[str, dict[str, str]]:
        return "enrollments", {"offset": str(offset), "limit": str(PAGE_SIZE), **(self.parameters or {})}


class EnrollmentMapper:
    """An enrollment joins a user, a subject and a class: none may be empty."""

    version = "1"

    def validate(self, key: ExternalKey, payload: Payload[Enrollment]) -> None:
        record = payload.data
        if not (record.user_id and record.subject_id and record.class_id):
            raise MappingError("userId, subjectId or classId is empty")

    def map(self, key: ExternalKey, payload: Payload[Enrollment]) -> Projection:
        record = payload.data
        fields = {
            "external_id": record.id,
            "user_id": record.user_id,
            "subject_id": record.subject_id,
            "class_id": record.class_id,
            "source_updated_at": _time_of(record),
        }
        return Projection("bench.enrollments", fields)

    def map_many(self, keys: Sequence[str], data: Sequence[Enrollment]) -> Projections:
        columns = {
            "external_id": keys,
            "user_id": [record.user_id for record in data],
            "subject_id": [record.subject_id for record in data],
            "class_id": [record.class_id for record in data],
            "source_updated_at": [_time_of(record) for record in data],
        }
        if not (all(columns["user_id"]) and all(columns["subject_id"]) and all(columns["class_id"])):
            raise MappingError("userId, subjectId or classId is empty")
        return Projections("bench.enrollments", columns)


def _time_of(record: Enrollment) -> datetime:
    try:
        time = datetime.fromisoformat(record.updated_at)
    except ValueError:
        raise MappingError("updatedAt is no time") from None
    if time.tzinfo is None:
        raise MappingError("updatedAt does not say its time zone")
    return time


def make_tables(database_url: str) -> None:
    """The project's own tables and the flow's, in an empty database."""
    database = Database(database_url, SCHEMAS)
    migrate.upgrade(database)
    with database.session() as session, session.transaction() as connection:
        connection.execute(sa.schema.CreateSchema("bench"))
        TABLE.create(connection)
        connection.execute(sa.text("ALTER TABLE bench.enrollments SET (fillfactor = 90)"))


def sync(arguments: argparse.Namespace, database_url: str) -> dict[str, Any]:
    """One run of the job, and its report."""
    sender = Sender(arguments.base_url, {"Accept": "application/json"})
    source = EnrollmentSource(
        sender,
        version_of=VERSIONS[arguments.version_by],
        in_flight=arguments.in_flight,
        in_pages=not arguments.decode_every_page,
        parameters={"delay": str(arguments.delay)} if arguments.delay else None,
    )
    try:
        with Database(database_url, SCHEMAS).session() as session:
            return (
                SyncJob(
                    "bench/enrollments",
                    source,
                    EnrollmentMapper(),
                    PostgresTarget(session, SPEC),
                    PostgresStateStore(session),
                )
                .run()
                .to_dict()
            )
    finally:
        sender.close()


def main() -> None:
    """Sync once, into BENCH_DATABASE_URL, and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.enrollments", description=__doc__)
    parser.add_argument("base_url", help="http://127.0.0.1:PORT/ROWS/base, or …/chg")
    parser.add_argument("--version-by", choices=VERSIONS, default="updated_at")
    parser.add_argument("--in-flight", type=int, default=8, help="requests at a time")
    parser.add_argument("--decode-every-page", action="store_true", help="give records, not pages")
    parser.add_argument("--delay", type=int, default=0, help="milliseconds that the server waits with each page")
    parser.add_argument("--make-tables", action="store_true", help="first, in an empty database")
    arguments = parser.parse_args()
    database_url = os.environ["BENCH_DATABASE_URL"]
    if arguments.make_tables:
        make_tables(database_url)
    started = time.perf_counter()
    report = sync(arguments, database_url)
    print(json.dumps({"wall": time.perf_counter() - started, "report": report}))


if __name__ == "__main__":
    main()
