"""/control: the schools, the truth about each, and how it behaves, while they serve. No login, never counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.sandbox.bakalari.faults import FAULTS
from sync_pipelines.sandbox.bakalari.school import School
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

__all__ = ["control_routes"]

_SETTINGS = {
    "style": one_of("style", ("new", "old")),
    "pages": one_of("pages", ("rendered", "embedded", "none")),
    "access_seconds": whole_from("access_seconds", 0),
    "refresh_seconds": whole_from("refresh_seconds", 0),
    "refresh_reuses": whole_from("refresh_reuses", 0),
    "rotates": on_or_off("rotates"),
    "lost_refreshes": whole_from("lost_refreshes", 0),
    "summer": on_or_off("summer"),
    "holiday": on_or_off("holiday"),
    "down": Setting(
        "down", "null, unavailable or dropped", lambda v: v is None or v in ("unavailable", "dropped")
    ),
    "delay": number_from("delay", 0, "the seconds before each answer"),
    "needs_language": on_or_off("needs_language"),
    "bulk": on_or_off("bulk"),
    "bulk_complete": on_or_off("bulk_complete"),
    "bulk_token": Setting("bulk_token", "null or a text", lambda v: v is None or isinstance(v, str)),
    "dummy": on_or_off("dummy"),
    "conflicts": Setting(
        "conflicts",
        "an object of usernames: whose UserUID each answers with",
        lambda v: isinstance(v, dict) and all(isinstance(name, str) for name in v.values()),
    ),
}
_CLASS = {
    "abbrev": Setting("abbrev", "a text", lambda v: isinstance(v, str)),
    "name": Setting("name", "a text", lambda v: isinstance(v, str)),
    "study_year": whole_from("study_year", 0),
}


def _counts(school: School) -> dict[str, int]:
    lists = ("classes", "subjects", "teachers", "rooms", "pupils", "atoms", "accounts")
    return {name: len(getattr(school, name)) for name in lists} | {
        "enrollments": len(school.enrolled()),
        "requests": school.requests.total(),
    }


def _state(school: School) -> dict[str, Any]:
    """Passwords too: this is no place for secrets."""
    return {
        "settings": settings_shown(school, _SETTINGS),
        "faults": [fault_shown(on) for on in school.faults],
        "counts": _counts(school),
        "requests": dict(sorted(school.requests.items())),
        **{
            name: [asdict(record) for record in getattr(school, name)]
            for name in ("classes", "subjects", "teachers", "rooms", "pupils")
        },
        "atoms": [{**asdict(atom), "released": sorted(atom.released)} for atom in school.atoms],
        "accounts": [asdict(a) | {"code": a.code, "is_locked": a.is_locked} for a in school.accounts.values()],
        "enrollments": sorted(school.enrolled()),
    }


class _Control:
    """The endpoints. A change answers with what it has put in place."""

    def __init__(self, schools: Mapping[str, School]) -> None:
        self._schools = schools

    def _school(self, request: Request) -> School:
        school = self._schools.get(request.path_params["school"])
        if school is None:
            known = ", ".join(self._schools)
            raise Refused(f"there is no school {request.path_params['school']!r}: there are {known}", 404)
        return school

    async def list(self, request: Request) -> Response:
        return answered({key: _counts(school) for key, school in self._schools.items()})

    async def faults(self, request: Request) -> Response:
        return answered({name: fault.sentence for name, fault in FAULTS.items()})

    async def show(self, request: Request) -> Response:
        return answered(_state(self._school(request)))

    async def change(self, request: Request) -> Response:
        school = self._school(request)
        change(school, _SETTINGS, await body(request, dict, "an object of settings"))
        return answered(settings_shown(school, _SETTINGS))

    async def change_class(self, request: Request) -> Response:
        school, class_id = self._school(request), request.path_params["id"]
        try:
            class_ = school.class_(class_id)
        except KeyError:
            raise Refused(f"there is no class {class_id!r}", 404) from None
        change(class_, _CLASS, await body(request, dict, 'an object such as {"abbrev": "2.A", "study_year": 2}'))
        return answered(asdict(class_))

    async def switch_on(self, request: Request) -> Response:
        school = self._school(request)
        example = '{"fault": "unavailable", "path": "/api/3/marking/*", "times": 3}'
        on = await asked_for_a_fault(request, FAULTS, example)
        school.faults.append(on)
        return answered(fault_shown(on), 201)

    async def switch_off(self, request: Request) -> Response:
        self._school(request).faults.clear()
        return answered([])


def control_routes(schools: Mapping[str, School]) -> list[Route]:
    control = _Control(schools)
    endpoints = [
        ("GET", "", control.list),
        ("GET", "/{school}", control.show),
        ("PATCH", "/{school}", control.change),
        ("PATCH", "/{school}/classes/{id:path}", control.change_class),
        ("GET", "/{school}/faults", control.faults),
        ("POST", "/{school}/faults", control.switch_on),
        ("DELETE", "/{school}/faults", control.switch_off),
    ]
    return [Route(CONTROL + path, endpoint, methods=[method]) for method, path, endpoint in endpoints]
