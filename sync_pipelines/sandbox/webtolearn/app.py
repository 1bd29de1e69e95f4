"""The platform as an ASGI application: its API at /api/v1, and /control beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.controlling import CONTROL, Refused, refusal
from sync_pipelines.sandbox.switching import meet
from sync_pipelines.sandbox.webtolearn.control import control_routes
from sync_pipelines.sandbox.webtolearn.faults import API_LIMIT, FAULTS, LOGIN, NOT_AUTHENTICATED
from sync_pipelines.sandbox.webtolearn.invention import Row
from sync_pipelines.sandbox.webtolearn.platform import Platform
from sync_pipelines.sandbox.webtolearn.running import Running

__all__ = ["webtolearn_app"]

API = "/api/v1"
RELATION = "/training/{id}/lesson/list"


def webtolearn_app(platform: Platform, clock: Callable[[], float] = time.time) -> Starlette:
    """Serve a platform; `clock` gives seconds since 1970."""
    api = _Api(Running(platform, clock))
    answers: dict[str, Callable[[Request], Answer]] = {
        "/training/list": lambda r: api.listing(r, "trainings", platform.courses, "courses"),
        "/lesson/list": api.lessons,
        "/user/list": lambda r: api.listing(r, "users", platform.users, "users"),
        "/abonament/list": lambda r: api.listing(r, "abonaments", []),
        "/exam/list": lambda r: api.listing(r, "exams", []),
        "/fast-selling/list": lambda r: api.listing(r, "fastSellings", []),
        "/training/{id}/user/list": lambda r: api.grants(r, "training", platform.courses, platform.course_users),
        RELATION: api.course_lessons,
        "/lesson/{id}/user/list": lambda r: api.grants(r, "lesson", platform.lessons, platform.lesson_users),
        "/user/by-email/{email}": api.by_email,
        # Recorded with 201 for a GET (A2).
        "/user/limits": lambda _: Answer({"used": len(platform.users), "limit": 10_000}, 201),
    }
    return Starlette(
        routes=[
            *(Route(API + path, api.endpoint(path, answer), methods=["GET"]) for path, answer in answers.items()),
            Route("/login", _login, methods=["GET"]),
            *control_routes(api.running),
        ],
        exception_handlers={HTTPException: api.no_route, Refused: refusal},
    )


class _Api:
    """What the routes below /api/v1 answer."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.platform = running.platform

    def endpoint(self, route: str, answer: Callable[[Request], Answer]) -> Callable[..., object]:
        """Token, limits and faults around an answer, and the count of it."""

        async def endpoint(request: Request) -> Answer:
            if route == RELATION and self.platform.relation != "path":
                raise HTTPException(404)
            running, path = self.running, request.scope["path"].removeprefix(API)
            within, headers = running.spend()
            if request.headers.get("x-auth-token") != self.platform.token:
                found = Answer(status=403, text=NOT_AUTHENTICATED)
            elif not within:
                found = Answer(status=429, text=API_LIMIT)
            else:
                found = answer(request)
            found.now = running.clock()
            found.headers |= headers
            meet(self.platform.faults, FAULTS, path, found)
            found.headers["Date"] = formatdate(found.now, usegmt=True)
            running.counts.add(path, found.outcome, found.now)
            return found

        return endpoint

    async def no_route(self, request: Request, error: Exception) -> Response:
        """404 with an empty body (A9 e). Not counted against the limits: nothing is recorded of that."""
        assert isinstance(error, HTTPException)
        path: str = request.scope["path"]
        if path.startswith(CONTROL):
            return await refusal(request, Refused(f"there is no {request.method} {path}", error.status_code))
        if path.startswith(API):
            self.running.counts.add(path.removeprefix(API), str(error.status_code), self.running.clock())
        return Response(b"", error.status_code, error.headers)

    def listing(self, request: Request, resource: str, rows: list[Row], churned: str | None = None) -> Answer:
        page = self.running.lists.page(resource, rows, request.query_params)
        self.running.churn.after_listing(churned)
        return Answer(page.rows, page=page, headers={"Content-Range": page.content_range()})

    def lessons(self, request: Request) -> Answer:
        course = self.running.lists.course_asked_for(request.query_params)
        rows = self.platform.lessons if course is None else self.running.lists.lessons_of(course)
        return self.listing(request, "lessons", rows, "lessons")

    def course_lessons(self, request: Request) -> Answer:
        course: str = request.path_params["id"]
        rows = self.running.lists.lessons_of(course)
        return _missing("training", course, self.platform.courses) or self.listing(
            request, "lessons", rows, "lessons"
        )

    def grants(self, request: Request, entity: str, parents: list[Row], grants: dict[str, list[Row]]) -> Answer:
        parent: str = request.path_params["id"]
        return _missing(entity, parent, parents) or self.listing(request, "users", grants.get(parent, []))

    def by_email(self, request: Request) -> Answer:
        email: str = request.path_params["email"]
        user = next((user for user in self.platform.users if user.get("email") == email), None)
        return Answer(user) if user else _error(404, f"There is no user with e-mail {email}")


async def _login(request: Request) -> Response:
    return HTMLResponse(LOGIN)


def _error(status: int, message: str) -> Answer:
    """The platform's usual error (A9 b)."""
    return Answer({"success": False, "message": message}, status)


def _missing(entity: str, key: str, rows: list[Row]) -> Answer | None:
    """404, where there is no row of that id."""
    return (
        None
        if any(str(row.get("id")) == key for row in rows)
        else _error(404, f"Entity {entity} with id {key} not found")
    )
