"""Logins and tokens (contracts/bakalari.md C3–C6, C19)."""

from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.bakalari import Account, School
from sync_pipelines_tests.sandbox.bakalari.asking import by_password, by_refresh_token, with_token

STYLES = ["new", "old"]
MONTH = 30 * 24 * 3600
DENIED = {"Message": "Authorization has been denied for this request."}


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest, school: School) -> str:
    school.style = request.param
    return request.param


def refused(answer: httpx.Response, error: str, number: str, style: str) -> str:
    """The description of a refusal that is as it should be."""
    assert answer.status_code == 400
    said = answer.json()
    assert said["error"] == error
    assert said.get("error_uri", "").endswith(number if style == "new" else "")
    assert ("error_uri" in said) == (style == "new")
    return said["error_description"]


def test_a_login_gives_a_pair_of_long_tokens_and_the_persons_code(
    http: httpx.Client, pupil: Account, parent: Account, teacher: Account, style: str
) -> None:
    for account in (pupil, parent, teacher):
        said = by_password(http, account).json()
        assert said["bak:UserId"] == account.code
        assert 2000 <= len(said["access_token"]) <= 3500
        assert 2000 <= len(said["refresh_token"]) <= 3500
        assert (said["expires_in"], said["token_type"].lower()) == (3599, "bearer")
        assert ("id_token" in said) == (style == "new")
        assert said.keys() >= {"bak:ApiVersion", "bak:AppVersion", "scope"}
    assert pupil.password_logins == 1


@pytest.mark.parametrize(
    ("form", "error", "number"),
    [
        ({"grant_type": "password"}, "invalid_client", "ID2029"),
        ({"client_id": "ANDR"}, "invalid_request", "ID2029"),
        ({"client_id": "IOS", "grant_type": "password"}, "invalid_client", "ID2052"),
        ({"client_id": "ANDR", "grant_type": "password"}, "invalid_request", "ID2059"),
        ({"client_id": "ANDR", "grant_type": "refresh_token"}, "invalid_grant", "ID2003"),
    ],
)
def test_a_login_that_lacks_something_is_refused(
    http: httpx.Client, style: str, form: dict[str, str], error: str, number: str
) -> None:
    refused(http.post("/api/login", data=form), error, number, style)


def test_an_unknown_grant_has_another_name_on_an_old_server(http: httpx.Client, style: str) -> None:
    answer = http.post("/api/login", data={"client_id": "ANDR", "grant_type": "magic"})
    refused(answer, "unsupported_grant_type" if style == "new" else "invalid_client", "ID2032", style)


def test_a_login_by_get_is_refused_as_a_request(http: httpx.Client, style: str) -> None:
    refused(http.get("/api/login"), "invalid_request", "ID2084", style)


def test_five_wrong_passwords_lock_the_account_and_no_other(
    http: httpx.Client, school: School, pupil: Account, parent: Account, style: str
) -> None:
    for _ in range(5):
        assert not pupil.is_locked
        refused(by_password(http, pupil, password="wrong"), "invalid_grant", "ID2024", style)
    refused(by_password(http, pupil), "invalid_grant", "ID2024", style)
    assert (pupil.failed_logins, pupil.password_logins, pupil.is_locked) == (6, 0, True)
    assert by_password(http, parent).status_code == 200
    pupil.failed_logins = 0
    assert by_password(http, pupil).status_code == 200


def test_an_unknown_username_is_refused_like_a_wrong_password(http: httpx.Client, pupil: Account) -> None:
    unknown = by_password(http, pupil, username="nobody")
    assert unknown.json() == by_password(http, pupil, password="wrong").json()


# Refreshes.


@pytest.mark.parametrize("reuses", [1, 3])
def test_a_refresh_token_works_so_many_times_and_then_has_been_redeemed(
    http: httpx.Client, school: School, pupil: Account, style: str, reuses: int
) -> None:
    school.refresh_reuses = reuses
    token = by_password(http, pupil).json()["refresh_token"]
    pairs = [by_refresh_token(http, token).json() for _ in range(reuses)]
    assert len({token, *(pair["refresh_token"] for pair in pairs)}) == reuses + 1
    assert "redeemed" in refused(by_refresh_token(http, token), "invalid_grant", "ID2012", style)
    for pair in pairs:
        assert with_token(http, pair["access_token"]).status_code == 200
        assert by_refresh_token(http, pair["refresh_token"]).status_code == 200
    assert pupil.refreshes == 2 * reuses


def test_a_refresh_token_dies_after_thirty_days(
    http: httpx.Client, pupil: Account, clock: Any, style: str
) -> None:
    token = by_password(http, pupil).json()["refresh_token"]
    clock.now += MONTH - 1
    assert by_refresh_token(http, token).status_code == 200
    clock.now += 1
    assert "no longer valid" in refused(by_refresh_token(http, token), "invalid_grant", "ID2012", style)


def test_a_token_that_was_never_given_is_invalid(http: httpx.Client, pupil: Account, style: str) -> None:
    access = by_password(http, pupil).json()["access_token"]
    for token in ("x", access):
        assert "invalid" in refused(by_refresh_token(http, token), "invalid_grant", "ID2003", style)


def test_a_server_that_does_not_rotate_gives_the_same_pair_for_ever(
    http: httpx.Client, school: School, pupil: Account, clock: Any
) -> None:
    school.rotates = False
    pair = by_password(http, pupil).json()
    for _ in range(6):
        clock.now += 4000
        assert with_token(http, pair["access_token"]).status_code == 401
        again = by_refresh_token(http, pair["refresh_token"]).json()
        assert (again["access_token"], again["refresh_token"]) == (pair["access_token"], pair["refresh_token"])
        assert with_token(http, pair["access_token"]).status_code == 200


def test_a_lost_reply_has_used_the_token_up_and_the_token_still_works(
    http: httpx.Client, school: School, pupil: Account
) -> None:
    token = by_password(http, pupil).json()["refresh_token"]
    school.lost_refreshes = 2
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            by_refresh_token(http, token)
    assert by_refresh_token(http, token).status_code == 200
    assert "redeemed" in by_refresh_token(http, token).json()["error_description"]


# Access tokens.


@pytest.mark.parametrize("seconds", [5, 599, 3599])
def test_an_access_token_expires_when_it_said(
    http: httpx.Client, school: School, pupil: Account, clock: Any, style: str, seconds: int
) -> None:
    school.access_seconds = seconds
    said = by_password(http, pupil).json()
    assert said["expires_in"] == seconds
    clock.now += seconds - 1
    assert with_token(http, said["access_token"]).status_code == 200
    clock.now += 1
    answer = with_token(http, said["access_token"])
    assert (answer.status_code, answer.json()) == (401, DENIED)
    assert ("ID2019" in answer.headers.get("WWW-Authenticate", "")) == (style == "new")


def test_a_token_of_nobody_is_denied_in_the_style_of_the_server(http: httpx.Client, style: str) -> None:
    for answer in (with_token(http, "x"), http.get("/api/3/user")):
        assert (answer.status_code, answer.json()) == (401, DENIED)
        assert ("WWW-Authenticate" in answer.headers) == (style == "new")
    assert ("ID2004" in with_token(http, "x").headers.get("WWW-Authenticate", "")) == (style == "new")


def test_tokens_of_an_account_that_is_gone_are_worth_nothing(
    http: httpx.Client, school: School, pupil: Account
) -> None:
    pair = by_password(http, pupil).json()
    school.remove_pupil(pupil.person)
    assert with_token(http, pair["access_token"]).status_code == 401
    assert by_refresh_token(http, pair["refresh_token"]).status_code == 400
