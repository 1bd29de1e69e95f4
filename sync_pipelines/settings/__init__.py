"""Every setting of the project, read in this one place from the environment and `.env`.

Read by the runner and the entry layers only; clients and the core take plain arguments. Secrets hide in repr.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sync_pipelines.errors import NotSetUp, SettingsError
from sync_pipelines.log import hide
from sync_pipelines.settings.files import secret_in_file
from sync_pipelines.settings.schools import (
    BulkExport,
    School,
    SchoolAccount,
    one_school,
    read_schools,
    web_address,
)

__all__ = ["BulkExport", "Pace", "School", "SchoolAccount", "Settings"]

# An address may hold commas itself.
_NEXT_URL = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_SCHEMA = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
_NAME = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    """One entry of SYNC_TABLES_FILE, its shape alone: meanings and defaults are `postgres.spec.TableSpec`'s."""

    model_config = ConfigDict(extra="forbid", strict=True)

    table: _NAME
    natural_key: list[_NAME]
    owned: list[_NAME]
    initial: list[_NAME] | None = None
    columns: dict[_NAME, _NAME] | None = None
    adopt: bool | None = None
    id: _NAME | None = None
    vanished_at: str | None = None
    synced_at: str | None = None
    written_at: str | None = None


_TABLES = TypeAdapter(dict[str, _Table])


_FROM_ENVIRONMENT = SettingsConfigDict(
    env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, case_sensitive=False
)


class Pace(BaseSettings):
    """The one setting that definitions are made from: how many minutes lie between two syncs.

    By itself, for schedules are made when the code is loaded, and that must not fail for another's sake.
    """

    model_config = _FROM_ENVIRONMENT

    every_minutes: int = Field(default=15, ge=1, le=60, validation_alias="SYNC_EVERY_MINUTES")

    @field_validator("every_minutes")
    @classmethod
    def _divides_the_hour(cls, value: int) -> int:
        if 60 % value:
            raise ValueError("an hour is no multiple of it: 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60")
        return value

    @classmethod
    def load(cls) -> Pace:
        """Read it. Raises SettingsError."""
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError(_what_is_wrong(error)) from None


def _what_is_wrong(error: ValidationError) -> str:
    return "; ".join(
        f"{e['loc'][0] if e['loc'] else 'settings'}: {e['msg'].removeprefix('Value error, ')}"
        for e in error.errors()
    )


class Settings(Pace):
    """The settings as they stand when it is made. An empty variable counts as unset.

    What is secret may lie in a file, as container platforms hand it out: NAME_FILE is then its path.
    """

    database_url: SecretStr | None = Field(default=None, validation_alias="SYNC_DATABASE_URL")
    home: Path = Field(default=Path(".sync"), validation_alias="SYNC_HOME")
    dagster_home: Path | None = Field(default=None, validation_alias="DAGSTER_HOME")
    dagster_webserver_url: str = Field(default="http://127.0.0.1:3000", validation_alias="DAGSTER_WEBSERVER_URL")
    dagster_graphql_url: str | None = Field(default=None, validation_alias="DAGSTER_GRAPHQL_URL")
    app_url: str = Field(default="http://127.0.0.1:8080", validation_alias="APP_URL")
    operator_token: SecretStr | None = Field(default=None, validation_alias="OPERATOR_TOKEN")
    wtl_webhook_secret: SecretStr | None = Field(default=None, validation_alias="WTL_WEBHOOK_SECRET")
    bakalari_webhook_secret: SecretStr | None = Field(default=None, validation_alias="BAKALARI_WEBHOOK_SECRET")
    wtl_api_url: str | None = Field(default=None, validation_alias="WTL_API_URL")
    wtl_api_token: SecretStr | None = Field(default=None, validation_alias="WTL_API_TOKEN")
    bakalari_url: str | None = Field(default=None, validation_alias="BAKALARI_URL")
    bakalari_username: str | None = Field(default=None, validation_alias="BAKALARI_USERNAME", repr=False)
    bakalari_password: SecretStr | None = Field(default=None, validation_alias="BAKALARI_PASSWORD")
    bakalari_superuser: bool = Field(default=False, validation_alias="BAKALARI_SUPERUSER")
    bakalari_schools_file: Path | None = Field(default=None, validation_alias="BAKALARI_SCHOOLS_FILE")
    secret_key: SecretStr | None = Field(default=None, validation_alias="SYNC_SECRET_KEY")
    sync_schema: _SCHEMA = Field(default="sync", validation_alias="SYNC_SCHEMA")
    wtl_schema: _SCHEMA = Field(default="wtl", validation_alias="WTL_SCHEMA")
    bakalari_schema: _SCHEMA = Field(default="bakalari", validation_alias="BAKALARI_SCHEMA")
    learning_schema: _SCHEMA = Field(default="learning", validation_alias="LEARNING_SCHEMA")
    dagster_schema: _SCHEMA = Field(default="dagster", validation_alias="DAGSTER_SCHEMA")
    tables_file: Path | None = Field(default=None, validation_alias="SYNC_TABLES_FILE")
    retries: int = Field(default=2, ge=0, le=10, validation_alias="SYNC_RETRIES")
    retry_seconds: float = Field(default=15, ge=0, le=600, validation_alias="SYNC_RETRY_SECONDS")
    alert_urls: SecretStr | None = Field(default=None, validation_alias="SYNC_ALERT_URLS")
    slow_seconds: str = Field(default="60, wtl_courses=900", validation_alias="SYNC_SLOW_SECONDS")
    max_error_rate: float = Field(default=0.01, ge=0, le=1, validation_alias="SYNC_MAX_ERROR_RATE")
    stale_intervals: int = Field(default=3, ge=1, validation_alias="SYNC_STALE_INTERVALS")
    keep_runs_days: int = Field(default=30, ge=1, validation_alias="SYNC_KEEP_RUNS_DAYS")

    @classmethod
    def load(cls) -> Settings:
        """Read them. Raises SettingsError naming each variable that is wrong, never its value."""
        try:
            settings = cls(**_secrets_in_files(cls))
        except ValidationError as error:
            raise SettingsError(_what_is_wrong(error)) from None
        for secret in (
            *(settings.wtl_api_token, settings.bakalari_password, settings.secret_key),
            *(settings.operator_token, settings.wtl_webhook_secret, settings.bakalari_webhook_secret),
        ):
            hide(secret.get_secret_value() if secret else None)
        for url in settings.alerted():
            hide(url)
        settings.slow_after("")
        return settings

    @field_validator("wtl_api_url", "bakalari_url", "dagster_webserver_url", "dagster_graphql_url", "app_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @property
    def schemas(self) -> dict[str, str]:
        """Which schema of the database each of the project's own names stands for."""
        return {
            "sync": self.sync_schema,
            "wtl": self.wtl_schema,
            "bakalari": self.bakalari_schema,
            "learning": self.learning_schema,
            "dagster": self.dagster_schema,
        }

    @property
    def dagster_api(self) -> str:
        """Where Dagster takes orders: by default at the address of its pages."""
        return self.dagster_graphql_url or f"{self.dagster_webserver_url.rstrip('/')}/graphql"

    def webtolearn(self) -> tuple[str, str]:
        """Base address and token of the WebToLearn platform. Raises SettingsError."""
        missing = [
            name
            for name, value in (("WTL_API_URL", self.wtl_api_url), ("WTL_API_TOKEN", self.wtl_api_token))
            if value is None
        ]
        if missing or self.wtl_api_url is None or self.wtl_api_token is None:
            raise (NotSetUp if len(missing) == 2 else SettingsError)(
                f"{' and '.join(missing)} not set: put the address of your WebToLearn platform "
                "(https://….elms.pl/api/v1) and its API token into the environment or .env"
            )
        return self.wtl_api_url, self.wtl_api_token.get_secret_value()

    def schools(self) -> tuple[School, ...]:
        """The Bakalari schools: those of the file, or the one of the three variables. Raises SettingsError."""
        three = {
            "BAKALARI_URL": self.bakalari_url,
            "BAKALARI_USERNAME": self.bakalari_username,
            "BAKALARI_PASSWORD": self.bakalari_password,
        }
        missing = [name for name, value in three.items() if value is None]
        if self.bakalari_schools_file is not None:
            given = [name for name in three if name not in missing]
            given += ["BAKALARI_SUPERUSER"] if self.bakalari_superuser else []
            if given:
                both = f"BAKALARI_SCHOOLS_FILE and {' and '.join(given)} are both set"
                raise SettingsError(f"{both}: the file says it all, put the school into it")
            return read_schools(self.bakalari_schools_file)
        if self.bakalari_url is None or self.bakalari_username is None or self.bakalari_password is None:
            raise (NotSetUp if len(missing) == len(three) else SettingsError)(
                f"{' and '.join(missing)} not set: put the address of the school's Bakalari and a login into the "
                "environment or .env; or name a file of many schools in BAKALARI_SCHOOLS_FILE"
            )
        password = self.bakalari_password.get_secret_value()
        return (
            one_school(self.bakalari_url, self.bakalari_username, password, superuser=self.bakalari_superuser),
        )

    def alerted(self) -> tuple[str, ...]:
        """Who is told of trouble: apprise's addresses, each of which may hold a secret."""
        text = self.alert_urls.get_secret_value() if self.alert_urls else ""
        return tuple(url.strip(", \t\r\n") for url in _NEXT_URL.split(text) if url.strip(", \t\r\n"))

    def slow_after(self, flow: str) -> float:
        """After how many seconds a run of this flow is slow ("60, bakalari=300"). Raises SettingsError."""
        seconds: dict[str, float] = {}
        try:
            for entry in self.slow_seconds.replace(",", " ").split():
                name, _, number = entry.rpartition("=")
                seconds[name] = float(number)
        except ValueError:
            raise SettingsError(
                f"SYNC_SLOW_SECONDS: {self.slow_seconds} is none: seconds, as in 60, or 60,bakalari=300"
            ) from None
        return seconds.get(flow, seconds.get("", 60.0))

    def tables(self) -> dict[str, dict[str, Any]]:
        """What SYNC_TABLES_FILE declares, by stream and by TableSpec's names. Raises SettingsError."""
        if self.tables_file is None:
            return {}
        try:
            entries = _TABLES.validate_python(tomllib.loads(self.tables_file.expanduser().read_text("utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"SYNC_TABLES_FILE ({self.tables_file}) cannot be read: {error}") from error
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise SettingsError(f"SYNC_TABLES_FILE ({self.tables_file}): {'; '.join(wrong)}") from None
        return {stream: entry.model_dump(exclude_unset=True) for stream, entry in entries.items()}

    def overview(self) -> list[tuple[str, str | None]]:
        """Each variable and its value as it may be shown: a secret only as being set; None where it is unset."""
        shown: list[tuple[str, str | None]] = []
        for name, field in type(self).model_fields.items():
            value: object = getattr(self, name)
            secret = isinstance(value, SecretStr) or not field.repr
            text = None if value is None else "set (hidden)" if secret else str(value)
            shown.append((str(field.validation_alias), text))
        return shown


def _secrets_in_files(settings: type[Settings]) -> dict[str, Any]:
    """What the files hold that NAME_FILE names, by NAME. Raises SettingsError."""
    names = [
        str(f.validation_alias) for f in settings.model_fields.values() if SecretStr in get_args(f.annotation)
    ]
    held = {name: secret_in_file(name, os.environ) for name in names}
    return {name: text for name, text in held.items() if text is not None}
