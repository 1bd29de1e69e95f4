"""The platform's people at work: rows come, go and are renamed between one request and the next. By seed."""

from __future__ import annotations

import random
from collections.abc import Callable

from sync_pipelines.sandbox import people
from sync_pipelines.sandbox.webtolearn.invention import Row
from sync_pipelines.sandbox.webtolearn.platform import RESOURCES, Platform

__all__ = ["Churn"]


class Churn:
    """Makes `platform.churn` changes after each listing: of 0.5 one after every second."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._rng = random.Random(f"churn {platform.seed}")
        self._owed = 0.0
        self._made = 0

    def after_listing(self, resource: str | None) -> None:
        """Change what was just listed, since that is what can go wrong; of another list's rows, any."""
        self._owed += self._platform.churn
        while self._owed >= 1:
            self._owed -= 1
            self._made += 1
            self._change(resource or self._rng.choice(RESOURCES))

    def _change(self, resource: str) -> None:
        rows = self._platform.rows(resource)
        kind = self._rng.choice((self._append, self._insert, self._delete, self._rename)) if rows else self._append
        kind(resource, rows)

    def _append(self, resource: str, rows: list[Row]) -> None:
        self._add(resource, max(self._taken(resource, rows), default=0) + self._rng.randint(1, 3))

    def _insert(self, resource: str, rows: list[Row]) -> None:
        """A new row among the others, where their ids have a gap; at the end where they have none."""
        taken = self._taken(resource, rows)
        if free := [number for number in range(1, max(taken, default=1)) if number not in taken]:
            self._add(resource, self._rng.choice(free))
        else:
            self._append(resource, rows)

    def _delete(self, resource: str, rows: list[Row]) -> None:
        self._platform.remove(resource, str(self._rng.choice(rows).get("id")))

    def _rename(self, resource: str, rows: list[Row]) -> None:
        row = self._rng.choice(rows)
        self._platform.put(resource, str(row.get("id")), {**row, **self._text(resource)})

    def _add(self, resource: str, number: int) -> None:
        key = str(number)
        self._platform.put(resource, key, {"id": key, **self._text(resource)})
        if resource == "lessons" and self._platform.course_lessons:
            lessons = self._platform.course_lessons[self._rng.choice([*self._platform.course_lessons])]
            lessons.insert(self._rng.randint(0, len(lessons)), key)

    def _taken(self, resource: str, rows: list[Row]) -> set[int]:
        """Numbers of rows that are there, and of those that came or went: none comes twice."""
        ids = {str(row.get("id")) for row in rows} | self._platform.churned[resource]
        return {int(key) for key in ids if key.isdecimal()}

    def _text(self, resource: str) -> Row:
        """A text that no row had, since it is numbered."""
        if resource == "users":
            name, domain = people.emails(self._rng, 1)[0].split("1@")
            return {"email": f"{name}.{self._made}@{domain}"}
        titles: Callable[..., list[str]] = people.course_titles if resource == "courses" else people.lesson_titles
        return {"name": f"{titles(self._rng, 1)[0]} [{self._made}]"}
