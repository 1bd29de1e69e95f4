"""The lock of a stream: who waits for whom, for how long, and what is said."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.errors import DatabaseUnavailable, StreamBusy
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines_tests.conftest import SCHEMAS

Query = Callable[..., list[Any]]


@pytest.fixture
def store(session: Session) -> PostgresStateStore:
    return PostgresStateStore(session)


def test_two_runs_of_a_stream_exclude_each_other_and_the_second_says_who_holds_it(
    store: PostgresStateStore, database: Database
) -> None:
    with store.exclusive("wtl/courses"), database.session() as other:
        late = PostgresStateStore(other, lock_timeout=timedelta(milliseconds=50))
        with (
            pytest.raises(StreamBusy, match=r"wtl/courses.*sync-pipelines.*server process \d+"),
            late.exclusive("wtl/courses"),
        ):
            pass
        with late.exclusive("wtl/users"):
            pass
    with database.session() as other, PostgresStateStore(other).exclusive("wtl/courses"):
        pass


def test_the_lock_goes_with_the_connection(store: PostgresStateStore, database: Database, query: Query) -> None:
    with database.session() as dying:
        lock = PostgresStateStore(dying).exclusive("wtl/courses")
        lock.__enter__()
        (pid,) = query("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        query("SELECT pg_terminate_backend(:pid)", pid=pid)
        with store.exclusive("wtl/courses"):
            pass
        lock.__exit__(None, None, None)


def test_the_holder_that_is_named_is_this_streams(store: PostgresStateStore, database: Database) -> None:
    pid = "SELECT pg_backend_pid()"
    with database.session() as one, database.session() as other:
        with one.transaction() as connection:
            holder = connection.exec_driver_sql(pid).scalar_one()
        users, courses = PostgresStateStore(other), PostgresStateStore(one)
        with users.exclusive("wtl/users"), courses.exclusive("wtl/courses"):
            late = PostgresStateStore(store._session, lock_timeout=timedelta(milliseconds=20))
            with pytest.raises(StreamBusy, match=rf"server process {holder},"), late.exclusive("wtl/courses"):
                pass


def test_the_holder_that_is_named_is_this_databases(
    session: Any, create_database: Any, database: Database
) -> None:
    elsewhere = Database(create_database(), SCHEMAS)
    with elsewhere.session() as far, database.session() as near:
        with near.transaction() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with PostgresStateStore(far).exclusive("wtl/courses"), PostgresStateStore(near).exclusive("wtl/courses"):
            late = PostgresStateStore(session, lock_timeout=timedelta(milliseconds=20))
            with pytest.raises(StreamBusy, match=f"server process {pid},"), late.exclusive("wtl/courses"):
                pass


def test_the_second_run_waits_for_the_first_and_then_goes_on(
    store: PostgresStateStore, database: Database, query: Query
) -> None:
    held: list[str] = []

    def second() -> None:
        with database.session() as session:
            patient = PostgresStateStore(session, lock_timeout=timedelta(seconds=30))
            with patient.exclusive("wtl/courses"), session.transaction() as connection:
                held.append(connection.exec_driver_sql("SHOW lock_timeout").scalar_one())

    thread = threading.Thread(target=second)
    with store.exclusive("wtl/courses"):
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
        mine = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        while query(waiting + mine) == [0] and thread.is_alive():
            pass
        assert held == []
    thread.join()
    assert held == ["0"]


def test_runs_of_two_installations_in_one_database_do_not_meet(session: Session, database: Database) -> None:
    here = PostgresStateStore(session)
    with database.session() as other:
        elsewhere = Session(other.connection, {**other.schemas, "sync": "sync_two"})
        there = PostgresStateStore(elsewhere, lock_timeout=timedelta(milliseconds=20))
        with here.exclusive("wtl/courses"), there.exclusive("wtl/courses"):
            pass


def test_a_connection_lost_while_waiting_is_not_taken_for_a_long_run(
    store: PostgresStateStore, database: Database, query: Query
) -> None:
    said: list[BaseException] = []

    def second() -> None:
        with database.session() as session:
            try:
                with PostgresStateStore(session).exclusive("wtl/courses"):
                    pass
            except StreamBusy as error:
                said.append(error)
            except DatabaseUnavailable as error:
                said.append(error)

    thread = threading.Thread(target=second)
    with store.exclusive("wtl/courses"):
        thread.start()
        stop = (
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        while query(stop) == [] and thread.is_alive():
            pass
        thread.join()
    assert [type(error) for error in said] == [DatabaseUnavailable]
