"""What a law is, and the few things every law is written with."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

from sync_pipelines.core.ports import StateStore
from sync_pipelines.errors import SyncError

__all__ = ["CRASHES", "Law", "Laws", "broken", "crash", "crashing", "must", "needs"]

S = TypeVar("S")


@dataclass(frozen=True)
class Law(Generic[S]):
    """One thing that every implementation does. `str()` of it is its sentence."""

    name: str
    rule: Callable[[S], None]

    def __str__(self) -> str:
        return self.name

    def check(self, make: Callable[[], S]) -> None:
        """Look at a subject that `make` gives, a fresh one.

        Raises AssertionError where the law is broken, unittest.SkipTest where the subject lacks what it needs.
        """
        try:
            self.rule(make())
        except unittest.SkipTest:
            raise
        except AssertionError as error:
            raise AssertionError(f"{self.name}: {error}") from None
        except Exception as error:
            raise AssertionError(f"{self.name}: instead, {type(error).__name__} was raised: {error}") from error


class Laws(Generic[S]):
    """A list of laws, filled by decorating functions whose names are the laws' sentences."""

    def __init__(self) -> None:
        self.all: list[Law[S]] = []

    def __call__(self, rule: Callable[[S], None]) -> Callable[[S], None]:
        self.all.append(Law(rule.__name__.replace("_", " "), rule))
        return rule


def broken(laws: Iterable[Law[S]], make: Callable[[], S]) -> dict[str, str]:
    """The laws that are broken, and how. Those that lack what they need are left out."""
    found: dict[str, str] = {}
    for law in laws:
        try:
            law.check(make)
        except unittest.SkipTest:
            continue
        except AssertionError as error:
            found[law.name] = str(error)
    return found


def must(holds: bool, sentence: str) -> None:
    """Fail with the sentence. Not `assert`, which -O takes out."""
    if not holds:
        raise AssertionError(sentence)


def needs(given: object, name: str) -> None:
    """Skip the law where an optional part of the subject was not given."""
    if given is None or given == ():
        raise unittest.SkipTest(f"it needs `{name}`, which was not given")


class _Killed(KeyboardInterrupt):
    """A process that is killed; by a name of its own, so that a real Ctrl-C still ends the tests."""


class _Refused(SyncError):
    """An error of ours on its way up."""


def crash(how: type[BaseException]) -> NoReturn:
    """End by this exception."""
    raise how("a crash, for the law's sake")


@contextmanager
def crashing(store: StateStore, how: type[BaseException]) -> Generator[None, None, None]:
    """A transaction of the store that ends by an exception, after what is done inside."""
    try:
        with store.transaction():
            yield
            crash(how)
    except how:
        return
    must(False, f"a transaction swallowed the {how.__name__} that ended it")


#: How a transaction may end: by a defect, by an error of ours, by a kill.
CRASHES: tuple[type[BaseException], ...] = (RuntimeError, _Refused, _Killed)
