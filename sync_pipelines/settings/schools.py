"""The Bakalari schools of the settings: a TOML file of many, or the three variables of one.

A password stands in no file: the file names the variable that holds it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sync_pipelines.errors import SettingsError
from sync_pipelines.log import hide
from sync_pipelines.settings.files import secret_in_file

__all__ = ["BulkExport", "School", "SchoolAccount", "one_school", "read_schools", "web_address"]

_SLUG = r"^[a-z0-9][a-z0-9-]{0,62}$"
_FROM_ENVIRONMENT = r"^env:[A-Za-z_][A-Za-z0-9_]*$"


@dataclass(frozen=True)
class SchoolAccount:
    """A login of one school. `label` is what tables and errors call it; its name is somebody's.

    `superuser`: a person vouches that it sees the marking sheets of the whole school.
    """

    label: str
    username: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    superuser: bool = False


@dataclass(frozen=True)
class BulkExport:
    """An address that gives a whole school at once, and the bearer token it asks for, if any.

    The address may have a query, which may be a secret.
    """

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class School:
    """A Bakalari server: `id` is its name everywhere here, `url` its web root without a slash at the end."""

    id: str
    url: str
    accounts: tuple[SchoolAccount, ...] = ()
    bulk: tuple[BulkExport, ...] = ()


def web_address(value: str) -> str:
    """An http(s) address without a slash at its end. Raises ValueError where it holds more than an address."""
    address = value.strip()
    if "@" in _host_of(address) or "?" in address or "#" in address:
        raise ValueError("an address without user, password, ? or #")
    return address.rstrip("/")


def _export_address(value: str) -> str:
    """As `web_address`, and it may have a query. Raises ValueError."""
    if "@" in _host_of(value) or "#" in value:
        raise ValueError("an address without user, password or #")
    return value


def _host_of(address: str) -> str:
    """With its port, and a user if it names one. Raises ValueError where it is no address."""
    try:
        parts = urlsplit(address)
        if (
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port != 0
            and not re.search(r"\s", address)
        ):
            return parts.netloc
    except ValueError:
        pass  # it quotes what may be a secret
    raise ValueError("not an address that begins with http:// or https://")


_Url = Annotated[str, AfterValidator(web_address)]
_ExportUrl = Annotated[str, AfterValidator(_export_address)]
_Secret = Annotated[str, Field(pattern=_FROM_ENVIRONMENT)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Account(_Entry):
    username: str = Field(min_length=1)
    password: _Secret | None = None
    refresh_token: _Secret | None = None
    superuser: bool = False
    label: str | None = Field(default=None, min_length=1, max_length=60)


class _Bulk(_Entry):
    url: _ExportUrl
    token: _Secret | None = None


class _School(_Entry):
    id: str = Field(pattern=_SLUG)
    url: _Url
    account: list[_Account] = []
    bulk: list[_Bulk] = []


class _File(_Entry):
    school: list[_School] = Field(min_length=1)


def read_schools(path: Path) -> tuple[School, ...]:
    """The schools of a file, in its order. Raises SettingsError, which quotes no value."""
    where = f"BAKALARI_SCHOOLS_FILE ({path})"
    try:
        entries = _File.model_validate(tomllib.loads(path.expanduser().read_text("utf-8"))).school
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{where} cannot be read: {error}") from error
    except ValidationError as error:
        raise SettingsError(f"{where}: {'; '.join(map(_said, error.errors()))}") from None
    environment = {**dotenv_values(".env"), **{name: value for name, value in os.environ.items() if value}}
    try:
        schools = tuple(_school(entry, environment) for entry in entries)
        _refuse_twins("id", [school.id for school in schools])
        _refuse_twins("url", [school.url for school in schools])
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None
    return schools


def one_school(url: str, username: str, password: str, *, superuser: bool) -> School:
    """The school of the three variables; its id is made of its host's name."""
    slug = re.sub(r"[^a-z0-9]+", "-", (urlsplit(url).hostname or "").lower()).strip("-")[:63]
    return School(slug or "school", url, (SchoolAccount("#1", username, password, superuser=superuser),))


def _school(entry: _School, environment: Mapping[str, str | None]) -> School:
    accounts = tuple(_account(entry.id, n, account, environment) for n, account in enumerate(entry.account, 1))
    _refuse_twins(f"username in school {entry.id}", [account.username for account in accounts], quoted=False)
    _refuse_twins(f"label in school {entry.id}", [account.label for account in accounts])
    bulk = tuple(
        BulkExport(b.url, _secret(f"school {entry.id}: bulk: token", b.token, environment)) for b in entry.bulk
    )
    if not accounts and not bulk:
        raise ValueError(f"school {entry.id} has neither an account nor a bulk export")
    return School(entry.id, entry.url, accounts, bulk)


def _account(school: str, number: int, entry: _Account, environment: Mapping[str, str | None]) -> SchoolAccount:
    label = entry.label or f"#{number}"
    where = f"school {school}: account {label}"
    password = _secret(f"{where}: password", entry.password, environment)
    refresh_token = _secret(f"{where}: refresh_token", entry.refresh_token, environment)
    if password is None and refresh_token is None:
        raise ValueError(f"{where} has neither a password nor a refresh_token")
    return SchoolAccount(label, entry.username, password, refresh_token, entry.superuser)


def _secret(where: str, named: str | None, environment: Mapping[str, str | None]) -> str | None:
    if named is None:
        return None
    variable = named.removeprefix("env:")
    value = environment.get(variable) or secret_in_file(variable, environment)
    if not value:
        raise ValueError(f"{where}: the variable {variable} is not set")
    hide(value)
    return value


def _refuse_twins(what: str, values: Sequence[str], *, quoted: bool = True) -> None:
    for number, value in enumerate(values):
        if value in values[:number]:
            raise ValueError(f"two have the same {what}" + (f": {value}" if quoted else ""))


def _said(error: Any) -> str:
    """Where and what, with no value; list places are counted from 1."""
    where = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in error["loc"])
    said = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        pattern = error["ctx"]["pattern"]
        said = {
            _SLUG: "lower-case letters, digits and hyphens, 63 at most",
            _FROM_ENVIRONMENT: 'name the variable that holds it: "env:NAME"',
        }.get(pattern, said)
    return f"{where}: {said}"
