"""The tokens that let callers into the service: made, found by what a caller shows, listed, revoked.

A token itself is kept nowhere: whoever reads the table can let nobody in.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sync_pipelines.errors import StateError
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.sync import api_tokens

__all__ = ["SCOPES", "ApiToken", "Scope", "create_token", "find_token", "list_tokens", "note_use", "revoke_token"]

Scope = Literal["operator", "viewer", "learner"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

# So that people, and scanners of repositories, know one when they see it.
_PREFIX = "spl_"
_TOKEN = re.compile(re.escape(_PREFIX) + r"[A-Za-z0-9_-]{43}", re.ASCII)
_USE_IS_NOTED_EVERY = timedelta(minutes=1)
_t = api_tokens.c


@dataclass(frozen=True)
class ApiToken:
    """What is known of a token. `subject` is the learner whose rows it opens; `state` is as of the reading."""

    id: int
    name: str
    scopes: Collection[str]
    subject: str | None = field(repr=False)
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    state: Literal["valid", "expired", "revoked"]
    use_is_noted: bool = field(repr=False)


_COLUMNS = (
    *(_t.id, _t.name, _t.scopes, _t.subject, _t.created_at, _t.expires_at, _t.last_used_at, _t.revoked_at),
    sa.case(
        (_t.revoked_at.is_not(None), "revoked"), (_t.expires_at <= sa.func.now(), "expired"), else_="valid"
    ).label("state"),
    sa.func.coalesce(_t.last_used_at > sa.func.now() - _USE_IS_NOTED_EVERY, sa.false()).label("use_is_noted"),
)


def create_token(
    session: Session,
    name: str,
    scopes: Collection[Scope],
    subject: str | None = None,
    expires_after: timedelta | None = None,
) -> tuple[str, ApiToken]:
    """Make a token of 256 random bits and give it, this once. A learner's needs a subject.

    Raises StateError where a token of that name is in force.
    """
    token = _PREFIX + secrets.token_urlsafe(32)
    values = {
        "name": name,
        "token_sha256": _digest(token),
        "scopes": sorted(scopes),
        "subject": subject,
        "expires_at": None if expires_after is None else sa.func.now() + expires_after,
    }
    live = {"index_elements": [_t.name], "index_where": _t.revoked_at.is_(None)}
    statement = insert(api_tokens).values(values).on_conflict_do_nothing(**live).returning(*_COLUMNS)
    with session.transaction() as connection:
        row = connection.execute(statement).first()
    if row is None:
        raise StateError("a token of this name is in force: take another name, or revoke that one first")
    return token, ApiToken(*row)


def find_token(session: Session, shown: str) -> ApiToken | None:
    """The token that a caller shows, in whatever state; None where there is no such."""
    if not _TOKEN.fullmatch(shown):
        return None
    digest = _digest(shown)
    query = sa.select(_t.token_sha256, *_COLUMNS).where(_t.token_sha256 == digest)
    with session.transaction() as connection:
        row = connection.execute(query).first()
    if row is None or not hmac.compare_digest(bytes(row[0]), digest):
        return None
    return ApiToken(*row[1:])


def note_use(session: Session, token: ApiToken) -> None:
    """Write down that it was used, once a minute at most."""
    if token.use_is_noted:
        return
    stale = sa.or_(_t.last_used_at.is_(None), _t.last_used_at <= sa.func.now() - _USE_IS_NOTED_EVERY)
    statement = sa.update(api_tokens).where(_t.id == token.id, stale).values(last_used_at=sa.func.now())
    with session.transaction() as connection:
        connection.execute(statement)


def list_tokens(session: Session) -> list[ApiToken]:
    """All that were ever made, the newest last."""
    with session.transaction() as connection:
        return [ApiToken(*row) for row in connection.execute(sa.select(*_COLUMNS).order_by(_t.id))]


def revoke_token(session: Session, name_or_id: str) -> ApiToken | None:
    """Let nobody in by it from now on; gives it, or None where no such token is in force."""
    named = sa.or_(_t.name == name_or_id, sa.cast(_t.id, sa.Text) == name_or_id)
    statement = sa.update(api_tokens).where(named, _t.revoked_at.is_(None)).values(revoked_at=sa.func.now())
    with session.transaction() as connection:
        row = connection.execute(statement.returning(*_COLUMNS)).first()
    return None if row is None else ApiToken(*row)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
