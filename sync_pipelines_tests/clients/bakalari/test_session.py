"""An account's tokens: renewed in time and once, kept before they are used, and no password sent too often."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from sync_pipelines.clients.bakalari import Account, Kept, Tokens, fingerprint
from sync_pipelines.clients.bakalari.session import AccountSession
from sync_pipelines.clients.http import Sender
from sync_pipelines.errors import DatabaseUnavailable, NeedsLogin, SourceUnavailable, SyncError, UnexpectedAnswer
from sync_pipelines_tests.clients.bakalari.logins import Bakalari, Login, Time, Vault, sender_to, session_of, who


@pytest.fixture
def login() -> Login:
    return Login("novakova", Time(), Vault())


@pytest.fixture
def server() -> Bakalari:
    return Bakalari()


@pytest.fixture
def sender(serve: Callable[..., str], server: Bakalari, login: Login) -> Iterator[Sender]:
    server.logins[login.username] = login
    sender = sender_to(serve(server.app))
    yield sender
    sender.close()
    assert login.broken == []


def mark(login: Login, secret: str) -> str:
    return fingerprint(Account(login.username, None, None, ""), secret)


def passwords(login: Login) -> int:
    return login.passwords.total()


def test_one_login_serves_as_long_as_its_tokens_can_be_renewed(sender: Sender, login: Login) -> None:
    session = session_of(sender, login)
    for _ in range(10):
        assert who(session) == "novakova"
        login.time.seconds += 1800
    assert (session.logins, passwords(login), session.user_id) == (1, 1, "U1")
    assert all(uses <= 1 for uses in login.refresh.values())
    assert session.spent.requests == sender.requests
    assert session.spent.retries == 0


def test_a_stored_pair_needs_no_login(sender: Sender, login: Login) -> None:
    who(session_of(sender, login))
    later = session_of(sender, login, password=None)
    assert who(later) == "novakova"
    assert (later.logins, later.spent.requests, passwords(login)) == (0, 1, 1)


def test_a_stored_pair_that_has_ended_is_renewed(sender: Sender, login: Login) -> None:
    who(session_of(sender, login))
    login.time.seconds += 100_000
    later = session_of(sender, login)
    who(later)
    assert (later.logins, later.spent.requests) == (0, 2)


@pytest.mark.parametrize(
    ("life", "still_good", "to_renew"), [(3599, 3538, 3539), (100, 79, 80), (5, 3.9, 4), ("x", 538, 539)]
)
def test_a_token_is_renewed_when_a_minute_or_a_fifth_of_its_life_is_left(
    sender: Sender, login: Login, life: object, still_good: float, to_renew: float
) -> None:
    login.life = life
    session = session_of(sender, login)
    who(session)
    login.time.seconds = still_good
    who(session)
    assert len(set(login.used)) == 1
    login.time.seconds = to_renew
    who(session)
    assert len(set(login.used)) == 2


def test_the_time_of_day_has_no_say_in_what_this_session_received(sender: Sender, login: Login) -> None:
    account = Account(login.username, "right", None, "#3")
    clock = Time()
    session = AccountSession(sender, account, login.vault, clock=lambda: 0.0, now=clock.now)
    who(session)
    clock.seconds = 10**6
    who(session)
    clock.seconds = -(10**6)
    who(session)
    assert len(set(login.used)) == 1


def test_a_refused_token_is_renewed_and_the_request_sent_again(sender: Sender, login: Login) -> None:
    session = session_of(sender, login)
    for _ in range(4):
        who(session)
        login.revoke()
        assert who(session) == "novakova"
    assert passwords(login) == 1


def test_a_token_that_another_process_has_renewed_is_taken_over(sender: Sender, login: Login) -> None:
    here, there = session_of(sender, login), session_of(sender, login)
    who(here)
    who(there)
    login.revoke()
    who(there)
    before = here.spent.requests
    who(here)
    assert here.spent.requests == before + 2  # refused, and again with the other's token
    assert login.made == 2


def test_what_another_process_left_and_is_dead_is_renewed_in_its_turn(sender: Sender, login: Login) -> None:
    here, there = session_of(sender, login), session_of(sender, login)
    who(here)
    login.revoke()
    who(there)
    login.revoke()
    assert who(here) == "novakova"
    assert (passwords(login), login.made) == (1, 3)


def test_who_waited_for_another_process_to_renew_takes_what_it_left(sender: Sender, login: Login) -> None:
    here, vault = session_of(sender, login), login.vault
    who(here)
    login.revoke()
    with ThreadPoolExecutor(1) as threads:
        with vault.alone("novakova") as drawer:
            while vault.asked_for.acquire(blocking=False):
                pass
            asked = threads.submit(who, here)
            vault.asked_for.acquire()
            login.access["novakova/theirs"] = 3599
            drawer.put(Kept(Tokens("novakova/theirs", "novakova/r1", login.time.now() + timedelta(seconds=3599))))
        assert asked.result() == "novakova"
    assert login.used[-1] == "novakova/theirs"
    assert login.made == 1


def test_callers_that_find_a_token_dead_together_renew_it_once(sender: Sender, login: Login) -> None:
    session = session_of(sender, login)
    who(session)
    login.revoke()
    together = Barrier(8)

    def ask(number: int) -> str:
        together.wait()
        return who(session)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {"novakova"}
    assert (login.made, passwords(login)) == (2, 1)


def test_a_token_refused_just_after_it_was_given_needs_a_person(sender: Sender, login: Login) -> None:
    login.deaf = True
    session = session_of(sender, login)
    for _ in range(3):
        with pytest.raises(NeedsLogin, match="account #3"):
            who(session)
    assert (session.spent.requests, passwords(login)) == (2, 1)


def test_a_token_refused_just_after_its_renewal_needs_a_person(sender: Sender, login: Login) -> None:
    session = session_of(sender, login)
    who(session)
    login.deaf = True
    with pytest.raises(NeedsLogin):
        who(session)
    assert (login.made, passwords(login)) == (2, 1)


def test_no_token_that_was_refused_is_used_again_whoever_keeps_it(sender: Sender, login: Login) -> None:
    """Fault 48. A vault's first look is as old as the vault; a server may refuse a good token now and then."""
    who(session_of(sender, login))
    kept = login.vault.peek("novakova")
    login.vault.first_look = {"novakova": kept}
    session = session_of(sender, login)
    login.moody = 1
    assert who(session) == "novakova"
    with pytest.raises(NeedsLogin, match="account #3"):
        who(session, "api/3/nobodys")
    assert session.spent.requests <= 7
    assert passwords(login) == 1


def test_a_request_that_is_refused_with_every_token_ends_alone(
    server: Bakalari, sender: Sender, login: Login
) -> None:
    """Fault 48, though the account's other requests succeed meanwhile."""
    session = session_of(sender, login)
    server.meanwhile = lambda: who(session)
    with pytest.raises(NeedsLogin, match="account #3"):
        who(session, "api/3/nobodys")
    assert login.made <= 3
    assert who(session) == "novakova"


def test_a_wrong_password_is_sent_once_in_all_runs_until_it_changes(sender: Sender, login: Login) -> None:
    for _ in range(3):
        session = session_of(sender, login, password="wrong")
        for _ in range(2):
            with pytest.raises(NeedsLogin, match="account #3 must log in anew"):
                who(session)
    assert login.passwords == {"wrong": 1}
    assert login.vault.kept["novakova"] == Kept(None, mark(login, "wrong"))
    assert who(session_of(sender, login, password="right")) == "novakova"


def test_a_password_known_to_be_refused_is_not_sent(sender: Sender, login: Login) -> None:
    login.vault.kept["novakova"] = Kept(None, mark(login, "right"))
    session = session_of(sender, login)
    with pytest.raises(NeedsLogin):
        who(session)
    assert (session.spent.requests, session.logins) == (0, 0)
    assert login.vault.ever == {}


def test_a_session_has_one_login_however_often_its_tokens_die(sender: Sender, login: Login) -> None:
    session = session_of(sender, login)
    who(session)
    login.forget()
    for _ in range(3):
        with pytest.raises(NeedsLogin):
            who(session)
    assert (session.logins, passwords(login)) == (1, 1)
    # The password was not refused: the next run may use it.
    assert who(session_of(sender, login)) == "novakova"


def test_a_dead_refresh_token_is_replaced_by_one_login(sender: Sender, login: Login) -> None:
    who(session_of(sender, login))
    login.forget()
    assert who(session_of(sender, login)) == "novakova"
    assert passwords(login) == 2


def test_a_login_whose_reply_is_lost_is_not_repeated(sender: Sender, login: Login) -> None:
    login.lose_logins = 1
    session = session_of(sender, login)
    for _ in range(3):
        with pytest.raises(SourceUnavailable):
            who(session)
    assert (session.logins, passwords(login)) == (1, 1)
    assert who(session_of(sender, login)) == "novakova"


@pytest.mark.parametrize("lost", [1, 2])
def test_a_renewal_whose_reply_is_lost_is_asked_for_again_with_the_same_token(
    sender: Sender, login: Login, lost: int
) -> None:
    session = session_of(sender, login)
    who(session)
    login.revoke()
    login.lose = lost
    assert who(session) == "novakova"
    assert login.refresh["novakova/r1"] == lost + 1
    assert passwords(login) == 1


@pytest.mark.parametrize("failing", ["lost", "busy"])
def test_a_renewal_that_nobody_answers_is_a_source_that_is_unavailable(
    sender: Sender, login: Login, failing: str
) -> None:
    session = session_of(sender, login)
    who(session)
    kept = login.vault.kept["novakova"]
    login.revoke()
    login.lose, login.busy = (3, False) if failing == "lost" else (0, True)
    for _ in range(3):
        with pytest.raises(SourceUnavailable):
            who(session)
    assert login.refresh["novakova/r1"] == 3
    assert login.vault.kept["novakova"] == kept
    assert passwords(login) == 1


def test_callers_that_find_nobody_to_renew_with_ask_as_one(sender: Sender, login: Login) -> None:
    session = session_of(sender, login)
    who(session)
    login.revoke()
    login.busy = True
    together = Barrier(8)

    def ask(number: int) -> None:
        together.wait()
        with pytest.raises(SourceUnavailable):
            who(session)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
    assert login.refresh["novakova/r1"] == 3


def test_a_form_that_the_server_takes_from_nobody_is_not_held_against_the_account(
    sender: Sender, login: Login
) -> None:
    login.strange = True
    with pytest.raises(UnexpectedAnswer, match="account #3"):
        who(session_of(sender, login))
    login.strange = False
    who(session_of(sender, login))
    kept = login.vault.kept["novakova"]
    login.revoke()
    login.strange = True
    with pytest.raises(UnexpectedAnswer):
        who(session_of(sender, login))
    assert login.vault.kept["novakova"] == kept


def test_an_account_may_have_a_refresh_token_alone(sender: Sender, login: Login) -> None:
    who(session_of(sender, login))
    given = "novakova/r1"
    login.vault.kept.clear()
    assert who(session_of(sender, login, None, given)) == "novakova"
    login.time.seconds += 100_000
    assert who(session_of(sender, login, None, given)) == "novakova"
    assert login.refresh[given] == 1
    login.forget()
    # The given one has been used up; it is the stored one that was tried now.
    for _ in range(2):
        with pytest.raises(NeedsLogin):
            who(session_of(sender, login, None, given))
    assert login.vault.kept["novakova"] == Kept(None, mark(login, given))
    assert passwords(login) == 1


def test_a_refresh_token_of_the_account_that_stays_good_is_kept_as_a_stored_one(
    sender: Sender, login: Login
) -> None:
    who(session_of(sender, login))
    login.vault.kept.clear()
    login.gives_refresh = False
    for _ in range(2):
        assert who(session_of(sender, login, None, "novakova/r1")) == "novakova"
        login.revoke()
    assert login.refresh["novakova/r1"] == 2
    assert passwords(login) == 1


def test_a_refused_refresh_token_of_the_account_gives_way_to_its_password(sender: Sender, login: Login) -> None:
    assert who(session_of(sender, login, "right", "novakova/old")) == "novakova"
    assert login.vault.kept["novakova"].refused == mark(login, "novakova/old")
    login.forget()
    with pytest.raises(NeedsLogin):
        who(session_of(sender, login, "wrong", "novakova/old"))
    with pytest.raises(NeedsLogin):
        who(session_of(sender, login, "wrong", "novakova/old"))
    assert login.passwords == {"right": 1, "wrong": 1}


def test_an_account_without_any_secret_needs_a_person(sender: Sender, login: Login) -> None:
    session = session_of(sender, login, None)
    with pytest.raises(NeedsLogin):
        who(session)
    assert session.spent.requests == 0


def test_a_renewal_without_a_refresh_token_keeps_the_old_one(sender: Sender, login: Login) -> None:
    session = session_of(sender, login)
    who(session)
    login.gives_refresh = False
    login.revoke()
    who(session)
    tokens = login.vault.kept["novakova"].tokens
    assert tokens is not None
    assert (tokens.access, tokens.refresh) == ("novakova/a2", "novakova/r1")


def test_a_login_without_a_refresh_token_serves_as_long_as_it_lives(sender: Sender, login: Login) -> None:
    login.gives_refresh = False
    session = session_of(sender, login)
    who(session)
    who(session)
    login.time.seconds += 3600
    with pytest.raises(NeedsLogin):
        who(session)
    assert who(session_of(sender, login)) == "novakova"


def test_a_server_that_gives_the_same_pair_again_is_no_loop(sender: Sender, login: Login) -> None:
    login.rotates = False
    session = session_of(sender, login)
    for _ in range(3):
        who(session)
        login.time.seconds += 3600
    assert len(set(login.used)) == 1
    login.deaf = True
    with pytest.raises(NeedsLogin):
        who(session)


def test_a_pair_that_cannot_be_kept_is_not_used(sender: Sender, login: Login) -> None:
    login.vault.put_error = DatabaseUnavailable("gone")
    session = session_of(sender, login)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            who(session)
    assert login.used == []
    assert passwords(login) == 1


@pytest.mark.parametrize("password", ["hunter22", "wrong-hunter22"])
def test_no_error_repr_or_log_holds_a_secret_or_a_name(
    sender: Sender, login: Login, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    login.password = "hunter22"
    session = session_of(sender, login, password, "novakova/r-secret")
    said: list[str] = []
    for disturb in (lambda: None, login.revoke, login.forget):
        disturb()
        try:
            who(session)
        except SyncError as error:
            said.append(f"{error} {error!r} {error.__cause__!r}")
    account = Account("novakova", password, "novakova/r-secret", "#3")
    said += [repr(account), repr(login.vault.kept), caplog.text]
    for secret in ("hunter22", "r-secret", "/a1", "/r1"):
        assert secret not in " ".join(said)
    assert "novakova" not in f"{said[:-2]}{account!r}"
