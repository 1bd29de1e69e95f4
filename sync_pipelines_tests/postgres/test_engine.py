from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sync_pipelines.errors import DatabaseError, DatabaseUnavailable, SettingsError, TransactionConflict
from sync_pipelines.postgres.engine import Database, driver_url


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:p@h/d",
        "postgresql://u:p@h/d",
        "postgresql+psycopg2://u:p@h/d",
        "postgresql+asyncpg://u:p@h/d",
    ],
)
def test_every_spelling_of_the_address_gets_the_driver_we_name(url: str) -> None:
    assert driver_url(url, "psycopg").render_as_string(hide_password=False) == "postgresql+psycopg://u:p@h/d"


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter22@h/d", "nonsense hunter22", "postgresql://u:hunter22@h:port/d", ""]
)
def test_anything_else_is_a_wrong_setting_and_is_not_quoted(url: str) -> None:
    with pytest.raises(SettingsError, match="SYNC_DATABASE_URL") as caught:
        driver_url(url, "psycopg")
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://u:hunter22@127.0.0.1:1/d", "postgresql://u:hunter22@/d?host=/nowhere"]
)
def test_a_server_that_does_not_answer_is_named_without_the_password(url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="SYNC_DATABASE_URL") as caught, Database(url, {}).session():
        pass
    assert "hunter22" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    ["SELECT CAST('hunter22' AS uuid)", "DO $$ BEGIN RAISE EXCEPTION 'row hunter22 is wrong'; END $$"],
)
def test_words_of_the_server_that_may_quote_a_row_are_left_out(database: Database, statement: str) -> None:
    with (
        database.session() as session,
        pytest.raises(DatabaseError) as caught,
        session.transaction() as connection,
    ):
        connection.execute(sa.text(statement))
    assert "hunter22" not in str(caught.value)


def test_words_of_the_server_about_itself_are_told(database: Database) -> None:
    with (
        database.session() as session,
        pytest.raises(DatabaseError, match='relation "nothing" does not exist'),
        session.transaction() as connection,
    ):
        connection.execute(sa.text("SELECT * FROM nothing"))


def test_the_drivers_own_error_does_not_hold_the_values(database: Database) -> None:
    with database.session() as session, pytest.raises(DBAPIError) as caught:
        session.connection.execute(sa.text("SELECT * FROM nothing WHERE email = :email"), {"email": "hunter22"})
    assert "hunter22" not in str(caught.value)


def test_a_lost_connection_is_transient(database: Database) -> None:
    with database.session() as session, database.session() as other:
        pid = session.connection.scalar(sa.text("SELECT pg_backend_pid()"))
        session.connection.rollback()
        other.connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(DatabaseUnavailable), session.transaction() as connection:
            connection.execute(sa.text("SELECT 1"))


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_transaction_that_gave_way_to_another_is_a_conflict_and_no_fault_of_a_row(
    database: Database, code: str
) -> None:
    gives_way = f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$"
    with database.session() as session:
        with pytest.raises(TransactionConflict, match=code), session.transaction() as connection:
            connection.execute(sa.text(gives_way))
        with pytest.raises(TransactionConflict, match=code), session.savepoint() as cursor:
            cursor.execute(gives_way)


@pytest.mark.parametrize(
    ("set_for_the_database", "of_a_session"), [("1MB", "64MB"), ("100kB", "64MB"), ("2GB", "2GB")]
)
def test_a_session_has_memory_for_sorting_and_what_an_administrator_gave_is_never_made_less(
    database: Database, query: Callable[..., list[Any]], set_for_the_database: str, of_a_session: str
) -> None:
    (name,) = query("SELECT current_database()::text")
    query(f"ALTER DATABASE {name} SET work_mem = '{set_for_the_database}'")
    with database.session() as session, session.transaction() as connection:
        assert connection.scalar(sa.text("SHOW work_mem")) == of_a_session
        assert connection.scalar(sa.text("SHOW jit")) == "off"


def kept(database: Database, connections: int) -> Database:
    return Database(database.url.render_as_string(hide_password=False), database.schemas, pool_size=connections)


def test_a_kept_connection_is_prepared_once_and_serves_one_session_after_the_other(database: Database) -> None:
    shared = kept(database, 1)
    with shared.session() as session, session.transaction() as connection:
        (first,) = connection.execute(sa.text("SELECT pg_backend_pid(), current_setting('jit')"))
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "15s"
        connection.execute(sa.text("SET jit = on"))
    with shared.session() as session, session.transaction() as connection:
        (second,) = connection.execute(sa.text("SELECT pg_backend_pid(), current_setting('jit')"))
    shared.engine.dispose()
    assert (first[1], second) == ("off", (first[0], "on"))


def test_who_finds_all_kept_connections_in_use_is_told_to_try_again(database: Database) -> None:
    shared = kept(database, 1)
    with shared.session(), pytest.raises(DatabaseUnavailable, match="in use"), shared.session():
        pass
    shared.engine.dispose()


def test_a_kept_connection_that_died_meanwhile_is_replaced_unnoticed(database: Database) -> None:
    shared = kept(database, 1)
    with shared.session() as session, session.transaction() as connection:
        died = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    with database.session() as session, session.transaction() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": died})
    with shared.session() as session, session.transaction() as connection:
        assert connection.scalar(sa.text("SELECT pg_backend_pid()")) != died
    shared.engine.dispose()


def test_connections_of_ones_own_have_no_limit_of_time(database: Database) -> None:
    with database.session() as session, session.transaction() as connection:
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "0"
