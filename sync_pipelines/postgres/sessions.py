"""Sessions of the admin pages: opened with a token, found by a browser's cookie, closed.

A session's id is kept nowhere, as no token is. It lets in no longer than the token that it was opened with.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.sync import api_tokens, sessions

__all__ = ["LONGEST", "LONGEST_UNUSED", "LoginSession", "close_session", "find_session", "open_session"]

#: So long a session lasts, however it is used, and so long when it is not.
LONGEST = timedelta(hours=12)
LONGEST_UNUSED = timedelta(hours=2)

_USE_IS_NOTED_EVERY = timedelta(minutes=1)
_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_s, _t = sessions.c, api_tokens.c
_now = sa.func.now()
_LASTS = sa.and_(_s.expires_at > _now, _s.last_seen_at > _now - LONGEST_UNUSED)


@dataclass(frozen=True)
class LoginSession:
    """Whom a session lets in: the token that it was opened with."""

    token_id: int
    name: str
    scopes: frozenset[str]


def open_session(session: Session, token_id: int) -> str:
    """A new session of this token: its id, of 256 random bits, this once. What has ended is cleared away."""
    opened = secrets.token_urlsafe(32)
    values = {"session_sha256": _digest(opened), "token_id": token_id, "expires_at": _now + LONGEST}
    with session.transaction() as connection:
        connection.execute(sa.delete(sessions).where(sa.not_(_LASTS)))
        connection.execute(sa.insert(sessions).values(values))
    return opened


def find_session(session: Session, shown: str) -> LoginSession | None:
    """Whom the id that a browser shows lets in, which counts as use; None where it lets nobody in."""
    if not _ID.fullmatch(shown):
        return None
    good = sa.and_(
        _s.session_sha256 == _digest(shown),
        _LASTS,
        _t.revoked_at.is_(None),
        sa.or_(_t.expires_at.is_(None), _t.expires_at > _now),
    )
    noted = (_s.last_seen_at > _now - _USE_IS_NOTED_EVERY).label("noted")
    query = sa.select(_t.id, _t.name, _t.scopes, noted).join(sessions, _s.token_id == _t.id).where(good)
    use = sa.update(sessions).where(_s.session_sha256 == _digest(shown)).values(last_seen_at=_now)
    with session.transaction() as connection:
        row = connection.execute(query).first()
        if row is not None and not row.noted:
            connection.execute(use)
    return None if row is None else LoginSession(row.id, row.name, frozenset(row.scopes))


def close_session(session: Session, shown: str) -> None:
    """Let nobody in by this id from now on."""
    with session.transaction() as connection:
        connection.execute(sa.delete(sessions).where(_s.session_sha256 == _digest(shown)))


def _digest(shown: str) -> bytes:
    return hashlib.sha256(shown.encode()).digest()
