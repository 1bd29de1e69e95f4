"""Sessions of one account, in one and several processes, whatever happens to its tokens (C8, faults 47–54)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.clients.bakalari.session import AccountSession
from sync_pipelines.clients.http import Sender
from sync_pipelines.errors import NeedsLogin
from sync_pipelines.sandbox.server import serving
from sync_pipelines_tests.clients.bakalari.logins import Bakalari, Login, Time, Vault, sender_to, session_of, who

NUMBERS = count()
LIVES = st.sampled_from([3599, 599, "60", None])
PASSWORDS = st.sampled_from(["right", "wrong", "old", None])
SESSION = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("ask"), SESSION),
    st.tuples(st.just("ask together"), st.just(0)),
    st.tuples(st.just("begin anew"), PASSWORDS),
    st.tuples(st.just("wait"), st.sampled_from([1, 500, 3540, 3600, 10**6])),
    st.tuples(st.just("lose"), st.integers(1, 2)),
    st.tuples(st.just("revoke"), st.just(0)),
    st.tuples(st.just("forget"), st.just(0)),
    st.tuples(st.just("change"), st.sampled_from(["right", "old"])),
)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Bakalari, Sender]]:
    bakalari = Bakalari()
    with serving(bakalari.app) as url:
        sender = sender_to(url)
        yield bakalari, sender
        sender.close()


def asked(session: AccountSession, login: Login) -> None:
    """In the end there is an answer, or a person is needed: nothing else, as long as no third reply is lost."""
    with suppress(NeedsLogin):
        assert who(session) == login.username


@settings(max_examples=60)
@given(
    PASSWORDS, st.lists(STEPS, max_size=25), st.booleans(), st.booleans(), st.sampled_from([3599, 599, "60", None])
)
def test_no_history_sends_a_password_twice_or_a_token_too_often(
    server: tuple[Bakalari, Sender],
    password: str | None,
    steps: list[tuple[str, object]],
    rotates: bool,
    gives_refresh: bool,
    life: object,
) -> None:
    bakalari, sender = server
    login = Login(f"user{next(NUMBERS)}", Time(), Vault(), rotates=rotates, gives_refresh=gives_refresh, life=life)
    bakalari.logins[login.username] = login
    sessions = [session_of(sender, login, password) for _ in range(4)]
    every = [*sessions]
    for step, detail in steps:
        match step, detail:
            case "ask", int(number):
                asked(sessions[number], login)
            case "ask together", _:
                with ThreadPoolExecutor(8) as threads:
                    list(threads.map(lambda session: asked(session, login), [*sessions, *sessions]))
            case "begin anew", secret:
                assert secret is None or isinstance(secret, str)
                sessions = [session_of(sender, login, secret) for _ in range(4)]
                every += sessions
            case "wait", int(seconds):
                login.time.seconds += seconds
            case "lose", int(number):
                login.lose = number
            case "revoke", _:
                login.revoke()
            case "forget", _:
                login.forget()
            case "change", str(secret):
                login.password = secret
            case other:
                raise AssertionError(other)
    assert login.broken == []
    assert all(session.logins <= 1 for session in every)
    assert sum(session.logins for session in every) == login.passwords.total()
    assert all(refusals <= 1 for refusals in login.refusals.values())
    if rotates:
        assert all(uses <= 3 for uses in login.refresh.values())
