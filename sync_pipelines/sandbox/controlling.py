"""/control, as far as it is the same for every upstream: settings, faults, JSON in and out. What cannot be done is
refused with {"error": a sentence}."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.switching import ANY_PATH, Fault, SwitchedOn, switched_on

__all__ = [
    "CONTROL",
    "Refused",
    "Setting",
    "answered",
    "asked_for_a_fault",
    "body",
    "change",
    "fault_shown",
    "number_from",
    "on_or_off",
    "one_of",
    "refusal",
    "settings_shown",
    "whole_from",
]

CONTROL = "/control"


class Refused(Exception):
    """A request that asks for what is not there, or cannot be."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


async def refusal(request: Request, error: Exception) -> Response:
    return answered({"error": str(error)}, error.status if isinstance(error, Refused) else 400)


def answered(value: object, status: int = 200) -> Response:
    # Escaped: half a letter, which a row may hold, has no UTF-8.
    return Response(json.dumps(value, indent=2) + "\n", status, media_type="application/json")


async def body(request: Request, kind: type[Any], what: str) -> Any:
    """The request's JSON, of that kind. Raises Refused, which says what it should be."""
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise Refused(f"the body is not JSON: it should be {what}") from None
    if not isinstance(found, kind):
        raise Refused(f"the body should be {what}")
    return found


@dataclass(frozen=True)
class Setting:
    """An attribute that may be set, and to what."""

    attribute: str
    allowed: str
    is_allowed: Callable[[Any], bool]


def one_of(attribute: str, words: Iterable[str]) -> Setting:
    known = [*words]
    return Setting(
        attribute, f"one of {', '.join(known)}", lambda value: isinstance(value, str) and value in known
    )


def on_or_off(attribute: str) -> Setting:
    return Setting(attribute, "true or false", lambda value: isinstance(value, bool))


def whole_from(attribute: str, least: int, *, or_null: bool = False) -> Setting:
    def is_allowed(value: Any) -> bool:
        if value is None:
            return or_null
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    return Setting(attribute, f"{'null or ' if or_null else ''}a whole number from {least}", is_allowed)


def number_from(attribute: str, least: float, what: str) -> Setting:
    def is_allowed(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and least <= value < math.inf

    return Setting(attribute, f"a number from {least:g}, {what}", is_allowed)


def settings_shown(target: object, settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {name: getattr(target, setting.attribute) for name, setting in settings.items()}


def change(target: object, settings: Mapping[str, Setting], asked: dict[str, Any]) -> None:
    """Change all of the settings asked for, or none."""
    for name, value in asked.items():
        if name not in settings:
            raise Refused(f"there is no setting {name!r}: there are {', '.join(settings)}")
        if not settings[name].is_allowed(value):
            raise Refused(f"{name} is {settings[name].allowed}; not {json.dumps(value)}")
    for name, value in asked.items():
        setattr(target, settings[name].attribute, value)


async def asked_for_a_fault(
    request: Request, faults: Mapping[str, Fault], example: str, path: str = ANY_PATH
) -> SwitchedOn:
    """The fault that a request wants in force, for `path` where it does not say."""
    asked = await body(request, dict, f"an object such as {example}")
    limits = ("fault", "path", "times", "after", "seconds")
    if unknown := asked.keys() - set(limits):
        raise Refused(f"a fault has no {', '.join(map(repr, sorted(unknown)))}: it has {', '.join(limits)}")
    try:
        return switched_on(faults, **{"fault": None, "path": path} | asked)
    except ValueError as error:
        raise Refused(str(error)) from error


def fault_shown(on: SwitchedOn) -> dict[str, Any]:
    return {**asdict(on), "left": on.left}
