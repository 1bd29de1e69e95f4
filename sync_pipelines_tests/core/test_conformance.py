"""The in-memory target and store keep the laws that every implementation keeps."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.enrollments import PAGE_SIZE, SYSTEM, Enrollment, EnrollmentMapper, EnrollmentSource
from examples.rooms.room import RoomMapper
from sync_pipelines.clients.http import Sender
from sync_pipelines.core import (
    Binding,
    Change,
    ExternalKey,
    MemoryStateStore,
    MemoryTarget,
    Payload,
    Projection,
    Projections,
    Record,
    TargetError,
    Written,
)
from sync_pipelines.core.testing import (
    Law,
    MapperUnderTest,
    PairUnderTest,
    SourceUnderTest,
    StoreUnderTest,
    TargetUnderTest,
    bulk_target_laws,
    mapper_laws,
    pair_laws,
    source_laws,
    store_laws,
    target_laws,
)
from sync_pipelines_tests.core.workshop import BulkTitleMapper, TitleMapper, record


def good(n: int) -> Projection:
    return Projection("rooms", {"code": str(n), "seats": n})


def changed(n: int) -> Projection:
    return Projection("rooms", {"code": str(n), "seats": n + 1000})


class Choosy(MemoryTarget):
    """It can also refuse a row when it is written, as a database does."""

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        return [self._choose(change) for change in changes]

    def _choose(self, change: Change) -> Written | TargetError:
        if change.projection.fields["code"] == "refused":
            return TargetError("the code is refused")
        return super().upsert_many([change])[0]

    def load_rows(self, rows: Projections) -> Sequence[str]:
        if "refused" in rows.columns["code"]:
            raise TargetError("a code is refused")
        return super().load_rows(rows)


def memory_store() -> StoreUnderTest:
    store = MemoryStateStore()
    return StoreUnderTest(
        store,
        lambda: nullcontext(store),
        occurrences=store.occurrences.__getitem__,
        last_report=store.reports.__getitem__,
    )


def memory_target(store: MemoryStateStore | None = None) -> TargetUnderTest:
    target = Choosy(store)
    return TargetUnderTest(
        target,
        good=good,
        changed=changed,
        rows=lambda: {i: {**row, "vanished": i in target.vanished} for i, row in target.rows.items()},
        remove=lambda internal_id: target.rows.pop(internal_id),
        invalid=Projection("rooms", {}),
        refused=Projection("rooms", {"code": "refused", "seats": 1}),
    )


def memory_pair() -> PairUnderTest:
    store = MemoryStateStore()
    return PairUnderTest(store, memory_target(store))


class OneByOne:
    """The smallest Target there is; the engine, and the laws, put it behind an adapter."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, object]] = {}

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        if projection.kind != "rooms":
            raise TargetError("these are no rooms")

    def upsert(self, key: ExternalKey, projection: Projection) -> str:
        if projection.fields["code"] == "refused":
            raise TargetError("the code is refused")
        self.rows[key.key] = dict(projection.fields)
        return key.key

    def delete(self, key: ExternalKey, binding: Binding) -> None:
        self.rows.pop(binding.internal_id, None)


def one_by_one() -> TargetUnderTest:
    target = OneByOne()
    return TargetUnderTest(
        target,
        good=good,
        changed=changed,
        rows=lambda: dict(target.rows),
        remove=lambda internal_id: target.rows.pop(internal_id),
        invalid=Projection("desks", {"code": "1"}),
        refused=Projection("rooms", {"code": "refused", "seats": 1}),
    )


@pytest.mark.parametrize("law", store_laws(), ids=str)
def test_the_store_in_memory_keeps_the_law(law: Law[StoreUnderTest]) -> None:
    law.check(memory_store)


@pytest.mark.parametrize("law", bulk_target_laws(), ids=str)
def test_the_target_in_memory_keeps_the_law(law: Law[TargetUnderTest]) -> None:
    law.check(memory_target)


@pytest.mark.parametrize("law", target_laws(), ids=str)
def test_a_target_that_takes_a_record_at_a_time_keeps_the_law(law: Law[TargetUnderTest]) -> None:
    law.check(one_by_one)


@pytest.mark.parametrize("law", pair_laws(), ids=str)
def test_target_and_store_in_memory_keep_the_law(law: Law[PairUnderTest]) -> None:
    law.check(memory_pair)


# --- mappers --------------------------------------------------------------------------------------------------


def enrollment(number: int, **fields: str) -> Record[Enrollment]:
    values = {"user_id": "u1", "subject_id": "s1", "class_id": "c1", "updated_at": "2026-11-20T02:00:00+01:00"}
    return ExternalKey(SYSTEM, f"E{number}"), Payload(Enrollment(f"E{number}", **{**values, **fields}), "1")


def room(**values: str) -> Record[dict[str, str]]:
    row = {"code": "1.01", "name": "Aula", "floor": "2", "seats": "180", "updated_at": "", **values}
    return ExternalKey("hradec:room", row["code"]), Payload(row, "1")


MAPPERS = {
    "enrollments": MapperUnderTest(
        EnrollmentMapper(),
        [enrollment(n, user_id=f"u{n}") for n in range(5)],
        refused=[enrollment(9, **{name: ""}) for name in ("user_id", "subject_id", "class_id", "updated_at")]
        + [enrollment(9, updated_at="2026-11-20T02:00:00")],
    ),
    "titles": MapperUnderTest(TitleMapper(), [record("1", "A")], refused=[record("2", "forbidden")]),
    "many titles": MapperUnderTest(
        BulkTitleMapper(), [record("1", "A"), record("2", "B")], refused=[record("3", "forbidden")]
    ),
    "rooms": MapperUnderTest(RoomMapper(), [room()], refused=[room(name=" "), room(seats="0")]),
}


@pytest.mark.parametrize("mapper", MAPPERS)
@pytest.mark.parametrize("law", mapper_laws(), ids=str)
def test_a_mapper_keeps_the_law(law: Law[MapperUnderTest], mapper: str) -> None:
    law.check(lambda: MAPPERS[mapper])


# --- pages over HTTP ------------------------------------------------------------------------------------------


class Upstream:
    """Enrollments in pages, as the benchmark's server gives them; `broken` changes every answer but the first."""

    def __init__(self, broken: Callable[[Response], Response] = lambda answer: answer) -> None:
        self.rows = [
            {
                "id": f"E{n:05}",
                "userId": f"u{n}",
                "subjectId": "s",
                "classId": "c",
                "updatedAt": "2026-11-20T02:00Z",
            }
            for n in range(PAGE_SIZE * 2 + 17)
        ]
        del self.rows[7]["userId"]
        self._broken = broken

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/enrollments", self.answer)])

    def answer(self, request: Request) -> Response:
        offset = int(request.query_params["offset"])
        rows = self.rows[offset : offset + PAGE_SIZE]
        where = {"content-range": f"enrollments {offset}-{offset + len(rows) - 1}/{len(self.rows)}"}
        answer = Response(json.dumps(rows), headers=where, media_type="application/json")
        return self._broken(answer) if offset else answer

    def change(self) -> Sequence[ExternalKey]:
        self.rows[5]["classId"] = self.rows[-1]["classId"] = "d"
        return [ExternalKey(SYSTEM, self.rows[n]["id"]) for n in (5, -1)]


FAILURES: Sequence[Callable[[Response], Response]] = (
    lambda answer: Response("down", 503),
    lambda answer: Response("who are you?", 401),
    lambda answer: Response(answer.body),
    lambda answer: Response(bytes(answer.body)[:-1], headers={"content-range": answer.headers["content-range"]}),
)


@pytest.fixture
def paged(serve: Callable[..., str]) -> Iterator[Callable[[], SourceUnderTest]]:
    senders: list[Sender] = []

    def source(upstream: Upstream) -> EnrollmentSource:
        senders.append(Sender(serve(upstream.app()), {}, attempts=1))
        return EnrollmentSource(senders[-1])

    def make() -> SourceUnderTest:
        upstream = Upstream()
        return SourceUnderTest(source(upstream), upstream.change, [source(Upstream(b)) for b in FAILURES])

    yield make
    for sender in senders:
        sender.close()


@pytest.mark.parametrize("law", source_laws(), ids=str)
def test_a_source_of_pages_over_http_keeps_the_law(
    law: Law[SourceUnderTest], paged: Callable[[], SourceUnderTest]
) -> None:
    law.check(paged)
