"""`dagster dev` as a child that never outlives us."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import httpx

from sync_pipelines.errors import SettingsError, SyncError

__all__ = ["DagsterUi", "free_port"]

_HOST = "127.0.0.1"
_PR_SET_PDEATHSIG = 1


def free_port(candidates: range) -> int:
    """The first port that nobody listens on. Raises SettingsError."""
    for port in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((_HOST, port))
            except OSError:
                continue
            return port
    taken = f"port {candidates[0]} is" if len(candidates) == 1 else f"ports {candidates[0]}–{candidates[-1]} are"
    raise SettingsError(f"{taken} taken: choose another with --port")


class DagsterUi:
    """Webserver, daemon and code server, on `port`; what they say goes into the file `log`."""

    def __init__(self, port: int, workspace: Path, log: Path) -> None:
        self.url = f"http://{_HOST}:{port}"
        self.log = log
        self._command = [
            sys.executable,
            "-m",
            "dagster",
            "dev",
            "-w",
            str(workspace),
            "-h",
            _HOST,
            "-p",
            str(port),
        ]

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
        """Interrupt it, which takes it 5–7 s; end by force what is left after 20 s."""
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

    def wait_until_it_answers(self, *, seconds: float = 240) -> None:
        """Wait for the first page. Raises SyncError when Dagster ends instead, or takes longer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise SyncError(
                    f"Dagster ended while starting (status {self._process.returncode}): see {self.log}"
                )
            try:
                if httpx.get(f"{self.url}/server_info", timeout=5).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise SyncError(f"Dagster did not start within {seconds:.0f} s: see {self.log}")

    def wait_until_it_ends(self) -> NoReturn:
        """Wait for Dagster to end by itself, which is a failure. Ctrl-C interrupts the wait."""
        while self._process.poll() is None:
            time.sleep(0.5)
        raise SyncError(f"Dagster ended by itself (status {self._process.returncode}): see {self.log}")


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
