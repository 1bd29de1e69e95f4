"""What COPY reads is what was there: every character, and every kind of value."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.postgres.copying import copy_in
from sync_pipelines.postgres.engine import Session

Arrive = Callable[[str, Sequence[Any]], list[Any]]

# Each of these means something to COPY: alone, or next to something else.
SPECIAL = ["\t", "\n", "\r", "\r\n", "\\", "\\N", "\\.", "\\t", "\x01", "\\x01", "\b\f\v"]


@pytest.fixture
def arrive(session: Session) -> Arrive:
    """Sends values into a column of some type, and gives back what is there then."""

    def send(kind: str, values: Sequence[Any]) -> list[Any]:
        with session.cursor() as cursor:
            cursor.execute(f"CREATE TEMP TABLE kept (n int, value {kind}, last text) ON COMMIT DROP")
            copy_in(cursor, "kept (n, value, last)", [range(len(values)), values, ["end"] * len(values)])
            assert all(row == ("end",) for row in cursor.execute("SELECT last FROM kept"))
            return [row[0] for row in cursor.execute("SELECT value FROM kept ORDER BY n")]

    return send


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("around", ["", "Łąka"])
def test_a_character_that_means_something_to_copy_is_only_a_character(
    arrive: Arrive, special: str, around: str
) -> None:
    for others in ([], ["Fizyka"], [None, "Fizyka"], SPECIAL):
        values = [*others, f"{around}{special}{around}", *others]
        assert arrive("text", values) == values


@pytest.mark.parametrize("values", [[None], [""], [None, ""], ["", None, "x"], ["NULL", "\\N", None]])
def test_nothing_and_the_empty_text_are_told_apart(arrive: Arrive, values: list[str | None]) -> None:
    assert arrive("text", values) == values


@given(texts=st.lists(st.none() | st.text(st.sampled_from("\t\n\r\\\x01\x02N.xż\u2028")), max_size=8))
@settings(max_examples=60)
def test_any_text_arrives_as_it_is(arrive: Arrive, texts: list[str | None]) -> None:
    assert arrive("text", texts) == texts


def test_more_rows_than_one_portion_arrive_in_order(arrive: Arrive) -> None:
    values = [f"Kurs\t{i}" if i == 1500 else f"Kurs {i}" for i in range(2500)]
    assert arrive("text", values) == values


class Status(StrEnum):
    """A text that is of a class of its own."""

    ACTIVE = "active\tnow"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bytea", b"\x00\x01\\\t\xff"),
        ("bytea", b""),
        ("boolean", True),
        ("numeric", Decimal("12345678901234567890.5")),
        ("date", date(2026, 1, 2)),
        ("time", time(7, 45)),
        ("timestamptz", datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)),
        ("text", Status.ACTIVE),
        ("jsonb", {'a"b\\c': ["Łąka\n\t", None, 1.5, {"x": True}], "q": "it's"}),
        ("text[]", ['a"b', "c\\d", None, "", "NULL", "{x}", "e,f", "g\th\ni\x01", " j "]),
        ("text[]", []),
        ("int[]", [1, None, -2]),
        ("bytea[]", [b"\x01\\", None]),
        ("timestamptz[]", [datetime(2026, 1, 2, tzinfo=UTC)]),
    ],
)
def test_a_value_of_another_kind_arrives_as_what_it_is(arrive: Arrive, kind: str, value: object) -> None:
    assert arrive(kind, [value, None, value]) == [value, None, value]
