"""WebToLearn as a server: its reading endpoints, header, bodies, ranges and limits as they were recorded
(contracts/wtl.md A1–A14), over invented data. Deterministic: the same `Platform` answers the same."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.sandbox import people

__all__ = ["Platform", "RateWindow", "webtolearn_app"]

Row = dict[str, Any]


@dataclass
class Platform:
    """What the platform holds. Rows are as the wire shows them: ids are strings."""

    courses: list[Row] = field(default_factory=list[Row])
    lessons: list[Row] = field(default_factory=list[Row])
    users: list[Row] = field(default_factory=list[Row])
    course_users: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    lesson_users: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    token: str = "sandbox-token"  # noqa: S105
    page_cap: int | None = None
    limit_minute: int = 360
    limit_hour: int = 3600

    @classmethod
    def invented(cls, *, courses: int = 24, lessons: int = 480, users: int = 300, seed: int = 1) -> Platform:
        """A school's platform. Ids ascend with gaps, as they do where rows were deleted over the years."""
        rng = random.Random(seed)
        platform = cls(
            courses=_numbered(rng, "name", people.course_titles(rng, courses)),
            lessons=_numbered(rng, "name", people.lesson_titles(rng, lessons)),
            users=_numbered(rng, "email", people.emails(rng, users)),
        )
        for course in platform.courses:
            members = rng.sample(platform.users, min(len(platform.users), rng.randint(5, 30)))
            platform.course_users[course["id"]] = sorted((_grant(rng, user) for user in members), key=_by_id)
        return platform


def _numbered(rng: random.Random, name: str, values: list[str]) -> list[Row]:
    number, rows = 0, list[Row]()
    for value in values:
        number += 1 if rng.random() < 0.9 else rng.randint(2, 9)
        rows.append({"id": str(number), name: value})
    return rows


def _grant(rng: random.Random, user: Row) -> Row:
    day = f"2027-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    dated = f"{day}UTC{rng.randint(1, 12):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}.{day[5:7]}"
    return {**user, "expired_at": "Forever" if rng.random() < 0.4 else dated}


def _by_id(row: Row) -> float:
    return int(row["id"]) if str(row["id"]).isdigit() else math.inf


@dataclass
class RateWindow:
    """Requests left in this minute and this hour. Refused calls count too."""

    per_minute: int
    per_hour: int
    clock: Callable[[], float] = time.time
    _used: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    def spend(self) -> tuple[bool, dict[str, str]]:
        """Count one request: whether it was still within the limits, and the headers that say what is left."""
        now = int(self.clock())
        left: dict[str, int] = {}
        for name, seconds, limit in (("Minute", 60, self.per_minute), ("Hour", 3600, self.per_hour)):
            window = (name, now // seconds)
            self._used = {key: used for key, used in self._used.items() if key[0] != name or key == window}
            self._used[window] = self._used.get(window, 0) + 1
            left[name] = limit - self._used[window]
        headers = {f"X-RateLimit-Remaining-{name}": str(max(rest, 0)) for name, rest in left.items()}
        headers |= {"X-RateLimit-Limit-Minute": str(self.per_minute), "X-RateLimit-Limit-Hour": str(self.per_hour)}
        return min(left.values()) >= 0, headers


def webtolearn_app(platform: Platform) -> Starlette:
    """The platform as an ASGI application, at /api/v1."""
    window = RateWindow(platform.limit_minute, platform.limit_hour)

    def route(path: str, answer: Callable[[Request], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            within, headers = window.spend()
            if request.headers.get("x-auth-token") != platform.token:
                response = _json({"Status": {"message": "Not authenticated"}, "Code": 403}, 403)
            elif not within:
                # Recorded as such: not JSON (A9 c).
                response = Response('{"Status":["message","API call limit exceeded"],"Code" 429}', 429)
            else:
                response = answer(request)
            response.headers.update(headers)
            return response

        return Route("/api/v1" + path, endpoint, methods=["GET"])

    def whole(resource: str, rows: Callable[[], list[Row]]) -> Callable[[Request], Response]:
        return lambda request: _listing(request, resource, rows(), platform.page_cap)

    def granted(grants: Callable[[], dict[str, list[Row]]], parents: Callable[[], list[Row]]):
        def answer(request: Request) -> Response:
            parent = request.path_params["id"]
            if all(row["id"] != parent for row in parents()):
                return _json({"success": False, "message": f"Entity with id {parent} not found\n"}, 404)
            return _listing(request, "users", grants().get(parent, []), platform.page_cap)

        return answer

    def by_email(request: Request) -> Response:
        user = next((u for u in platform.users if u["email"] == request.path_params["email"]), None)
        return _json(user) if user else _json({"success": False, "message": "Nie znaleziono użytkownika"}, 404)

    return Starlette(
        routes=[
            route("/training/list", whole("trainings", lambda: platform.courses)),
            route("/lesson/list", whole("lessons", lambda: platform.lessons)),
            route("/user/list", whole("users", lambda: platform.users)),
            route("/abonament/list", whole("abonaments", list)),
            route("/exam/list", whole("exams", list)),
            route("/fast-selling/list", whole("fastSellings", list)),
            route("/training/{id}/user/list", granted(lambda: platform.course_users, lambda: platform.courses)),
            route("/lesson/{id}/user/list", granted(lambda: platform.lesson_users, lambda: platform.lessons)),
            route("/user/by-email/{email}", by_email),
            # Recorded with 201 for a GET (A2).
            route("/user/limits", lambda _: _json({"used": len(platform.users), "limit": 10_000}, 201)),
        ],
        exception_handlers={404: _unknown_route},
    )


async def _unknown_route(request: Request, error: Exception) -> Response:
    return Response(b"", 404)


def _json(value: object, status: int = 200) -> Response:
    # Compact and ASCII-escaped, as recorded (A6).
    return Response(json.dumps(value, separators=(",", ":")), status, media_type="application/json")


def _listing(request: Request, resource: str, rows: list[Row], cap: int | None) -> Response:
    rows = _sorted(_filtered(rows, request.query_params.get("filter")), request.query_params.get("sort"))
    first, last = _range(request.query_params.get("range"))
    size = last - first + 1
    page = rows[first : first + (size if cap is None else min(size, cap))] if size > 0 else []
    response = _json(page)
    # The end is not clamped to the total (A13).
    response.headers["Content-Range"] = f"{resource} {first}-{last + 1}/{len(rows)}"
    return response


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def _range(text: str | None) -> tuple[int, int]:
    """`[first,last]`, both inclusive (A14 S1); without a usable one, the first hundred rows."""
    match _parsed(text):
        case [int(first), int(last)] if first >= 0:
            return first, last
        case _:
            return 0, 99


def _sorted(rows: list[Row], text: str | None) -> list[Row]:
    """A sort it cannot read is ignored, with status 200 (A12)."""
    match _parsed(text):
        case ["id", str(direction)]:
            return sorted(rows, key=_by_id, reverse=direction.upper() == "DESC")
        case [str(name), str(direction)] if rows and name in rows[0]:
            return sorted(rows, key=lambda row: str(row[name]), reverse=direction.upper() == "DESC")
        case _:
            return rows


_TESTS: dict[str, Callable[[str, Any], bool]] = {
    "equals": lambda have, want: have == str(want),
    "is": lambda have, want: have == str(want),
    "contains": lambda have, want: str(want).casefold() in have.casefold(),
    "in": lambda have, want: have in map(str, want),
    "not in": lambda have, want: have not in map(str, want),
    "exists": lambda have, want: True,
    "less": lambda have, want: have < str(want),
    "more": lambda have, want: have > str(want),
    "less_equals": lambda have, want: have <= str(want),
    "more_equals": lambda have, want: have >= str(want),
}
_FILTERABLE = ("name", "email")


def _filtered(rows: list[Row], text: str | None) -> list[Row]:
    """A filter on a field that is not listed is ignored (A12)."""
    for rule in _parsed(text) or ():
        match rule:
            case {"field": str(name), "type": str(kind), "value": value} if name in _FILTERABLE and kind in _TESTS:
                rows = [row for row in rows if name in row and _TESTS[kind](str(row[name]), value)]
            case _:
                pass
    return rows
