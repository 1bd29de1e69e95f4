"""A process of ours that never outlives us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Child"]

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
