"""A request as a school's endpoints see it, and the errors that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari.faults import message
from sync_pipelines.sandbox.bakalari.school import School

__all__ = ["Asked", "refused"]


@dataclass(frozen=True)
class Asked:
    """`path` and `base`, the school's own address, are decoded; `now` is in seconds since 1970."""

    school: School
    method: str
    path: str
    base: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    now: float


def refused(status: int, text: str) -> Answer:
    """A resource's error."""
    return Answer(status=status, text=message(text))
