"""Many schools as one ASGI application: each below its own id, and /control beside them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari import marking, profile, timetable
from sync_pipelines.sandbox.bakalari.asking import Asked, refused
from sync_pipelines.sandbox.bakalari.control import control_routes
from sync_pipelines.sandbox.bakalari.dummy import dummy_answer
from sync_pipelines.sandbox.bakalari.export import export
from sync_pipelines.sandbox.bakalari.faults import LOGIN_PAGE, REFUSALS, SPOILT, UNAVAILABLE
from sync_pipelines.sandbox.bakalari.login import authorized, login
from sync_pipelines.sandbox.bakalari.pages import error_page, public_timetable, public_timetables
from sync_pipelines.sandbox.bakalari.school import School
from sync_pipelines.sandbox.controlling import CONTROL, Refused, refusal
from sync_pipelines.sandbox.switching import meet

__all__ = ["bakalari_app"]

_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _for_accounts(endpoint: Callable[..., Answer]) -> Callable[..., Answer]:
    """The endpoint, told whose the request's token is; without a good one it is not asked."""

    def answer(asked: Asked, *ids: str) -> Answer:
        account = authorized(asked)
        return account if isinstance(account, Answer) else endpoint(asked, account, *ids)

    return answer


# Paths below a school's address, in letters of any size, with the methods that they know.
_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", r"/api", profile.versions),
    ("GET", r"/api/3", profile.version),
    ("GET POST", r"/api/login", login),
    ("GET", r"/api/3/user", _for_accounts(profile.user)),
    ("GET", r"/api/3/subjects", _for_accounts(profile.subjects)),
    ("GET", r"/api/3/timetable/permanent", _for_accounts(timetable.permanent)),
    ("GET", r"/api/3/timetable/actual", _for_accounts(timetable.actual)),
    ("GET", r"/api/3/marking/atoms", _for_accounts(marking.atoms)),
    ("GET", r"/api/3/marking/marks/(.+)", _for_accounts(marking.sheet)),
    ("GET", r"/api/3/marks", _for_accounts(marking.own_marks)),
    ("GET", r"/api/3/homeworks", _for_accounts(lambda asked, account: Answer({"Homeworks": []}))),
    ("POST", r"/api/3/komens/messages/received", _for_accounts(lambda asked, account: Answer({"Messages": []}))),
    ("GET", r"/export", export),
    ("GET", r"/timetable/public", public_timetables),
    ("GET", r"/timetable/public/(actual|permanent|next)/(class|teacher|room)/(.+)", public_timetable),
    ("GET", r"/next/errinfo\.aspx", error_page),
    ("GET", r"(?:/login)?", lambda asked: Answer(text=LOGIN_PAGE, media_type="text/html")),
]


def bakalari_app(schools: Iterable[School], clock: Callable[[], float] = time.time) -> Starlette:
    """Serve schools, each at /{its id}; `clock` gives seconds since 1970.

    Raises ValueError where two have one id, or one's is no part of a path.
    """
    by_id: dict[str, School] = {}
    for school in schools:
        if school.id in by_id or school.id in ("", CONTROL.strip("/")) or "/" in school.id:
            raise ValueError(f"a school cannot have the id {school.id!r}, or another has it")
        by_id[school.id] = school
    return Starlette(
        routes=[
            *control_routes(by_id),
            Route("/{school}", _endpoint(by_id, clock), methods=_ALL_METHODS),
            Route("/{school}/{path:path}", _endpoint(by_id, clock), methods=_ALL_METHODS),
        ],
        exception_handlers={HTTPException: _no_route, Refused: refusal},
    )


def _endpoint(by_id: dict[str, School], clock: Callable[[], float]) -> Callable[..., object]:
    async def endpoint(request: Request) -> Answer:
        school = by_id.get(request.path_params["school"])
        if school is None:
            raise HTTPException(404)
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        root: str = request.scope.get("root_path", "")
        base = f"{root}/{school.id}"
        path = "/" + request.path_params.get("path", "")
        asked = Asked(school, request.method, path, base, request.headers, request.query_params, form, clock())
        school.requests[path] += 1
        answer = _answer(asked)
        answer.delay = max(answer.delay, school.delay)
        answer.headers["Date"] = formatdate(asked.now, usegmt=True)
        return answer

    return endpoint


def _answer(asked: Asked) -> Answer:
    """What the school says, with what is wrong with it. A refusal is in place of doing what was asked for."""
    school, answer = asked.school, Answer(now=asked.now)
    if school.down == "unavailable":
        answer.say(503, UNAVAILABLE, "text/html", bare=True)
        return answer
    if school.down == "dropped":
        answer.connection = "reset"
        return answer
    if meet(school.faults, REFUSALS, asked.path, answer):
        return answer
    if school.needs_language and "accept-language" not in asked.headers:
        return Answer(status=500, text="Internal Server Error", media_type="text/plain")
    answer = dummy_answer(asked) if school.dummy else _found(asked)
    meet(school.faults, SPOILT, asked.path, answer)
    return answer


def _found(asked: Asked) -> Answer:
    for methods, pattern, endpoint in _ROUTES:
        # An id takes what is left of the path, with its slashes.
        whole = pattern if pattern.endswith("(.+)") else pattern + "/?"
        if match := re.fullmatch(whole, asked.path, re.IGNORECASE | re.DOTALL):
            if asked.method not in methods.split():
                return refused(405, f"The requested resource does not support http method '{asked.method}'.")
            return endpoint(asked, *match.groups())
    return refused(404, f"No HTTP resource was found that matches the request URI '{asked.path}'.")


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = f"there is no {request.method} {request.scope['path']}"
    return await refusal(request, Refused(said, error.status_code))
