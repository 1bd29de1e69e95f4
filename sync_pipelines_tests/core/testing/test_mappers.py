"""Proof of the laws of mappers: each broken one is caught, by just the laws it breaks."""

import unittest
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from sync_pipelines.core import ExternalKey, MappingError, Payload, Projection, Projections, Record
from sync_pipelines.core.testing import MapperUnderTest, broken, mapper_laws


class Rooms:
    """A mapper that keeps the laws, of rooms that have a name and at least one seat; breakages override a step."""

    def validate(self, key: ExternalKey, payload: Payload[Any]) -> None:
        if payload.data["seats"] < 1:
            raise MappingError("a room has at least one seat")

    def map(self, key: ExternalKey, payload: Payload[Any]) -> Projection:
        if not payload.data["name"]:
            raise MappingError("the name is empty")
        return Projection("rooms", {"code": key.key, **payload.data})

    def map_many(self, keys: Sequence[str], data: Sequence[Any]) -> Projections:
        if any(room["seats"] < 1 or not room["name"] for room in data):
            raise MappingError("a name is empty, or a room has no seat")
        columns = {"code": keys, **{name: [room[name] for room in data] for name in ("name", "seats")}}
        return Projections("rooms", columns)


class Counting(Rooms):
    """Its rows say when they were mapped."""

    def __init__(self) -> None:
        self.times = count()

    def map(self, key: ExternalKey, payload: Payload[Any]) -> Projection:
        kind, fields = super().map(key, payload)
        return Projection(kind, {**fields, "read": next(self.times)})


class TakingAnything(Rooms):
    def validate(self, key: ExternalKey, payload: Payload[Any]) -> None: ...


class FailingAsADefect(Rooms):
    def map(self, key: ExternalKey, payload: Payload[Any]) -> Projection:
        assert payload.data["name"]
        return super().map(key, payload)


class InOrderOfKeys(Rooms):
    def map_many(self, keys: Sequence[str], data: Sequence[Any]) -> Projections:
        kind, columns = super().map_many(keys, data)
        return Projections(kind, {**columns, "code": sorted(keys)})


class LackingAColumn(Rooms):
    def map_many(self, keys: Sequence[str], data: Sequence[Any]) -> Projections:
        kind, columns = super().map_many(keys, data)
        return Projections(kind, {name: columns[name] for name in ("code", "name")})


class LackingAValue(Rooms):
    def map_many(self, keys: Sequence[str], data: Sequence[Any]) -> Projections:
        kind, columns = super().map_many(keys, data)
        return Projections(kind, {**columns, "seats": columns["seats"][1:]})


class IntoAnotherTable(Rooms):
    def map_many(self, keys: Sequence[str], data: Sequence[Any]) -> Projections:
        return super().map_many(keys, data)._replace(kind="desks")


class LeavingOutARule(Rooms):
    def map_many(self, keys: Sequence[str], data: Sequence[Any]) -> Projections:
        columns = {"code": keys, **{name: [room[name] for room in data] for name in ("name", "seats")}}
        return Projections("rooms", columns)


class LookingAtTheFirst(Rooms):
    def map_many(self, keys: Sequence[str], data: Sequence[Any]) -> Projections:
        super().map_many(keys[:1], data[:1])
        return LeavingOutARule.map_many(self, keys, data)  # pyright: ignore[reportArgumentType]


class AsADefect(Rooms):
    def map_many(self, keys: Sequence[str], data: Sequence[Any]) -> Projections:
        assert all(room["name"] for room in data)
        return super().map_many(keys, data)


AGREE, REFUSE = "many records map as one by one", "one bad record refuses the many"
BROKEN_MAPPERS: list[tuple[type[Rooms], set[str]]] = [
    (Counting, {"a good record maps to the same row each time", AGREE}),
    (TakingAnything, {"a bad record is refused and concerns no other"}),
    (FailingAsADefect, {"a bad record is refused and concerns no other"}),
    *((make, {AGREE}) for make in (InOrderOfKeys, LackingAColumn, LackingAValue, IntoAnotherTable)),
    *((make, {REFUSE}) for make in (LeavingOutARule, LookingAtTheFirst, AsADefect)),
]


def room(code: str, name: str = "Aula", seats: int = 9) -> Record[Any]:
    return ExternalKey("law:room", code), Payload({"name": name, "seats": seats}, "1")


def mapper_under_test(mapper: Rooms) -> MapperUnderTest:
    desk = ExternalKey("law:desk", "1"), Payload({"name": "Desk", "seats": 1}, "1")
    rooms = [room("2.07"), room("1.01", "Lab", 24), room("3.05", "Hall"), desk]
    return MapperUnderTest(mapper, rooms, refused=[room("0", name=""), room("9", seats=0)])


@pytest.mark.parametrize(("make", "laws"), BROKEN_MAPPERS, ids=lambda p: getattr(p, "__name__", ""))
def test_a_mapper_that_breaks_a_law_is_caught_by_it(make: type[Rooms], laws: set[str]) -> None:
    assert broken(mapper_laws(), lambda: mapper_under_test(make())).keys() == laws


def test_the_mapper_that_the_broken_ones_are_made_from_keeps_every_law() -> None:
    assert broken(mapper_laws(), lambda: mapper_under_test(Rooms())) == {}


def test_the_laws_of_many_are_skipped_for_a_mapper_of_one_at_a_time() -> None:
    class Plain:
        validate, map = Rooms.validate, Rooms.map

    for law in mapper_laws():
        if law.name in (AGREE, REFUSE):
            with pytest.raises(unittest.SkipTest, match="map_many"):
                law.check(lambda: MapperUnderTest(Plain(), [room("1")]))
        elif law.name == "a good record maps to the same row each time":
            law.check(lambda: MapperUnderTest(Plain(), [room("1")]))


def test_every_law_is_seen_to_catch_something() -> None:
    assert {law.name for law in mapper_laws()} == set[str]().union(*(laws for *_, laws in BROKEN_MAPPERS))
