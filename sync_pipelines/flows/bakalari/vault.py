"""Where a school's accounts keep their tokens: in the database, sealed with the key of the settings.

A pair that no key opens any more counts as none: the account logs in anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from sync_pipelines.clients.bakalari import Drawer, Kept, Tokens
from sync_pipelines.errors import SettingsError
from sync_pipelines.log import hide
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.upstream_tokens import AccountTokens, UpstreamTokens
from sync_pipelines.settings import Settings

__all__ = ["DatabaseVault", "system_of", "the_key"]

_KEY_FILE = "secret.key"
_HOW = 'make one with: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


def the_key(settings: Settings) -> MultiFernet:
    """The key, or keys, of SYNC_SECRET_KEY: the first seals, each opens. Raises SettingsError for what is none.

    Where it is not set, one is made and kept in SYNC_HOME.
    """
    path = settings.home / _KEY_FILE
    text = settings.secret_key.get_secret_value() if settings.secret_key else _kept_key(path)
    keys = [key.strip() for key in text.split(",") if key.strip()]
    for key in keys:
        hide(key)
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        what = "SYNC_SECRET_KEY is" if settings.secret_key else f"SYNC_SECRET_KEY is not set, and {path} holds"
        raise SettingsError(f"{what} no Fernet key: {_HOW}") from None


def _kept_key(path: Path) -> str:
    """The file's key. Of several that make it at once one succeeds, and the others read that one's."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # It comes into being whole, and nobody else's to read.
            with NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as draft:
                draft.write(Fernet.generate_key())
                draft.flush()
                with suppress(FileExistsError):
                    os.link(draft.name, path)
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"SYNC_SECRET_KEY is not set, and {path} cannot be read or made: {error}; {_HOW}"
        ) from error


def system_of(school: str) -> str:
    """The system whose tokens are a school's."""
    return f"bakalari:{school}"


class DatabaseVault:
    """A TokenVault in the database."""

    def __init__(self, database: Database, school: str, key: MultiFernet) -> None:
        self._stored = UpstreamTokens(database, system_of(school))
        self._key = key
        # Most runs find every token good: one query, not one an account.
        self._first_look = {account: self._opened(sealed) for account, sealed in self._stored.read_all().items()}

    def peek(self, account: str) -> Kept:
        """What was kept when the vault was made. A pair that is used up since is looked for in its drawer."""
        return self._first_look.get(account, Kept())

    @contextmanager
    def alone(self, account: str) -> Generator[Drawer, None, None]:
        """The account's drawer, for one at a time."""
        with self._stored.alone(account) as tokens:
            sealed = tokens.read()
            yield _DatabaseDrawer(tokens, self._key, Kept() if sealed is None else self._opened(sealed))

    def _opened(self, sealed: bytes) -> Kept:
        try:
            plain = json.loads(self._key.decrypt(sealed))
        except InvalidToken:
            return Kept()
        tokens = plain["tokens"]
        if tokens is not None:
            tokens = Tokens(tokens["access"], tokens["refresh"], datetime.fromisoformat(tokens["ends_at"]))
        return Kept(tokens, plain["refused"])


@dataclass
class _DatabaseDrawer:
    tokens: AccountTokens
    key: MultiFernet
    kept: Kept

    def put(self, kept: Kept) -> None:
        pair = kept.tokens
        plain = {
            "tokens": pair
            and {"access": pair.access, "refresh": pair.refresh, "ends_at": pair.ends_at.isoformat()},
            "refused": kept.refused,
        }
        sealed = self.key.encrypt(json.dumps(plain).encode())
        self.tokens.write(sealed, pair and pair.ends_at, "ok" if pair else "needs_login")
        self.kept = kept
