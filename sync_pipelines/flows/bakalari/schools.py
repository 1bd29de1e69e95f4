"""Bakalari as an upstream: the schools of the settings, each a server of its own, and whether they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sync_pipelines.clients.bakalari import SchoolClient
from sync_pipelines.errors import SourceError, SyncError
from sync_pipelines.flows.bakalari.vault import system_of, the_key
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.spec import Finding, Sites, Upstream
from sync_pipelines.postgres.upstream_tokens import UpstreamTokens
from sync_pipelines.settings import School, Settings

__all__ = ["BAKALARI", "SCHOOLS", "schools_by_id"]


def _addresses(settings: Settings) -> Mapping[str, str]:
    return {key: school.url for key, school in schools_by_id(settings).items()}


def _origin(settings: Settings) -> str:
    return ", ".join(_addresses(settings).values())


def schools_by_id(settings: Settings) -> Mapping[str, School]:
    """The settings' schools. Raises SettingsError."""
    return {school.id: school for school in settings.schools()}


def _probe(settings: Settings) -> Iterator[Finding]:
    """Asks each school for its version, and looks up what is known of its accounts; logs nobody in."""
    schools = settings.schools()
    the_key(settings)
    kept = "SYNC_SECRET_KEY" if settings.secret_key else f"the key in {settings.home}"
    yield Finding("bakalari tokens", "ok", f"sealed with {kept}")
    for school in schools:
        yield _answers(school)
        try:
            states = UpstreamTokens(open_database(settings), system_of(school.id)).states()
        except SyncError:
            continue  # the database's own finding says it
        waiting = [account.label for account in school.accounts if states.get(account.username) == "needs_login"]
        if waiting:
            said = f"{', '.join(waiting)} must log in anew: give a new password, or a new refresh token"
            yield Finding(f"{school.id} accounts", "warning", said)


def _answers(school: School) -> Finding:
    try:
        with SchoolClient(school.url) as client:
            version = client.info().api_version
    except SourceError as error:
        return Finding(school.id, "problem", str(error))
    return Finding(school.id, "ok", f"{school.url} answers, API {version or 'of a version that it does not tell'}")


BAKALARI = Upstream("bakalari", "bakalari", "Europe/Prague", origin=_origin, probe=_probe)

SCHOOLS = Sites("bakalari_schools", _addresses)
