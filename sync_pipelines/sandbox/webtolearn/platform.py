"""What the platform holds and how it behaves; everything can be changed while it serves."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from sync_pipelines.sandbox.switching import SwitchedOn, switched_on
from sync_pipelines.sandbox.webtolearn import invention
from sync_pipelines.sandbox.webtolearn.faults import FAULTS
from sync_pipelines.sandbox.webtolearn.invention import Row, by_id

__all__ = ["FILTERS", "LISTS", "RELATIONS", "RESOURCES", "Platform"]

LISTS = "*/list"
FILTERS = ("honoured", "ignored")
RELATIONS = ("none", "path", "filter", "query")
RESOURCES = ("courses", "lessons", "users")


@dataclass
class Platform:
    """Rows are as the wire shows them: ids are texts.

    `course_users` and `lesson_users` hold grants by the course's or lesson's id, `course_lessons` lesson ids in
    the course's order. `page_cap` is the most rows of one answer, `churn` how many changes follow each listing,
    `churned` the ids that came or went by churn, `put` and `remove`.
    """

    courses: list[Row] = field(default_factory=list[Row])
    lessons: list[Row] = field(default_factory=list[Row])
    users: list[Row] = field(default_factory=list[Row])
    course_users: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    lesson_users: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    course_lessons: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    token: str = "sandbox-token"  # noqa: S105
    range_meaning: str = "inclusive"
    page_cap: int | None = None
    filters: str = "honoured"
    sort_ignored: bool = False
    relation: str = "none"
    churn: float = 0.0
    limit_minute: int = 360
    limit_hour: int = 3600
    seed: int = 1
    faults: list[SwitchedOn] = field(default_factory=list[SwitchedOn])
    churned: dict[str, set[str]] = field(default_factory=lambda: {name: set[str]() for name in RESOURCES})

    @classmethod
    def invented(cls, *, courses: int = 24, lessons: int = 480, users: int = 300, seed: int = 1) -> Platform:
        """A school's platform, by seed."""
        rng = random.Random(seed)
        platform = cls(
            courses=invention.courses(rng, courses),
            lessons=invention.lessons(rng, lessons),
            users=invention.users(rng, users),
            seed=seed,
        )
        platform.course_users = invention.grants(rng, platform.courses, platform.users)
        platform.lesson_users = invention.some_grants(rng, platform.lessons, platform.users)
        platform.course_lessons = invention.relation(rng, platform.courses, platform.lessons)
        return platform

    def switch_on(
        self, fault: str, *, path: str = LISTS, times: int | None = None, after: int = 0, seconds: float = 1.0
    ) -> SwitchedOn:
        """Put a fault in force, beside those that are. Raises ValueError where there is no such fault."""
        on = switched_on(FAULTS, fault, path, times, after, seconds)
        self.faults.append(on)
        return on

    def rows(self, resource: str) -> list[Row]:
        """The rows of courses, lessons or users themselves, in the order of the platform."""
        return getattr(self, resource)

    def put(self, resource: str, key: str, row: Row) -> bool:
        """Replace the row of that id, or insert it at its number's place; whether it is new."""
        rows = self.rows(resource)
        place = _place(rows, key)
        if place is not None:
            rows[place] = row
        else:
            rows.insert(next((i for i, other in enumerate(rows) if by_id(other) > by_id(row)), len(rows)), row)
            self.churned[resource].add(key)
        if resource == "users" and "email" in row:
            for grants in (*self.course_users.values(), *self.lesson_users.values()):
                grants[:] = [{**g, "email": row["email"]} if g.get("id") == key else g for g in grants]
        return place is None

    def remove(self, resource: str, key: str) -> Row | None:
        """Take the row of that id away, and what hangs on it; None where there is none."""
        rows = self.rows(resource)
        place = _place(rows, key)
        if place is None:
            return None
        self.churned[resource].add(key)
        if resource == "users":
            for grants in (*self.course_users.values(), *self.lesson_users.values()):
                grants[:] = [grant for grant in grants if grant.get("id") != key]
        elif resource == "courses":
            self.course_users.pop(key, None)
            self.course_lessons.pop(key, None)
        else:
            self.lesson_users.pop(key, None)
            for lessons in self.course_lessons.values():
                lessons[:] = [lesson for lesson in lessons if lesson != key]
        return rows.pop(place)


def _place(rows: list[Row], key: str) -> int | None:
    return next((i for i, row in enumerate(rows) if str(row.get("id")) == key), None)
