"""The vault in the database: what is put into it, who can read it, and one at a time."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.clients.bakalari import Kept, Tokens
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.bakalari.vault import DatabaseVault, the_key
from sync_pipelines.log import redact
from sync_pipelines.postgres.engine import Database
from sync_pipelines.settings import Settings

Query = Callable[..., list[Any]]
OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))
ENDS = datetime(2026, 11, 21, 8, 30, 1, 250, tzinfo=UTC)
KEPT = Kept(Tokens("access-hunter22", "refresh-hunter22", ENDS), "mark")
KEY_FILE = Path(".sync/secret.key")


def vault(database: Database, key: str = OLD, school: str = "a") -> DatabaseVault:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNC_SECRET_KEY", key)
        return DatabaseVault(database, school, the_key(Settings.load()))


def put(vault: DatabaseVault, account: str, kept: Kept) -> None:
    with vault.alone(account) as drawer:
        drawer.put(kept)
        assert drawer.kept == kept


def looked_up(vault: DatabaseVault, account: str) -> Kept:
    with vault.alone(account) as drawer:
        return drawer.kept


texts = st.text(max_size=20)
some_kept = st.builds(
    Kept,
    st.none() | st.builds(Tokens, texts, st.none() | texts, st.datetimes(timezones=st.just(UTC))),
    st.none() | texts,
)
accounts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)


@settings(max_examples=20)
@given(accounts, some_kept)
def test_what_was_put_is_there_for_any_vault_of_the_school_that_has_the_key(
    database: Database, account: str, kept: Kept
) -> None:
    put(vault(database), account, kept)
    other = vault(database)
    assert other.peek(account) == looked_up(other, account) == kept


def test_of_an_account_that_is_not_known_nothing_is_kept(database: Database) -> None:
    put(vault(database), "novak", KEPT)
    for other in (vault(database), vault(database, school="b")):
        assert other.peek("novak ") == looked_up(other, "novak ") == Kept()
    assert vault(database, school="b").peek("novak") == Kept()


def test_what_another_key_sealed_counts_as_nothing_and_can_be_replaced(database: Database) -> None:
    put(vault(database, OLD), "novak", KEPT)
    other = vault(database, OTHER)
    assert other.peek("novak") == looked_up(other, "novak") == Kept()
    put(other, "novak", KEPT)
    assert vault(database, OTHER).peek("novak") == KEPT


def test_a_new_key_before_the_old_one_opens_all_and_seals_anew(database: Database) -> None:
    put(vault(database, OLD), "novak", KEPT)
    both = vault(database, f"{NEW}, {OLD}")
    assert both.peek("novak") == KEPT
    put(both, "novak", KEPT)
    assert vault(database, NEW).peek("novak") == KEPT
    assert vault(database, OLD).peek("novak") == Kept()


def test_no_token_stands_in_the_table_in_clear(database: Database, query: Query) -> None:
    put(vault(database), "novak", KEPT)
    ((row, tokens),) = query("SELECT t::text, tokens FROM sync.upstream_tokens t")
    assert "hunter22" not in row
    assert b"hunter22" not in bytes(tokens)
    assert "hunter22" not in repr(KEPT)


@pytest.mark.parametrize(
    ("kept", "state", "ends"), [(KEPT, "ok", ENDS), (Kept(None, "mark"), "needs_login", None)]
)
def test_an_account_without_a_pair_is_known_to_need_a_login(
    database: Database, query: Query, kept: Kept, state: str, ends: datetime | None
) -> None:
    put(vault(database), "novak", KEPT)
    put(vault(database), "novak", kept)
    assert query("SELECT state, expires_at FROM sync.upstream_tokens") == [(state, ends)]


def test_a_peek_is_of_when_the_vault_was_made_and_a_drawer_of_now(database: Database) -> None:
    early = vault(database)
    put(vault(database), "novak", KEPT)
    assert early.peek("novak") == Kept()
    assert looked_up(early, "novak") == KEPT


def test_of_two_who_want_an_account_the_second_finds_what_the_first_put(database: Database, query: Query) -> None:
    found: list[Kept] = []
    first, second = vault(database), vault(database)
    late = threading.Thread(target=lambda: found.append(looked_up(second, "novak")))
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with first.alone("novak") as drawer:
        late.start()
        while query(waiting) == [0] and late.is_alive():
            pass
        assert looked_up(second, "svoboda") == Kept(), "another account had to wait"
        drawer.put(KEPT)
        assert not found
    late.join()
    assert found == [KEPT]


def test_renewals_of_an_account_by_many_are_none_lost(database: Database) -> None:
    def renew(_: int) -> None:
        with vault(database).alone("novak") as drawer:
            drawer.put(Kept(None, f"{drawer.kept.refused or ''}x"))

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(renew, range(20)))
    assert vault(database).peek("novak") == Kept(None, "x" * 20)


# --- the key ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["hunter22", ",", f"{OLD},hunter22", OLD[:-4], "šššš"], ids=range(5))
def test_what_is_no_key_is_refused_and_not_quoted(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_SECRET_KEY", key)
    with pytest.raises(SettingsError, match="SYNC_SECRET_KEY is no Fernet key: make one with: python") as caught:
        the_key(Settings.load())
    assert "hunter22" not in str(caught.value)
    assert OLD[:-4] not in str(caught.value)


def test_every_key_is_taken_out_of_every_log_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_SECRET_KEY", f"{NEW}, {OLD}")
    the_key(Settings.load())
    assert redact(f"{OLD} or {NEW}") == "*** or ***"


def test_a_key_is_made_once_for_its_owner_alone_and_is_the_same_ever_after() -> None:
    sealed = the_key(Settings.load()).encrypt(b"x")
    assert the_key(Settings.load()).decrypt(sealed) == b"x"
    assert stat.S_IMODE(KEY_FILE.stat().st_mode) == 0o600
    assert [path.name for path in KEY_FILE.parent.iterdir()] == [KEY_FILE.name]
    key = KEY_FILE.read_text()
    assert redact(f"the key is {key}") == "the key is ***"


def test_a_key_file_that_holds_none_is_named_and_left_alone() -> None:
    KEY_FILE.parent.mkdir()
    KEY_FILE.write_text("hunter22")
    with pytest.raises(
        SettingsError, match=r"SYNC_SECRET_KEY is not set, and \.sync/secret\.key holds no"
    ) as caught:
        the_key(Settings.load())
    assert "hunter22" not in str(caught.value)
    assert KEY_FILE.read_text() == "hunter22"


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_key_that_can_be_neither_read_nor_made_is_a_setting_to_mend(content: bytes | None) -> None:
    if content is None:
        KEY_FILE.parent.write_text("a file where a folder would be")
    else:
        KEY_FILE.parent.mkdir()
        KEY_FILE.write_bytes(content)
    with pytest.raises(SettingsError, match=r"secret\.key cannot be read or made"):
        the_key(Settings.load())


def test_threads_that_make_the_key_at_once_have_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        monkeypatch.setenv("SYNC_HOME", str(tmp_path / str(number)))
        ready = threading.Barrier(6)

        def sealed(ready: threading.Barrier = ready) -> bytes:
            chosen = Settings.load()
            ready.wait()
            return the_key(chosen).encrypt(b"x")

        with ThreadPoolExecutor(6) as pool:
            seals = [future.result() for future in [pool.submit(sealed) for _ in range(6)]]
        assert [the_key(Settings.load()).decrypt(one) for one in seals] == [b"x"] * 6


SEAL = """
import sys
from sync_pipelines.flows.bakalari.vault import the_key
from sync_pipelines.settings import Settings
print("ready", flush=True)
sys.stdin.readline()
print(the_key(Settings.load()).encrypt(b"x").decode())
"""


def test_processes_that_make_the_key_at_once_have_one() -> None:
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([sys.executable, "-c", SEAL], stdin=pipe, stdout=pipe, text=True) for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    seals = [process.communicate()[0] for process in processes]
    assert [the_key(Settings.load()).decrypt(one.encode()) for one in seals] == [b"x"] * 3
