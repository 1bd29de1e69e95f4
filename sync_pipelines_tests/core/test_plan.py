"""The decision for each record, from what is remembered of it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core import Binding, ExternalKey, MappingError, Payload, Projection, StateError
from sync_pipelines.core.plan import BatchPlan, plan_batch, version_prefix
from sync_pipelines.errors import DatabaseUnavailable

KEY = ExternalKey("wtl:course", "1")


class Mapper:
    version = "3"

    def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
        if payload.data == "forbidden":
            raise MappingError("the title is forbidden")

    def map(self, key: ExternalKey, payload: Payload[str]) -> Projection:
        return Projection("wtl.courses", {"title": payload.data})


def accept(*_: object) -> None: ...


def planned(
    payload: Payload[str], binding: Binding | None, living: set[str], validate: object = accept
) -> BatchPlan:
    plan = BatchPlan()
    bindings = {} if binding is None else {KEY: binding}
    plan_batch(
        plan,
        {KEY: payload},
        bindings,
        living,
        Mapper(),
        validate_binding=validate,  # pyright: ignore[reportArgumentType]
        validate_projection=accept,
    )
    assert len(plan.unchanged) + len(plan.changes) + len(plan.refused) == 1
    return plan


@given(
    version=st.sampled_from([None, "a", "b"]),
    known=st.sampled_from([None, "3:a", "3:b", "2:a"]),
    bound=st.booleans(),
    alive=st.booleans(),
    vanished=st.booleans(),
)
def test_a_record_is_left_alone_only_when_everything_speaks_for_it(
    version: str | None, known: str | None, bound: bool, alive: bool, vanished: bool
) -> None:
    binding = Binding(KEY, "row", known, datetime(2026, 1, 1, tzinfo=UTC) if vanished else None) if bound else None
    plan = planned(Payload("Fizyka", version), binding, {"row"} if alive else set())
    same = version is not None and known == f"3:{version}"
    assert bool(plan.unchanged) == (bound and alive and not vanished and same)
    for change in plan.changes:
        assert change.version == (None if version is None else f"3:{version}")
        assert change.binding == (binding if alive else None)


def test_a_mapper_without_a_version_is_the_first() -> None:
    assert version_prefix(object()) == "1:"  # pyright: ignore[reportArgumentType]


def test_a_refused_record_says_at_which_stage() -> None:
    plan = planned(Payload("forbidden", "a"), None, set())
    assert [(reject.stage, reject.payload) for reject, _ in plan.refused] == [("mapping", "forbidden")]

    def inconsistent(_: Binding) -> None:
        raise StateError("no internal id")

    plan = planned(Payload("Fizyka", "a"), Binding(KEY, "", "3:a"), set(), inconsistent)
    assert [reject.stage for reject, _ in plan.refused] == ["state"]


def test_trouble_of_the_whole_run_goes_on_up() -> None:
    def gone(_: Binding) -> None:
        raise DatabaseUnavailable("no connection")

    with pytest.raises(DatabaseUnavailable):
        planned(Payload("Fizyka", "a"), Binding(KEY, "row", "3:a"), {"row"}, gone)
