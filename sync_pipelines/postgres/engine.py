"""Connections: from a database address to a session, and from the driver's errors to ours, in this one place."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from psycopg import Error as PsycopgError
from psycopg import InterfaceError, OperationalError, errors
from sqlalchemy import event, exc

from sync_pipelines.errors import (
    DatabaseError,
    DatabaseUnavailable,
    SchemaError,
    SettingsError,
    TargetError,
    TransactionConflict,
)
from sync_pipelines.log import hide, redact

__all__ = ["Database", "Session", "describe", "driver_url"]

_OLDEST = 14
# SQLSTATE classes whose message names objects, rights and resources; the others' may quote a row.
_ABOUT_THE_SERVER = {"08", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"}
_URL_HINT = "check SYNC_DATABASE_URL"
# Compiling costs more than it saves here, and the sorts of a batch should not go to disk. Where somebody has set
# more memory than this, it is theirs to say.
_SESSION_SETTINGS = """
SET jit = off;
SELECT set_config('work_mem', '64MB', false)
WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB')
"""
# Whoever shares connections answers callers, and they do not wait for ever.
_LONGEST_STATEMENT = "SET statement_timeout = '15s'"
_LONGEST_WAIT_SECONDS = 5

# What PostgreSQL says of a row that it will not hold, a trigger's objection included. All else concerns the run.
_ROW_ERRORS = (errors.DataError, errors.IntegrityError, errors.RaiseException, errors.ProgramLimitExceeded)


def driver_url(url: str, driver: str) -> sa.URL:
    """The address with its driver named: a bare postgresql:// means different drivers to different libraries.

    Raises SettingsError.
    """
    try:
        parsed = sa.make_url(
            url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url
        )
        backend = parsed.get_backend_name()
    except (exc.ArgumentError, ValueError) as error:
        raise SettingsError(f"the database address cannot be read: {_URL_HINT}") from error
    if backend != "postgresql":
        raise SettingsError(f"the database must be PostgreSQL, not {backend}: {_URL_HINT}")
    hide(parsed.password)
    return parsed.set(drivername=f"postgresql+{driver}")


def describe(error: exc.DBAPIError | PsycopgError) -> str:
    """What the server said, by name and code, without the row's values that its text may hold."""
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    if not isinstance(original, PsycopgError) or original.sqlstate is None:
        return type(original).__name__
    constraint = f", constraint {original.diag.constraint_name}" if original.diag.constraint_name else ""
    said = f": {original.diag.message_primary}" if original.sqlstate[:2] in _ABOUT_THE_SERVER else ""
    return f"{type(original).__name__} ({original.sqlstate}{constraint}){said}"


@dataclass(frozen=True)
class Session:
    """One connection, used by one run; `schemas` says what the project's schema names are called there."""

    connection: sa.Connection
    schemas: Mapping[str, str]

    def table(self, name: str) -> str:
        """ "wtl.courses" as it is called in this database, quoted."""
        schema, _, table = name.partition(".")
        return f'"{self.schemas.get(schema, schema)}"."{table}"'

    def try_lock(self, name: str) -> bool:
        """Take the advisory lock of this name if nobody has it. It belongs to the connection, and goes with it."""
        statement = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
        with self.transaction() as connection:
            return bool(connection.scalar(statement, {"name": name}))

    @contextmanager
    def cursor(self) -> Generator[Any, None, None]:
        """The driver's own cursor (psycopg.Cursor), in the transaction under way or one of its own: for bulk."""
        with self.transaction() as connection, closing(connection.connection.cursor()) as cursor:
            yield cursor

    @contextmanager
    def savepoint(self) -> Generator[Any, None, None]:
        """As `cursor`, in a savepoint. Raises TargetError where the server refuses a row, and keeps nothing."""
        with self.transaction() as connection:
            try:
                with connection.begin_nested(), closing(connection.connection.cursor()) as cursor:
                    yield cursor
            except _ROW_ERRORS as error:
                raise TargetError(describe(error)) from None
            except UnicodeEncodeError:
                raise TargetError("a text holds half a character (a lone surrogate)") from None

    @contextmanager
    def transaction(self) -> Generator[sa.Connection, None, None]:
        """The transaction under way, or one of its own; errors come out as ours."""
        with _translated():
            if self.connection.in_transaction():
                yield self.connection
            else:
                with self.connection.begin():
                    yield self.connection


class Database:
    """A PostgreSQL database by its address. Making one connects to nothing.

    Each session has a connection of its own. With a `pool_size`, so many are kept and shared between threads: then
    nothing may be left on a session, such as a lock, and no statement takes longer than seconds.
    """

    def __init__(
        self,
        url: str,
        schemas: Mapping[str, str],
        *,
        application_name: str = "sync-pipelines",
        pool_size: int | None = None,
    ) -> None:
        self.url = driver_url(url, "psycopg")
        self.schemas = dict(schemas)
        self._pool_size = pool_size
        self.engine = sa.create_engine(
            self.url,
            hide_parameters=True,
            connect_args={"connect_timeout": 10, "application_name": application_name},
            **(_shared(pool_size) if pool_size else {"poolclass": sa.NullPool}),
        ).execution_options(schema_translate_map=self.schemas)
        event.listen(self.engine, "connect", self._prepare)

    def __str__(self) -> str:
        where = self.url.host or self.url.query.get("host") or "local socket"
        port = f":{self.url.port}" if self.url.host and self.url.port else ""
        return f"{where}{port}/{self.url.database}"

    def _prepare(self, connection: Any, _record: object) -> None:
        """Make the settings of a new connection, once for all sessions that it will serve."""
        with connection.cursor() as cursor:
            cursor.execute(_SESSION_SETTINGS)
            if self._pool_size:
                cursor.execute(_LONGEST_STATEMENT)
        connection.commit()

    @contextmanager
    def session(self) -> Generator[Session, None, None]:
        """Connect. Raises DatabaseUnavailable, or SchemaError where the server is too old."""
        try:
            connection = self.engine.connect()
        except exc.TimeoutError:
            raise DatabaseUnavailable(f"all {self._pool_size} connections to {self} are in use") from None
        except exc.OperationalError as error:
            raise DatabaseUnavailable(f"cannot connect to {self}: {_first_line(error)}; {_URL_HINT}") from error
        except exc.DBAPIError as error:
            raise DatabaseError(f"cannot connect to {self}: {_first_line(error)}; {_URL_HINT}") from error
        with connection:
            major = int((connection.dialect.server_version_info or (0,))[0])
            if major < _OLDEST:
                raise SchemaError(f"PostgreSQL {major} at {self} is too old: {_OLDEST} or later is needed")
            yield Session(connection, self.schemas)


def _shared(pool_size: int) -> dict[str, Any]:
    """The engine's options for connections that are kept: one that died meanwhile is replaced unnoticed."""
    return {
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": _LONGEST_WAIT_SECONDS,
        "pool_pre_ping": True,
    }


def _first_line(error: exc.DBAPIError) -> str:
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    return redact(lines[0]) if lines else type(error.orig).__name__


@contextmanager
def _translated() -> Generator[None, None, None]:
    try:
        yield
    except (exc.DBAPIError, PsycopgError) as error:
        # Not "from error": its text may quote rows, and whoever shows our error shows its cause too.
        raise _as_ours(error) from None


def _as_ours(error: exc.DBAPIError | PsycopgError) -> DatabaseError:
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(original, (errors.SerializationFailure, errors.DeadlockDetected)):
        return TransactionConflict(f"the database took the transaction back: {describe(error)}")
    if isinstance(original, (OperationalError, InterfaceError)):
        return DatabaseUnavailable(f"the database stopped answering: {describe(error)}")
    return DatabaseError(f"the database refused a statement: {describe(error)}")
