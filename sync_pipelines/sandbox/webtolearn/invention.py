"""Invents a school's platform: who has which course, until when, and which lessons belong to it. The same seed
invents the same, whatever else is asked for."""

from __future__ import annotations

import math
import random
from typing import Any, TypeGuard

from sync_pipelines.sandbox import people

__all__ = ["Row", "by_id", "courses", "grants", "is_row", "lessons", "relation", "some_grants", "users"]

Row = dict[str, Any]


def is_row(value: object) -> TypeGuard[Row]:
    return isinstance(value, dict)


def by_id(row: Row) -> float:
    """A row's place among others: by its number; without one, last."""
    return int(row["id"]) if str(row.get("id")).isdecimal() else math.inf


def courses(rng: random.Random, count: int) -> list[Row]:
    return _numbered(rng, "name", people.course_titles(rng, count))


def lessons(rng: random.Random, count: int) -> list[Row]:
    return _numbered(rng, "name", people.lesson_titles(rng, count))


def users(rng: random.Random, count: int) -> list[Row]:
    return _numbered(rng, "email", people.emails(rng, count))


def _numbered(rng: random.Random, name: str, values: list[str]) -> list[Row]:
    """Ids ascend with gaps, as they do where rows were deleted over the years."""
    number, rows = 0, list[Row]()
    for value in values:
        number += 1 if rng.random() < 0.9 else rng.randint(2, 9)
        rows.append({"id": str(number), name: value})
    return rows


def relation(rng: random.Random, courses: list[Row], lessons: list[Row]) -> dict[str, list[str]]:
    """Lesson ids by course id, in the course's order: each lesson in one course."""
    found: dict[str, list[str]] = {course["id"]: [] for course in courses}
    for lesson in rng.sample(lessons, len(lessons)) if courses else ():
        found[rng.choice(courses)["id"]].append(lesson["id"])
    return found


def grants(rng: random.Random, parents: list[Row], users: list[Row]) -> dict[str, list[Row]]:
    """Five to thirty users for each parent, by user id; every eighth of them several times (A8)."""
    found: dict[str, list[Row]] = {}
    for parent in parents:
        members = rng.sample(users, min(len(users), rng.randint(5, 30)))
        found[parent["id"]] = [row for user in sorted(members, key=by_id) for row in _grants_of(rng, user)]
    return found


def some_grants(rng: random.Random, parents: list[Row], users: list[Row]) -> dict[str, list[Row]]:
    """The same for every twentieth parent: most lessons are reached through a course."""
    return grants(rng, rng.sample(parents, math.ceil(len(parents) / 20)), users)


def _grants_of(rng: random.Random, user: Row) -> list[Row]:
    if rng.random() < 1 / 8:
        until = [_dated(rng, 2021), "Forever", _dated(rng, 2027)]  # dated, Forever, dated: as recorded
    else:
        until = ["Forever" if rng.random() < 0.4 else _dated(rng, 2021 if rng.random() < 0.3 else 2027)]
    return [{**user, "expired_at": text} for text in until]


def _dated(rng: random.Random, year: int) -> str:
    """The recorded form: a 12-hour clock without AM or PM, and after the dot the month once more (A7)."""
    month = rng.randint(1, 12)
    time = f"{rng.randint(1, 12):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"
    return f"{year}-{month:02}-{rng.randint(1, 28):02}UTC{time}.{month:02}"
