import pytest

from sync_pipelines.core import ExternalKey, Records


@pytest.mark.parametrize(("system", "key"), [("", "1"), ("wtl:course", ""), ("wtl:course", 1), (None, "1")])
def test_a_key_is_two_texts_that_say_something(system: str, key: str) -> None:
    with pytest.raises(ValueError, match="two non-empty strings"):
        ExternalKey(system, key)


def test_a_key_is_kept_exactly_as_sent() -> None:
    assert len({ExternalKey("s", k) for k in ("6", " 6", "6 ", "06", "\u0301e", "é")}) == 6


def test_a_key_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ExternalKey("s", "1").key = "2"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_row_without_an_id_has_the_same_stand_in_every_time() -> None:
    row = {"name": "Fizyka"}
    assert ExternalKey.unidentified("s", row) == ExternalKey.unidentified("s", dict(row))
    assert ExternalKey.unidentified("s", row) != ExternalKey.unidentified("s", {"name": "Chemia"})


@pytest.mark.parametrize("columns", [(["1"], ["a", "b"], ["A"]), (["1"], ["a"], []), ([], [None], ["A"])])
def test_columns_of_different_lengths_are_no_records(
    columns: tuple[list[str], list[str | None], list[str]],
) -> None:
    with pytest.raises(ValueError, match="versions and"):
        Records("wtl:course", *columns)
