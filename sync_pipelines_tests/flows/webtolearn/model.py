"""Who has access to what, worked out in plain Python from the platform's rows alone (contracts/wtl.md A7, A8)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

from sync_pipelines.sandbox.webtolearn import Platform

__all__ = ["granted", "lasting_longest", "until"]


def granted(platform: Platform, courses: Iterable[str]) -> dict[tuple[str, str], tuple[datetime | None, str]]:
    """What wtl.course_users must show of these courses: one row a user."""
    found: dict[tuple[str, str], tuple[datetime | None, str]] = {}
    for course in courses:
        by_user: dict[str, list[str]] = {}
        for grant in platform.course_users.get(course, []):
            by_user.setdefault(str(grant["id"]), []).append(grant["expired_at"])
        for user, texts in by_user.items():
            raw = lasting_longest(texts)
            found[course, user] = until(raw), raw
    return found


def lasting_longest(texts: Iterable[str]) -> str:
    """Of a user's grants the one that counts."""
    return max(texts, key=lambda text: (until(text) or datetime.max.replace(tzinfo=UTC), text))


def until(text: str) -> datetime | None:
    """When access ends, as contracts/wtl.md A7 reads the platform: of two hours the later."""
    if text == "Forever":
        return None
    zone, offset = next((z, o) for z, o in (("UTC", 0), ("CEST", 2), ("CET", 1)) if z in text)
    date, time = text.split(zone)
    hour, minute, second = (int(part) for part in time.split(".")[0].split(":"))
    if 1 <= hour <= 12:
        hour = hour % 12 + 12
    at = datetime.fromisoformat(date) + timedelta(hours=hour, minutes=minute, seconds=second)
    return at.replace(tzinfo=timezone(timedelta(hours=offset))).astimezone(UTC)
