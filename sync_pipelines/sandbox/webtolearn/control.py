"""/control: look at a platform and change it while it serves. No token, no limits, never counted."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.sandbox.controlling import (
    CONTROL,
    Refused,
    Setting,
    answered,
    asked_for_a_fault,
    body,
    change,
    fault_shown,
    number_from,
    on_or_off,
    one_of,
    settings_shown,
    whole_from,
)
from sync_pipelines.sandbox.webtolearn.faults import FAULTS
from sync_pipelines.sandbox.webtolearn.platform import FILTERS, LISTS, RELATIONS, RESOURCES
from sync_pipelines.sandbox.webtolearn.ranges import MEANINGS
from sync_pipelines.sandbox.webtolearn.running import Running

__all__ = ["control_routes"]

_SETTINGS = {
    "range": one_of("range_meaning", MEANINGS),
    "page_cap": whole_from("page_cap", 1, or_null=True),
    "filters": one_of("filters", FILTERS),
    "sort_ignored": on_or_off("sort_ignored"),
    "relation": one_of("relation", RELATIONS),
    "churn": number_from("churn", 0, "the changes after each listing"),
    "limit_minute": whole_from("limit_minute", 0),
    "limit_hour": whole_from("limit_hour", 0),
    "token": Setting("token", "a text that is not empty", lambda v: isinstance(v, str) and bool(v)),
}


def _state(running: Running) -> dict[str, Any]:
    platform = running.platform
    return {
        "settings": settings_shown(platform, _SETTINGS),
        "faults": [fault_shown(on) for on in platform.faults],
        "statistics": running.counts.shown(),
        "rows": {resource: len(platform.rows(resource)) for resource in RESOURCES},
        "churned": {resource: sorted(ids) for resource, ids in platform.churned.items()},
    }


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
        return answered(_state(self._running))

    async def change(self, request: Request) -> Response:
        change(self._platform, _SETTINGS, await body(request, dict, "an object of settings"))
        return answered(_state(self._running))

    async def reset(self, request: Request) -> Response:
        self._running.reset()
        return answered(_state(self._running))

    async def faults(self, request: Request) -> Response:
        return answered({name: fault.sentence for name, fault in FAULTS.items()})

    async def switch_on(self, request: Request) -> Response:
        example = '{"fault": "reset", "path": "/lesson/list", "times": 1}'
        on = await asked_for_a_fault(request, FAULTS, example, LISTS)
        self._platform.faults.append(on)
        return answered(fault_shown(on), 201)

    async def switch_off(self, request: Request) -> Response:
        self._platform.faults.clear()
        return answered([])

    async def rows(self, request: Request) -> Response:
        return answered(self._platform.rows(_resource(request)))

    async def put_row(self, request: Request) -> Response:
        resource, key = _resource(request), request.path_params["id"]
        row = {"id": key} | await body(request, dict, 'a row such as {"name": "Fizyka"}')
        if str(row["id"]) != key:
            raise Refused(f"the row's id is {json.dumps(row['id'])}, the path's {json.dumps(key)}")
        return answered(row, 201 if self._platform.put(resource, key, row) else 200)

    async def remove_row(self, request: Request) -> Response:
        resource, key = _resource(request), request.path_params["id"]
        row = self._platform.remove(resource, key)
        if row is None:
            raise Refused(f"no row of {resource} has the id {json.dumps(key)}", 404)
        return answered(row)

    async def put_grants(self, request: Request) -> Response:
        course = request.path_params["id"]
        if all(str(row.get("id")) != course for row in self._platform.courses):
            raise Refused(f"no row of courses has the id {json.dumps(course)}", 404)
        what = 'a list of rows such as {"id": "7", "email": "a@b.example", "expired_at": "Forever"}'
        rows = await body(request, list, what)
        if not all(isinstance(row, dict) for row in rows):
            raise Refused(f"the body should be {what}")
        self._platform.course_users[course] = rows
        return answered(rows)


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
