"""A fault: what a name does to an answer, and the limits within which it is switched on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeGuard

from sync_pipelines.sandbox.answer import Answer

__all__ = ["ANY_PATH", "Act", "Fault", "SwitchedOn", "meet", "switched_on"]

ANY_PATH = "*"


@dataclass
class SwitchedOn:
    """A fault in force: for requests whose path below the API's address matches `path`, not for the first `after`
    of them, then for `times` (None: for good). `seconds` is how long, where a fault has a length."""

    fault: str
    path: str = ANY_PATH
    times: int | None = None
    after: int = 0
    seconds: float = 1.0
    seen: int = 0
    used: int = 0

    @property
    def left(self) -> int | None:
        return None if self.times is None else self.times - self.used


Act = Callable[[Answer, SwitchedOn], None]


@dataclass(frozen=True)
class Fault:
    """`act` changes an answer. One about rows passes over an answer that is no list, and keeps its turn."""

    sentence: str
    act: Act
    about_rows: bool = False


def meet(faults: Iterable[SwitchedOn], table: Mapping[str, Fault], path: str, answer: Answer) -> bool:
    """Let every fault of the table that is due change the answer, in the order in which they were switched on;
    whether there was one."""
    met = False
    for on in faults:
        fault = table.get(on.fault)
        if fault is None or not fnmatchcase(path, on.path) or (fault.about_rows and answer.page is None):
            continue
        on.seen += 1
        if on.seen > on.after and on.left != 0:
            on.used += 1
            fault.act(answer, on)
            met = True
    return met


def switched_on(
    known: Iterable[str],
    fault: object,
    path: object = ANY_PATH,
    times: object = None,
    after: object = 0,
    seconds: object = 1.0,
) -> SwitchedOn:
    """A fault to put in force. Raises ValueError, with a sentence, where its name or a limit is not one."""
    if not isinstance(fault, str) or fault not in known:
        raise ValueError(f"fault is one of {', '.join(known)}; not {fault!r}")
    if not isinstance(path, str) or not path.startswith(("/", "*")):
        raise ValueError(f"path is one below the API's address, such as /list or */list; not {path!r}")
    if times is not None and not _whole(times, 1):
        raise ValueError(f"times is null or a whole number from 1; not {times!r}")
    if not _whole(after, 0):
        raise ValueError(f"after is a whole number from 0; not {after!r}")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise ValueError(f"seconds is a number; not {seconds!r}")
    return SwitchedOn(fault, path, times, after, seconds)


def _whole(value: object, least: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
