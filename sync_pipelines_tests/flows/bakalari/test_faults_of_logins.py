"""Passwords, tokens and what becomes of them. The numbers are those of contracts/faults.md."""

from __future__ import annotations

import time

import pytest

from sync_pipelines.errors import NeedsLogin, SourceUnavailable
from sync_pipelines.sandbox.bakalari import Account, School
from sync_pipelines_tests.flows.bakalari.known import published, seen_by, truth
from sync_pipelines_tests.flows.bakalari.town import NOON, Town

ADMIN = "spravce"


def students(school: School, count: int) -> list[Account]:
    return [school.account_of(pupil) for pupil in school.pupils[:count]]


def forget_access(school: School) -> None:
    """The next request with a token that was given so far is refused."""
    school.access_tokens.clear()


def outcome(town: Town, number: int) -> str:
    return town.coverage("s")[f"account #{number}"][0]


# --- tokens that end ----------------------------------------------------------------------------------------


def test_tokens_that_end_while_a_school_is_read_are_renewed_and_the_password_is_sent_once(town: Town) -> None:
    """Fault 47: they live for three seconds, and the reading takes longer."""
    school = School.invented("s", classes=3, students=9, teachers=3, seed=2)
    town.open_whole(school)
    began = time.monotonic()
    town.now = lambda: NOON + time.monotonic() - began
    school.access_seconds, school.delay = 3, 0.4
    town.run_well()
    admin = school.accounts[ADMIN]
    assert (admin.password_logins, admin.failed_logins) == (1, 0)
    assert admin.refreshes > 0
    assert town.held("s") == truth(school)


@pytest.mark.parametrize("style", ["new", "old"])
def test_a_token_that_a_school_no_longer_takes_is_renewed_whatever_its_refusal_looks_like(
    town: Town, school: School, style: str
) -> None:
    """Fault 47: an old server's 401 says nothing of why."""
    school.style = style  # type: ignore[assignment]
    town.alter(school, "/api/3/user", lambda value: forget_access(school))
    town.run_well()
    admin = school.accounts[ADMIN]
    assert (admin.password_logins, admin.refreshes) == (1, 1)
    assert town.held("s") == truth(school)


def test_a_token_that_is_refused_as_soon_as_it_is_given_ends_that_account_and_no_password_is_sent_again(
    town: Town, school: School
) -> None:
    """Fault 48."""
    before, admin = town.everything(), school.accounts[ADMIN]
    school.switch_on("denied", path="/api/3/*")
    for _ in range(3):
        asked = school.requests["/api/3/user"]
        assert town.run()["s"].error is None
        assert outcome(town, 1) == "needs_login"
        assert school.requests["/api/3/user"] <= asked + 2
    assert (admin.password_logins, admin.failed_logins) == (1, 0)
    assert town.marked() == 0
    school.faults.clear()
    town.run_well()
    assert outcome(town, 1) == "ok"
    assert admin.password_logins == 1
    assert {k: v for k, v in town.everything().items() if k != "sync.upstream_tokens"} == {
        k: v for k, v in before.items() if k != "sync.upstream_tokens"
    }


# --- refresh tokens -----------------------------------------------------------------------------------------


def test_a_refresh_token_that_is_used_up_costs_one_password_login(town: Town, school: School) -> None:
    """Fault 49."""
    school.access_tokens.clear()
    for token in school.refresh_tokens.values():
        token.uses = school.refresh_reuses
    town.run_well()
    admin = school.accounts[ADMIN]
    assert (admin.password_logins, admin.refreshes, admin.failed_logins) == (2, 0, 0)
    assert town.held("s") == truth(school)
    town.run_well()
    assert admin.password_logins == 2


def test_an_account_without_a_password_whose_token_is_used_up_is_skipped_and_left_alone(town: Town) -> None:
    """Fault 49: it is not asked again until somebody gives another token."""
    school = School.invented("s", classes=1, students=4, teachers=2, seed=4)
    town.open(school)
    first, second = students(school, 2)
    town.accounts["s"] = [first.username, second.username]
    town.run_well()
    (text,) = [text for text, token in school.refresh_tokens.items() if token.username == first.username]
    town.query("TRUNCATE sync.upstream_tokens")
    town.refresh_tokens = {first.username: text}
    town.run_well()
    assert (first.password_logins, first.refreshes) == (1, 1)
    school.access_tokens.clear()
    school.refresh_tokens.clear()
    for _ in range(3):
        assert town.run()["s"].error is None
        assert (outcome(town, 1), outcome(town, 2)) == ("needs_login", "ok")
    # The stored token once, the given one never again; the other's token, and its password.
    assert school.requests["/api/login"] == 2 + 2 + 1 + 2
    assert (first.password_logins, second.password_logins) == (1, 3)
    assert town.marked() == 0


@pytest.mark.parametrize("lost", [1, 2])
def test_the_reply_to_a_renewal_that_is_lost_is_asked_for_again_with_the_same_token(
    town: Town, school: School, lost: int
) -> None:
    """Fault 50."""
    forget_access(school)
    school.lost_refreshes = lost
    town.run_well()
    admin = school.accounts[ADMIN]
    assert (admin.password_logins, admin.refreshes) == (1, lost + 1)
    forget_access(school)
    town.run_well()
    assert (admin.password_logins, admin.refreshes) == (1, lost + 2)


def test_replies_that_are_lost_for_good_cost_no_password_in_that_run_and_no_row(
    town: Town, school: School
) -> None:
    """Fault 50."""
    before, admin = town.held("s"), school.accounts[ADMIN]
    forget_access(school)
    school.lost_refreshes = 100
    assert town.run()["s"].error is None
    assert (admin.password_logins, admin.refreshes) == (1, 3)
    assert (outcome(town, 1), town.held("s")) == ("error", before)
    school.lost_refreshes = 0
    town.run_well()
    assert (admin.password_logins, outcome(town, 1)) == (2, "ok")
    assert town.held("s") == truth(school)


@pytest.mark.parametrize("fault", ["no-refresh-token", None])
def test_a_renewal_that_brings_no_new_refresh_token_leaves_the_old_one_in_use(
    town: Town, school: School, fault: str | None
) -> None:
    """Fault 52: none comes, or the same pair as before."""
    school.rotates = False
    if fault:
        school.switch_on(fault, path="/api/login")
    for _ in range(4):
        forget_access(school)
        town.run_well()
    admin = school.accounts[ADMIN]
    assert (admin.password_logins, admin.refreshes) == (1, 4)


@pytest.mark.parametrize("fault", ["odd-expires-in", "no-expires-in"])
def test_tokens_of_which_nobody_says_how_long_they_live_are_used_for_a_while(town: Town, fault: str) -> None:
    """Fault 54."""
    school = School.invented("s", classes=1, students=4, teachers=2, seed=4)
    town.open(school)
    school.switch_on(fault, path="/api/login")
    accounts = students(school, 4)
    town.accounts["s"] = [account.username for account in accounts]
    town.run_well()
    town.run_well()
    assert [(a.password_logins, a.refreshes) for a in accounts] == [(1, 0)] * 4


# --- passwords ----------------------------------------------------------------------------------------------


def test_a_wrong_password_is_sent_once_and_then_not_again_until_it_is_another(town: Town, school: School) -> None:
    """Fault 53: five would lock the account."""
    bad, good = students(school, 2)
    town.accounts["s"] += [bad.username, good.username]
    for number, password in enumerate(("wrong", "wrong again"), 1):
        town.passwords = {bad.username: password}
        for _ in range(4):
            done = town.run()["s"]
            assert done.error is None
            assert not done.reports[0].complete
            assert not any(password in error for error in done.reports[0].errors)
            assert [outcome(town, n) for n in (1, 2, 3)] == ["ok", "needs_login", "ok"]
        assert (bad.password_logins, bad.failed_logins) == (0, number)
    assert town.held("s") == truth(school) | seen_by(school, good)
    town.passwords = {}
    town.run_well()
    assert (bad.password_logins, bad.failed_logins, outcome(town, 2)) == (1, 2, "ok")


def test_a_school_whose_every_account_is_refused_says_so_and_loses_nothing(town: Town, school: School) -> None:
    """Fault 53: it needs a person."""
    school.pages = "none"
    before = town.held("s")
    town.query("TRUNCATE sync.upstream_tokens")
    town.passwords = {ADMIN: "wrong"}
    for _ in range(3):
        done = town.run()["s"]
        assert done.error is not None
        assert not done.error.transient
        assert "account #1 must log in anew" in str(done.error)
        assert (len(done.reports), len(done.report.errors)) == (1, 1)
    assert school.accounts[ADMIN].failed_logins == 1
    assert town.held("s") == before


def test_a_school_of_which_nothing_came_is_tried_again_where_that_may_help_one_account(
    town: Town, school: School
) -> None:
    """Faults 37 and 53: one has a wrong password, and at the other the server fails."""
    before, school.pages = town.held("s"), "none"
    bad = students(school, 1)[0]
    town.accounts["s"] = [bad.username, ADMIN]
    town.passwords = {bad.username: "wrong"}
    school.switch_on("server-error", path="/api/3/user")
    error = town.run()["s"].error
    assert isinstance(error, SourceUnavailable)
    school.faults.clear()
    school.switch_on("null", path="/api/3/user")
    town.accounts["s"] = [ADMIN]
    error = town.run()["s"].error
    assert error is not None
    assert not error.transient
    assert not isinstance(error, NeedsLogin)
    assert town.held("s") == before


def test_accounts_of_pupils_show_what_the_pages_and_they_know_and_no_more(town: Town) -> None:
    """Fault 53: one of ten may not log in."""
    school = School.invented("s", classes=2, students=10, teachers=3, seed=5)
    town.open(school)
    accounts = students(school, 10)
    town.accounts["s"] = [account.username for account in accounts]
    town.passwords = {accounts[4].username: "wrong"}
    assert town.run()["s"].error is None
    seen = [seen_by(school, account) for n, account in enumerate(accounts) if n != 4]
    assert town.held("s") == published(school).union(*seen)
