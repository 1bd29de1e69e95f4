"""/control: look at a platform and change it while it serves. No token, no limits, never counted. JSON in and out;
what cannot be done is refused with {"error": a sentence}."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.sandbox.switching import SwitchedOn, switched_on
from sync_pipelines.sandbox.webtolearn.faults import FAULTS
from sync_pipelines.sandbox.webtolearn.platform import FILTERS, LISTS, RELATIONS, RESOURCES
from sync_pipelines.sandbox.webtolearn.ranges import MEANINGS
from sync_pipelines.sandbox.webtolearn.running import Running

__all__ = ["CONTROL", "Refused", "control_routes", "refusal"]

CONTROL = "/control"


class Refused(Exception):
    """A request that asks for what is not there, or cannot be."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


async def refusal(request: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, error.status if isinstance(error, Refused) else 400)


def _json(value: object, status: int = 200) -> Response:
    # Escaped: half a letter, which a row may hold, has no UTF-8.
    return Response(json.dumps(value, indent=2) + "\n", status, media_type="application/json")


@dataclass(frozen=True)
class _Setting:
    attribute: str
    allowed: str
    is_allowed: Callable[[Any], bool]


def _one_of(attribute: str, words: Any) -> _Setting:
    return _Setting(
        attribute, f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words
    )


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


_SETTINGS = {
    "range": _one_of("range_meaning", MEANINGS),
    "page_cap": _Setting("page_cap", "null or a whole number from 1", lambda v: v is None or _whole(v, 1)),
    "filters": _one_of("filters", FILTERS),
    "sort_ignored": _Setting("sort_ignored", "true or false", lambda v: isinstance(v, bool)),
    "relation": _one_of("relation", RELATIONS),
    "churn": _Setting("churn", "a number from 0, the changes after each listing", _is_rate),
    "limit_minute": _Setting("limit_minute", "a whole number from 0", lambda v: _whole(v, 0)),
    "limit_hour": _Setting("limit_hour", "a whole number from 0", lambda v: _whole(v, 0)),
    "token": _Setting("token", "a text that is not empty", lambda v: isinstance(v, str) and bool(v)),
}


def _change(running: Running, asked: dict[str, Any]) -> None:
    """Change all of the settings asked for, or none."""
    for name, value in asked.items():
        if name not in _SETTINGS:
            raise Refused(f"there is no setting {name!r}: there are {', '.join(_SETTINGS)}")
        if not _SETTINGS[name].is_allowed(value):
            raise Refused(f"{name} is {_SETTINGS[name].allowed}; not {json.dumps(value)}")
    for name, value in asked.items():
        setattr(running.platform, _SETTINGS[name].attribute, value)


def _fault(on: SwitchedOn) -> dict[str, Any]:
    return {**asdict(on), "left": on.left}


def _state(running: Running) -> dict[str, Any]:
    platform = running.platform
    return {
        "settings": {name: getattr(platform, setting.attribute) for name, setting in _SETTINGS.items()},
        "faults": [_fault(on) for on in platform.faults],
        "statistics": running.counts.shown(),
        "rows": {resource: len(platform.rows(resource)) for resource in RESOURCES},
        "churned": {resource: sorted(ids) for resource, ids in platform.churned.items()},
    }


async def _body(request: Request, kind: type[Any], what: str) -> Any:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise Refused(f"the body is not JSON: it should be {what}") from None
    if not isinstance(body, kind):
        raise Refused(f"the body should be {what}")
    return body


def _resource(request: Request) -> str:
    resource = request.path_params["resource"]
    if resource not in RESOURCES:
        raise Refused(f"there are no {resource!r}: there are {', '.join(RESOURCES)}", 404)
    return resource


class _Control:
    """The endpoints. A change answers with what it has put in place."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._platform = running.platform

    async def show(self, request: Request) -> Response:
        return _json(_state(self._running))

    async def change(self, request: Request) -> Response:
        _change(self._running, await _body(request, dict, "an object of settings"))
        return _json(_state(self._running))

    async def reset(self, request: Request) -> Response:
        self._running.reset()
        return _json(_state(self._running))

    async def faults(self, request: Request) -> Response:
        return _json({name: fault.sentence for name, fault in FAULTS.items()})

    async def switch_on(self, request: Request) -> Response:
        asked = await _body(
            request, dict, 'an object such as {"fault": "reset", "path": "/lesson/list", "times": 1}'
        )
        limits = ("fault", "path", "times", "after", "seconds")
        if unknown := asked.keys() - set(limits):
            raise Refused(f"a fault has no {', '.join(map(repr, sorted(unknown)))}: it has {', '.join(limits)}")
        try:
            on = switched_on(FAULTS, **{"fault": None, "path": LISTS} | asked)
        except ValueError as error:
            raise Refused(str(error)) from error
        self._platform.faults.append(on)
        return _json(_fault(on), 201)

    async def switch_off(self, request: Request) -> Response:
        self._platform.faults.clear()
        return _json([])

    async def rows(self, request: Request) -> Response:
        return _json(self._platform.rows(_resource(request)))

    async def put_row(self, request: Request) -> Response:
        resource, key = _resource(request), request.path_params["id"]
        row = {"id": key} | await _body(request, dict, 'a row such as {"name": "Fizyka"}')
        if str(row["id"]) != key:
            raise Refused(f"the row's id is {json.dumps(row['id'])}, the path's {json.dumps(key)}")
        return _json(row, 201 if self._platform.put(resource, key, row) else 200)

    async def remove_row(self, request: Request) -> Response:
        resource, key = _resource(request), request.path_params["id"]
        row = self._platform.remove(resource, key)
        if row is None:
            raise Refused(f"no row of {resource} has the id {json.dumps(key)}", 404)
        return _json(row)

    async def put_grants(self, request: Request) -> Response:
        course = request.path_params["id"]
        if all(str(row.get("id")) != course for row in self._platform.courses):
            raise Refused(f"no row of courses has the id {json.dumps(course)}", 404)
        what = 'a list of rows such as {"id": "7", "email": "a@b.example", "expired_at": "Forever"}'
        rows = await _body(request, list, what)
        if not all(isinstance(row, dict) for row in rows):
            raise Refused(f"the body should be {what}")
        self._platform.course_users[course] = rows
        return _json(rows)


def control_routes(running: Running) -> list[Route]:
    control = _Control(running)
    endpoints = [
        ("GET", "", control.show),
        ("PATCH", "", control.change),
        ("POST", "/reset", control.reset),
        ("GET", "/faults", control.faults),
        ("POST", "/faults", control.switch_on),
        ("DELETE", "/faults", control.switch_off),
        ("GET", "/rows/{resource}", control.rows),
        ("PUT", "/rows/{resource}/{id}", control.put_row),
        ("DELETE", "/rows/{resource}/{id}", control.remove_row),
        ("PUT", "/grants/{id}", control.put_grants),
    ]
    return [Route(CONTROL + path, endpoint, methods=[method]) for method, path, endpoint in endpoints]
