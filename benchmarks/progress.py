"""Learning progress: state files in bulk, one request a lesson, and what the database alone needs for the same.

Each is a process that works in BENCH_DATABASE_URL and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sync_pipelines.flows.progress.states import read_state
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.api_tokens import create_token
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.progress_bulk import LandedState, land, merge_landed
from sync_pipelines.progress.wire import stamp
from sync_pipelines.service.app import make_app
from sync_pipelines.service.serving import listen, serve
from sync_pipelines.settings import Settings

__all__ = ["LESSONS_OF_A_DEVICE"]

LESSONS_OF_A_DEVICE = 50
_LESSONS = 200
_DEVICES_OF_A_LEARNER = 2
_FILES_AT_A_TIME = 1000
_SCHEMAS = {name: name for name in ("sync", "wtl", "bakalari", "learning", "dagster")}
_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


# --- what the devices say -------------------------------------------------------------------------------------


def learner_of(device: int) -> str:
    return f"learner-{device // _DEVICES_OF_A_LEARNER:06}"


def state_of(device: int) -> dict[str, Any]:
    """A device's state file: of some of the lessons, which a learner's other device has in part too."""
    chance = random.Random(device)
    lessons = {
        str(lesson): _lesson(chance) for lesson in chance.sample(range(1, _LESSONS + 1), LESSONS_OF_A_DEVICE)
    }
    return {
        "schema_version": 1,
        "device_id": f"{chance.getrandbits(128):032x}",
        "user_id": learner_of(device),
        "locale": "fr-FR",
        "lessons": lessons,
        "pending": list(lessons),
        "last_sync_at": None,
    }


def _lesson(chance: random.Random) -> dict[str, Any]:
    own, at = chance.randrange(10**6), _YEAR + timedelta(microseconds=chance.randrange(10**13))
    score = chance.choice([None, chance.randrange(101)])
    return {
        "seen": True,
        "completed": chance.random() < 0.5,
        "percent": chance.randrange(101),
        "time_ms": own + 1000,
        "own_time_ms": own,
        "score_best": score,
        "score_last": score,
        "updated_at": stamp(at),
        "last_seen_at": stamp(at),
    }


# --- in bulk --------------------------------------------------------------------------------------------------


def make_tables(database_url: str) -> None:
    """The project's own, and a platform's lessons, in an empty database."""
    database = Database(database_url, _SCHEMAS)
    migrate.upgrade(database)
    with database.session() as session, session.transaction() as connection:
        insert = (
            "INSERT INTO wtl.lessons (wtl_lesson_id, title) SELECT n::text, 'Leçon' FROM generate_series(1, :n) n"
        )
        connection.execute(sa.text(insert), {"n": _LESSONS})


@dataclass
class Spent:
    """Seconds, by what they went into."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, what: str) -> Generator[None, None, None]:
        started = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0) + time.perf_counter() - started

    def said(self) -> dict[str, float]:
        return {"wall": sum(self.seconds.values()), **self.seconds}


def bulk(database_url: str, devices: int) -> dict[str, Any]:
    """Files, given as bytes, through the flow's own parts into merged rows."""
    spent, own_ms = Spent(), 0
    with Database(database_url, _SCHEMAS).session() as session:
        for start in range(0, devices, _FILES_AT_A_TIME):
            files = [state_of(device) for device in range(start, min(start + _FILES_AT_A_TIME, devices))]
            own_ms += sum(lesson["own_time_ms"] for file in files for lesson in file["lessons"].values())
            bodies = [json.dumps(file).encode() for file in files]
            with spent.on("parse"):
                states = [read_state(body) for body in bodies]
            with spent.on("land"):
                land(session, [LandedState(s.user_id or "", s.device_id, s.changes) for s in states])
        with spent.on("merge"):
            portions = len(list(merge_landed(session)))
        _check(session, devices, own_ms)
    return {**spent.said(), "portions": portions}


def _check(session: Session, devices: int, own_ms: int) -> None:
    """Raises ValueError where the tables do not have what was sent."""
    lessons = {(learner_of(device), lesson) for device in range(devices) for lesson in state_of(device)["lessons"]}
    with session.cursor() as cursor:
        for table, rows in (("lesson_progress", len(lessons)), ("device_time", devices * LESSONS_OF_A_DEVICE)):
            found = cursor.execute(f"SELECT count(*), sum(time_ms) FROM learning.{table}").fetchone()  # noqa: S608
            if found != (rows, own_ms):
                raise ValueError(f"{table} has {found[0]} rows and {found[1]} ms, not {rows} and {own_ms}")


def floors(database_url: str, devices: int) -> dict[str, Any]:
    """The same rows by one COPY of prepared lines, and what they became by INSERT … SELECT; after `bulk`."""
    spent = Spent()
    blocks = [
        "".join(map(_lines, range(start, min(start + _FILES_AT_A_TIME, devices)))).encode()
        for start in range(0, devices, _FILES_AT_A_TIME)
    ]
    with Database(database_url, _SCHEMAS).session() as session:
        with spent.on("copy"), session.cursor() as cursor, cursor.copy(_COPY) as copy:
            for block in blocks:
                copy.write(block)
        for table in ("lesson_progress", "device_time"):
            with session.cursor() as cursor:
                cursor.execute(f"CREATE TABLE learning.again (LIKE learning.{table} INCLUDING ALL)")
            with spent.on("insert"), session.cursor() as cursor:
                cursor.execute(f"INSERT INTO learning.again SELECT * FROM learning.{table} ORDER BY 1, 2")  # noqa: S608
            with session.cursor() as cursor:
                cursor.execute("DROP TABLE learning.again")
    return spent.said()


_COPY = (
    "COPY learning.device_states (user_id, lesson_id, device_id, seen, completed, percent, time_ms, score_best, "
    "score_last, score_last_said, updated_at, last_seen_at, last_seen_at_said) FROM STDIN (NULL 'None')"
)
_SAID = ("seen", "completed", "percent", "own_time_ms", "score_best", "score_last")


def _lines(device: int) -> str:
    file = state_of(device)
    return "".join(
        f"{file['user_id']}\t{lesson}\t{file['device_id']}\t"
        + "\t".join(str(fields[name]) for name in _SAID)
        + f"\tt\t{fields['updated_at']}\t{fields['last_seen_at']}\tt\n"
        for lesson, fields in file["lessons"].items()
    )


# --- by requests ----------------------------------------------------------------------------------------------

Send = Callable[[http.client.HTTPConnection, dict[str, str], dict[str, Any]], None]


def requests(database_url: str, send: Send, devices: Sequence[int], connections: int) -> dict[str, Any]:
    """Devices' lessons to the service over HTTP, by so many connections at once, each kept open."""
    tokens = _tokens(database_url, devices)
    states = {device: state_of(device) for device in devices}
    shares = [devices[number::connections] for number in range(connections)]
    with _service(database_url) as port:
        open_ones = [http.client.HTTPConnection("127.0.0.1", port) for _ in shares]

        def work(connection: http.client.HTTPConnection, share: Sequence[int]) -> None:
            for device in share:
                send(connection, {"Authorization": f"Bearer {tokens[learner_of(device)]}"}, states[device])

        with ThreadPoolExecutor(connections) as threads:
            # The service's first answers are slower than those that follow.
            for connection, share in zip(open_ones, shares, strict=True):
                _get(connection, {"Authorization": f"Bearer {tokens[learner_of(share[0])]}"})
            started = time.perf_counter()
            for done in [threads.submit(work, *pair) for pair in zip(open_ones, shares, strict=True)]:
                done.result()
            return {"wall": time.perf_counter() - started}


def patch(connection: http.client.HTTPConnection, headers: dict[str, str], state: dict[str, Any]) -> None:
    """A request a lesson."""
    for lesson, fields in state["lessons"].items():
        body = {**fields, "time_ms": fields["own_time_ms"], "device_id": state["device_id"]}
        _send(connection, "PATCH", f"{lesson}/", headers, body)


def import_all(connection: http.client.HTTPConnection, headers: dict[str, str], state: dict[str, Any]) -> None:
    """A request a device."""
    lessons = {key: {**fields, "time_ms": fields["own_time_ms"]} for key, fields in state["lessons"].items()}
    _send(connection, "POST", "import/", headers, {"device_id": state["device_id"], "lessons": lessons})


SENDS: dict[str, Send] = {"patch": patch, "import": import_all}


def _send(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: Any
) -> None:
    headers = {**headers, "Content-Type": "application/json"}
    connection.request(method, f"/api/v1/learning/progress/{path}", json.dumps(body), headers)
    _read(connection)


def _get(connection: http.client.HTTPConnection, headers: dict[str, str]) -> None:
    connection.request("GET", "/api/v1/learning/progress/", headers=headers)
    _read(connection)


def _read(connection: http.client.HTTPConnection) -> None:
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ValueError(f"the service answered {answer.status}: {body[:300]!r}")


def _tokens(database_url: str, devices: Sequence[int]) -> dict[str, str]:
    with Database(database_url, _SCHEMAS).session() as session:
        return {
            learner: create_token(session, learner, ["learner"], learner)[0]
            for learner in dict.fromkeys(map(learner_of, devices))
        }


@contextmanager
def _service(database_url: str) -> Generator[int, None, None]:
    """The port of a service in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.progress", "serve"]
    environment = {**os.environ, "SYNC_DATABASE_URL": database_url}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent, env=environment
    ) as service:
        try:
            yield int(service.stdout.readline()) if service.stdout else 0
        finally:
            service.terminate()


def main() -> None:
    """Do one of these, and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.progress", description=__doc__)
    parser.add_argument("what", choices=["bulk", "floors", *SENDS, "serve"])
    parser.add_argument("--make-tables", action="store_true", help="first, in an empty database")
    parser.add_argument("--devices", type=int, default=20_000, help="of 50 lessons each")
    parser.add_argument("--first", type=int, default=0, metavar="DEVICE")
    parser.add_argument("--connections", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.what == "serve":
        with listen("127.0.0.1", 0) as sock:
            print(sock.getsockname()[1], flush=True)
            serve(make_app(Settings.load()), sock)
        return
    database_url = os.environ["BENCH_DATABASE_URL"]
    if arguments.make_tables:
        make_tables(database_url)
    if arguments.what in SENDS:
        devices = range(arguments.first, arguments.first + arguments.devices)
        said = requests(database_url, SENDS[arguments.what], devices, arguments.connections)
    else:
        said = {"bulk": bulk, "floors": floors}[arguments.what](database_url, arguments.devices)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
