"""Processes of ours that never outlive us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import httpx

from sync_pipelines.errors import SyncError

__all__ = ["Child", "WebChild"]

_PR_SET_PDEATHSIG = 1


class Child:
    """Runs `command` as long as this context; what it says goes into the file `log`."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        self._command = command

    def __enter__(self) -> Self:
        with self.log.open("wb") as out:
            # In a session of its own: Ctrl-C reaches us, and we end it in order.
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent(),
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Interrupt it, which takes Dagster 5–7 s; end by force what is left after 20 s."""
        try:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
                self._process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also when a second Ctrl-C cuts the waiting short.
            self._process.kill()
            if os.name == "posix":
                _kill_group(self._process.pid)
            self._process.wait(5)

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()


class WebChild(Child):
    """A process that answers at `url`, of which `page` tells that it does; `name` is what people call it."""

    def __init__(self, name: str, command: Sequence[str], log: Path, url: str, page: str) -> None:
        super().__init__(command, log)
        self.url = url
        self._name, self._page = name, page

    def wait_until_it_answers(self, *, seconds: float = 240) -> None:
        """Wait for its page. Raises SyncError when it ends instead, or takes longer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.status is not None:
                raise SyncError(f"{self._name} ended while starting (status {self.status}): see {self.log}")
            try:
                if httpx.get(f"{self.url}{self._page}", timeout=5).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise SyncError(f"{self._name} did not start within {seconds:.0f} s: see {self.log}")

    def wait_until_it_ends(self) -> NoReturn:
        """Wait for it to end by itself, which is a failure. Ctrl-C interrupts the wait."""
        while self.status is None:
            time.sleep(0.5)
        raise SyncError(f"{self._name} ended by itself (status {self.status}): see {self.log}")


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel interrupts the child when we die, however we die."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
