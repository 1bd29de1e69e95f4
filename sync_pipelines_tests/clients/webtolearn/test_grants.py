"""Until when a user has access to a course, as the platform writes it (contracts/wtl.md A7, A8)."""

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.webtolearn import Grant
from sync_pipelines.clients.webtolearn.records import collapsed
from sync_pipelines.errors import SourceError


def grant(expired_at: object, user: object = "1") -> Grant:
    return Grant.from_row({"id": user, "email": "jan@szkola.example", "expired_at": expired_at})


def until(expired_at: object) -> datetime | None:
    return grant(expired_at).expires_at


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        ("2021-06-18UTC01:39:31.06", utc(2021, 6, 18, 13, 39, 31)),  # POSTed at 13:39:31, 13:41:08, 13:42:05 GMT
        ("2021-06-18UTC01:41:08.06", utc(2021, 6, 18, 13, 41, 8)),
        ("2021-06-18UTC01:42:05.06", utc(2021, 6, 18, 13, 42, 5)),
        ("2021-09-02UTC11:59:59.09", utc(2021, 9, 2, 23, 59, 59)),
        ("2021-05-31UTC23:59:59.09", utc(2021, 5, 31, 23, 59, 59)),  # by date: the tail is not its month
        ("2021-06-18UTC12:00:00.06", utc(2021, 6, 18, 12)),
        ("2021-06-18UTC00:30:00.06", utc(2021, 6, 18, 0, 30)),
        ("2021-06-18UTC13:00:00.06", utc(2021, 6, 18, 13)),
        ("2021-06-18 UTC 01:39:31.06", utc(2021, 6, 18, 13, 39, 31)),
        ("2021-06-18UTC01:39:31.6", utc(2021, 6, 18, 13, 39, 31)),
        ("2021-06-18UTC01:39:31", utc(2021, 6, 18, 13, 39, 31)),
        (" 2021-06-18UTC01:39:31.06\n", utc(2021, 6, 18, 13, 39, 31)),
        ("2021-06-18GMT13:00:00.06", utc(2021, 6, 18, 13)),
        ("2021-06-18Z13:00:00.06", utc(2021, 6, 18, 13)),
        ("2021-01-18CET13:00:00.01", utc(2021, 1, 18, 12)),
        ("2021-06-18CEST13:00:00.06", utc(2021, 6, 18, 11)),
        ("2021-06-18CEST12:30:00.06", utc(2021, 6, 18, 10, 30)),
        ("2021-06-18CEST00:30:00.06", utc(2021, 6, 17, 22, 30)),
        ("2024-02-29UTC13:00:00.02", utc(2024, 2, 29, 13)),
        ("9999-12-31UTC23:59:59.12", utc(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_every_form_that_was_recorded_is_read_as_the_latest_it_can_mean(raw: str, at: datetime) -> None:
    read = grant(raw)
    assert (read.expires_at, read.expires_raw) == (at, raw)
    assert read.expires_at is not None
    assert read.expires_at.utcoffset() == timedelta(0)


def test_forever_has_no_end() -> None:
    assert grant("Forever") == Grant("1", None, "Forever")
    assert until(" Forever\n") is None


@pytest.mark.parametrize(
    "raw",
    [
        *("", " ", "forever", "FOREVER", "Forever!", "Never", "null", "0000-00-00", "2021-06-18", "1623979171"),
        *("2021-06-18T13:39:31Z", "2021-06-18UTC", "2021-06-18UTC1:39:31.06", "2021-06-18UTC01:39.06"),
        *("18-06-2021UTC01:39:31.06", "2021/06/18UTC01:39:31.06", "x2021-06-18UTC01:39:31.06"),
        *(
            "2021-06-18UTC01:39:31.",
            "2021-06-18UTC01:39:31.123",
            "2021-06-18UTC01:39:31.06 PM",
            "٢٠٢١-06-18UTC01:39:31",
        ),
        *(
            "2021-06-1801:39:31.06",
            "2021-06-18utc01:39:31.06",
            "2021-06-18EST01:39:31.06",
            "2021-06-18MSK01:39:31",
        ),
        *("2021-06-18+0200 01:39:31", "2021-06-18UTCUTC01:39:31"),
    ],
)
def test_a_text_that_is_neither_forever_nor_such_a_date_is_refused(raw: str) -> None:
    with pytest.raises(SourceError, match="neither Forever nor a date") as caught:
        until(raw)
    assert len(raw.strip()) < 5 or raw not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "2021-02-29UTC01:00:00.02",
            "2021-13-01UTC01:00:00.13",
            "2021-00-10UTC01:00:00.00",
            "2021-06-31UTC01:00:00",
        ),
        *(
            "2021-06-18UTC24:00:00.06",
            "2021-06-18UTC99:00:00",
            "2021-06-18UTC01:60:00.06",
            "2021-06-18UTC01:00:60.06",
        ),
        *("0000-01-01UTC01:00:00.01", "0001-01-01CEST00:30:00.01"),
    ],
)
def test_a_date_that_does_not_exist_is_refused(raw: str) -> None:
    with pytest.raises(SourceError, match="no date that exists"):
        until(raw)


@pytest.mark.parametrize("value", [None, 5, 1623979171, 1.5, True, [], {}, ["Forever"]])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(SourceError, match="expired_at"):
        until(value)


@pytest.mark.parametrize(
    "row", [{"id": "1"}, {"expired_at": "Forever"}, {"id": "x", "expired_at": "Forever"}, None, []]
)
def test_a_row_without_user_or_end_is_refused(row: object) -> None:
    with pytest.raises(SourceError):
        Grant.from_row(row)


def test_a_grant_holds_no_address() -> None:
    assert "szkola" not in repr(grant("Forever", 6))
    assert grant("Forever", 6).id == "6"


zones = st.sampled_from([("UTC", 0), ("GMT", 0), ("Z", 0), ("CET", 1), ("CEST", 2)])
days = st.dates(date(2000, 1, 1), date(2999, 12, 31))


@given(day=days, at=st.times().map(lambda at: at.replace(microsecond=0)), zone=zones, tail=st.integers(0, 99))
def test_as_the_platform_writes_it_nobody_loses_access_early_and_nobody_gains_more_than_half_a_day(
    day: date, at: time, zone: tuple[str, int], tail: int
) -> None:
    name, hours = zone
    meant = datetime.combine(day, at, UTC) - timedelta(hours=hours)
    read = until(f"{day:%Y-%m-%d}{name}{at:%I:%M:%S}.{tail:02}")
    assert read in (meant, meant + timedelta(hours=12))
    assert read is not None
    assert (read + timedelta(hours=hours)).date() == day


@given(day=days, hour=st.integers(13, 23), zone=zones)
def test_an_hour_past_twelve_is_what_it_says(day: date, hour: int, zone: tuple[str, int]) -> None:
    assert until(f"{day:%Y-%m-%d}{zone[0]}{hour}:05:06.01") == datetime.combine(
        day, time(hour, 5, 6), UTC
    ) - timedelta(hours=zone[1])


@given(st.text())
def test_whatever_stands_there_it_is_an_end_forever_or_refused(raw: str) -> None:
    try:
        end = until(raw)
    except SourceError:
        return
    assert end is not None or raw.strip() == "Forever"


def test_access_ends_at_its_end() -> None:
    ends = utc(2021, 6, 18, 13, 39, 31)
    dated = grant("2021-06-18UTC01:39:31.06")
    assert dated.is_active(ends - timedelta(seconds=1))
    assert not dated.is_active(ends)
    assert grant("Forever").is_active(utc(9999, 12, 31))


def written(day: date, at: time, zone: str) -> str:
    return f"{day:%Y-%m-%d}{zone}{at:%H:%M:%S}.{day:%m}"


dated = st.builds(
    written,
    st.sampled_from([date(2021, 6, 17), date(9999, 12, 31)]),
    st.sampled_from([time(1), time(13), time(14)]),
    st.sampled_from(["UTC", "GMT", "CET", "CEST"]),
)
several = st.lists(dated.map(grant), min_size=1, max_size=8) | st.lists(
    (dated | st.just("Forever")).map(grant), min_size=1, max_size=8
)


@given(several, st.integers(0, 10**9))
def test_of_several_grants_one_counts_in_whatever_order_they_come(grants: list[Grant], seed: int) -> None:
    shuffled = random.Random(seed).sample(grants, len(grants))
    assert collapsed(shuffled) == collapsed(grants)
    assert collapsed(grants) in grants


@given(several, several)
def test_what_counts_counts_again(one: list[Grant], other: list[Grant]) -> None:
    assert collapsed([collapsed(one)]) == collapsed(one)
    assert collapsed([collapsed(one), collapsed(other)]) == collapsed(one + other)


@given(several)
def test_of_several_grants_none_lasts_longer_than_the_one_that_counts(grants: list[Grant]) -> None:
    best = collapsed(grants)
    if any(one.expires_at is None for one in grants):
        assert best.expires_raw == "Forever"
    else:
        assert best.expires_at == max(one.expires_at for one in grants if one.expires_at is not None)


def test_forever_wins_over_the_last_second_there_is() -> None:
    rows: list[Any] = ["9999-12-31UTC23:59:59.12", "Forever", "2021-06-18UTC01:39:31.06"]
    assert collapsed(map(grant, rows)).expires_raw == "Forever"
