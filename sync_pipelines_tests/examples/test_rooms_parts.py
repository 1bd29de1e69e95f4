"""The example's parts by themselves: what step 11 of the guide asks for, and the laws of the conformance kit."""

from pathlib import Path

import pytest

from examples.rooms.changes import RoomChanges
from examples.rooms.one_by_one import JsonFile
from examples.rooms.room import Room, RoomMapper
from examples.rooms.source import SYSTEM, RoomsFile, read_line, version_of
from sync_pipelines.core import Binding, ExternalKey, MappingError, Payload, Projection, TargetError, Unreadable
from sync_pipelines.core.testing import Law, SourceUnderTest, TargetUnderTest, source_laws, target_laws
from sync_pipelines_tests.examples.rooms import two_rooms

ROW = {"code": "1.01", "name": "Aula", "floor": "1", "seats": "24", "updated_at": "2025-11-20T02:00:00+01:00"}
KEY = ExternalKey(SYSTEM, "1.01")


def test_a_line_becomes_a_key_and_a_payload() -> None:
    assert read_line(",".join(ROW.values())) == (KEY, Payload(ROW, version_of(ROW)))


@pytest.mark.parametrize(("column", "is_mapped"), [("name", True), ("seats", True), ("updated_at", False)])
def test_a_version_is_of_what_is_mapped_and_of_nothing_else(column: str, is_mapped: bool) -> None:
    assert (version_of({**ROW, column: "7"}) != version_of(ROW)) is is_mapped


@pytest.mark.parametrize("line", ["", ",Aula,1,24,x", '"1.01,Aula', "1.01,Aula,1"])
def test_a_malformed_line_is_unreadable_and_kept_whole(line: str) -> None:
    item = read_line(line)
    assert isinstance(item, Unreadable)
    assert (item.data, item.key == KEY) == (line, line == "1.01,Aula,1")


def test_a_room_is_made_of_a_payload() -> None:
    assert Room.from_payload(ROW) == Room("1.01", "Aula", 1, 24)


@pytest.mark.parametrize("wrong", [{"name": " "}, {"seats": "0"}])
def test_a_room_that_breaks_a_rule_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(MappingError):
        RoomMapper().validate(KEY, Payload({**ROW, **wrong}, None))


def test_a_room_maps_to_its_row() -> None:
    fields = {"code": "1.01", "name": "Aula", "floor": 1, "seats": 24}
    assert RoomMapper().map(KEY, Payload(ROW, None)) == Projection("rooms.rooms", fields)


def test_the_simple_target_writes_and_deletes(tmp_path: Path) -> None:
    target = JsonFile(tmp_path / "rooms.json")
    internal_id = target.upsert(KEY, Projection("rooms.rooms", {"name": "Aula"}))
    assert target.upsert(KEY, Projection("rooms.rooms", {"name": "Hall"})) == internal_id
    assert target.rooms() == {internal_id: {"name": "Hall"}}
    for _ in range(2):
        target.delete(KEY, Binding(KEY, internal_id, None))
        assert target.rooms() == {}
    with pytest.raises(TargetError):
        target.validate(KEY, Projection("rooms.rooms", {}))


@pytest.mark.parametrize("kind", [RoomsFile, RoomChanges])
@pytest.mark.parametrize("law", source_laws(), ids=str)
def test_the_sources_keep_the_law(law: Law[SourceUnderTest], kind: type[RoomsFile], tmp_path: Path) -> None:
    def make() -> SourceUnderTest:
        school = two_rooms(tmp_path / "rooms.csv")
        school.lines["?"] = ",a line without a code,1,1,x"
        (tmp_path / "half.csv").write_text(school.text()[:-30], "utf-8")
        (tmp_path / "other.csv").write_text("id;name\n", "utf-8")
        return SourceUnderTest(
            kind(school.export()),
            change=school.change_one_and_open_one,
            failing=[kind(tmp_path / name) for name in ("half.csv", "other.csv", "missing.csv")],
        )

    law.check(make)


@pytest.mark.parametrize("law", target_laws(), ids=str)
def test_the_simple_target_keeps_the_law(law: Law[TargetUnderTest], tmp_path: Path) -> None:
    def make() -> TargetUnderTest:
        target = JsonFile(tmp_path / "rooms.json")
        return TargetUnderTest(
            target,
            good=lambda n: Projection("rooms.rooms", {"name": f"Room {n}"}),
            changed=lambda n: Projection("rooms.rooms", {"name": f"Hall {n}"}),
            rows=target.rooms,
            remove=lambda internal_id: target.delete(KEY, Binding(KEY, internal_id, None)),
            invalid=Projection("rooms.rooms", {}),
        )

    law.check(make)
