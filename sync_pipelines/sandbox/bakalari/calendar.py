"""Days as a Czech school counts them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

__all__ = ["DAYS", "midnight", "monday_of", "school_year", "today"]

# A week's working days, as pages call them.
DAYS = ("po", "út", "st", "čt", "pá")


def today(now: float) -> date:
    """The date of a moment in seconds since 1970; near midnight it may be a neighbour."""
    return datetime.fromtimestamp(now, UTC).date()


def school_year(day: date) -> tuple[date, date]:
    """First and last day of the school year; summer belongs to the one before."""
    first = day.year if day.month >= 9 else day.year - 1
    return date(first, 9, 1), date(first + 1, 6, 30)


def monday_of(day: date, year: tuple[date, date]) -> date:
    """The Monday of a day's week; of a day outside the school year, of the nearest week in it."""
    day = min(max(day, year[0]), year[1])
    return day - timedelta(days=day.weekday())


def midnight(day: date) -> str:
    """ISO with the offset of summer time from April to October."""
    return f"{day}T00:00:00+0{2 if 4 <= day.month <= 10 else 1}:00"
