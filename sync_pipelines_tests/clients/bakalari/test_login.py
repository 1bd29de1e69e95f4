"""What came of a form that logs in, or renews."""

import math
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.bakalari.login import Grant, Refusal, TokenPair, answer_of, password_form, refresh_form
from sync_pipelines.errors import SourceError, SourceUnavailable, UnexpectedAnswer
from sync_pipelines_tests.clients.bakalari.answers import JSON, answer, anything_like

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
OPENIDDICT = "https://documentation.openiddict.com/errors/"
GRANTS = st.sampled_from(get_args(Grant))
TOKEN = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1)
LOGIN = {
    "access_token": "a",
    "refresh_token": "r",
    "expires_in": 3599,
    "token_type": "Bearer",
    "bak:UserId": "U2ABC",
}


def of(value: object, status: int = 200, grant: Grant = "password") -> TokenPair | Refusal:
    return answer_of(answer(value, status), grant, NOW)


def test_forms_say_what_is_wanted_and_no_more() -> None:
    assert password_form("u", "p") == {
        "client_id": "ANDR",
        "grant_type": "password",
        "username": "u",
        "password": "p",
    }
    assert refresh_form("r") == {"client_id": "ANDR", "grant_type": "refresh_token", "refresh_token": "r"}


@given(TOKEN, st.none() | st.just("") | TOKEN, st.floats(0.001, 86_400))
def test_a_login_gives_the_pair_it_names(access: str, refresh: str | None, seconds: float) -> None:
    said = of({"access_token": access, "refresh_token": refresh, "expires_in": seconds})
    assert said == TokenPair(access, refresh or None, seconds, None)


@given(TOKEN, TOKEN)
def test_no_repr_shows_a_token(access: str, refresh: str) -> None:
    pair = of({"access_token": f"secret-{access}", "refresh_token": f"secret-{refresh}"})
    assert "secret-" not in repr(pair)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (3599, 3599),
        ("3599", 3599),
        ("0.5", 0.5),
        (59.5, 59.5),
        (10**400, 599),
        (1e300, 86_400),
        *((bad, 599) for bad in (None, "", "soon", "nan", "inf", "-1", 0, -5, True, [], {})),
    ],
)
def test_a_life_that_cannot_be_is_the_shortest_known(said: Any, seconds: float) -> None:
    pair = of({"access_token": "a", "expires_in": said})
    assert isinstance(pair, TokenPair)
    assert pair.seconds == seconds


@given(JSON)
def test_every_life_is_a_wait_that_can_be(said: object) -> None:
    pair = of({"access_token": "a", "expires_in": said})
    assert isinstance(pair, TokenPair)
    assert 0 < pair.seconds <= 86_400
    assert not math.isnan(pair.seconds)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error": "invalid_grant"},
        LOGIN | {"access_token": ""},
        LOGIN | {"access_token": 5},
        LOGIN | {"access_token": "a\r\nX-Header: b"},
        LOGIN | {"access_token": "á"},
        LOGIN | {"refresh_token": 5},
        LOGIN | {"refresh_token": ["r"]},
    ],
)
def test_a_good_status_without_usable_tokens_is_an_unexpected_answer(body: object) -> None:
    with pytest.raises(UnexpectedAnswer):
        of(body)


@pytest.mark.parametrize(
    ("body", "grant", "kind"),
    [
        # New servers: the id decides, whatever the words are.
        ({"error": "invalid_grant", "error_uri": OPENIDDICT + "ID2024"}, "password", "login"),
        ({"error": "invalid_grant", "error_uri": OPENIDDICT + "ID2003"}, "refresh_token", "token"),
        ({"error": "invalid_grant", "error_uri": OPENIDDICT + "ID2012"}, "refresh_token", "token"),
        ({"error": "invalid_request", "error_uri": OPENIDDICT + "ID2059"}, "password", "login"),
        ({"error": "invalid_request", "error_uri": OPENIDDICT + "ID2084"}, "password", "request"),
        ({"error": "invalid_client", "error_uri": OPENIDDICT + "ID2052"}, "password", "request"),
        ({"error": "unsupported_grant_type", "error_uri": OPENIDDICT + "ID2032"}, "password", "request"),
        ({"error": "invalid_grant", "error_uri": OPENIDDICT + "ID9999"}, "password", "login"),
        ({"error": "invalid_grant", "error_uri": OPENIDDICT + "ID9999"}, "refresh_token", "token"),
        # Old ones: `error` decides.
        ({"error": "invalid_grant", "error_description": "Špatný login nebo heslo"}, "password", "login"),
        ({"error": "invalid_grant", "error_description": "has already been redeemed."}, "refresh_token", "token"),
        ({"error": "invalid_client", "error_description": "Neplatný klient"}, "password", "request"),
        ({"error": "invalid_request", "error_description": "grant_type is missing"}, "password", "request"),
        # Without either, words.
        ({"error_description": "The token has already been redeemed."}, "refresh_token", "token"),
        ({"error_description": "Neplatné přihlašovací údaje"}, "password", "login"),
        ({}, "password", "request"),
        ([], "password", "request"),
        (None, "refresh_token", "request"),
    ],
)
@pytest.mark.parametrize("status", [400, 401])
def test_a_refusal_says_whose_fault_it_is(body: object, grant: Grant, kind: str, status: int) -> None:
    said = of(body, status, grant)
    assert isinstance(said, Refusal)
    assert said.kind == kind


@given(
    anything_like({"error": "invalid_grant", "error_description": st.text()}).filter(lambda v: isinstance(v, dict))
)
def test_a_password_that_may_be_wrong_is_never_taken_for_a_defect_of_ours(body: dict[str, Any]) -> None:
    assert of(body | {"error": "invalid_grant"}, 400) == Refusal("login")


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"access_token":"a"', b"\xff"])
def test_a_reply_that_is_none_is_a_lost_one(body: bytes) -> None:
    with pytest.raises(SourceUnavailable):
        answer_of(answer(body=body), "password", NOW)


ANY_BODY = JSON | anything_like({name: st.just(value) for name, value in LOGIN.items()})


@given(ANY_BODY, GRANTS, st.integers(200, 599))
def test_any_answer_is_a_pair_a_refusal_or_a_source_error(body: object, grant: Grant, status: int) -> None:
    try:
        said = of(body, status, grant)
    except SourceError:
        return
    assert isinstance(said, (TokenPair, Refusal))
