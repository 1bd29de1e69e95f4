"""Who gets in, where to, and what is said and logged of those who do not."""

import logging
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import httpx
import pytest

from sync_pipelines.postgres.api_tokens import create_token, revoke_token
from sync_pipelines.postgres.engine import Database
from sync_pipelines_tests.service.asking import PROGRESS, Learner, lesson

Learners = Callable[..., Learner]
CALLS = [("GET", ""), ("PATCH", "2/"), ("POST", "import/")]


@pytest.fixture
def spent(database: Database, query: Callable[..., list[Any]]) -> dict[str, str]:
    """Tokens that were good once, and one that never was."""
    with database.session() as session:
        expired, made = create_token(session, "expired", {"learner"}, "user-0", timedelta(days=1))
        revoked, _ = create_token(session, "revoked", {"learner"}, "user-0")
        revoke_token(session, "revoked")
    query("UPDATE sync.api_tokens SET expires_at = now() WHERE id = :id", id=made.id)
    return {"expired": expired, "revoked": revoked, "unknown": "spl_" + "A" * 43, "no token": "hunter22"}


def test_without_a_valid_token_nobody_gets_in_and_all_are_told_the_same(
    api: httpx.Client, spent: dict[str, str]
) -> None:
    said = set()
    for token, (method, path) in product(spent.values(), CALLS):
        answer = api.request(method, PROGRESS + path, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.json()["code"] == "unauthorized"
        said.add(answer.json()["detail"])
    assert len(said) == 1


def test_a_header_that_holds_no_token_lets_nobody_in(api: httpx.Client) -> None:
    nothing: list[list[tuple[str, str]]] = [[]]
    nothing += [[("Authorization", value)] for value in ("", "Bearer", "Basic dTpw", "Bearer a b", "spl_a")]
    for headers, (method, path) in product(nothing, CALLS):
        answer = api.request(method, PROGRESS + path, headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_of_two_tokens_in_a_request_none_counts(api: httpx.Client, learner: Learners) -> None:
    headers = [("Authorization", f"Bearer {one.token}") for one in (learner(), learner())]
    assert api.get(PROGRESS, headers=headers).status_code == 401


def test_the_scheme_may_be_written_in_any_case(api: httpx.Client, learner: Learners) -> None:
    assert api.get(PROGRESS, headers={"Authorization": f"bearer  {learner().token}"}).status_code == 200


def test_operators_and_viewers_have_no_progress_to_see(api: httpx.Client, token: Callable[..., str]) -> None:
    for scope, (method, path) in product(("operator", "viewer"), CALLS):
        answer = api.request(method, PROGRESS + path, headers={"Authorization": f"Bearer {token(scope)}"})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_learner_sees_and_changes_only_what_is_its_own(learner: Learners) -> None:
    me, other = learner(), learner()
    me.send({"2": lesson(percent=40, time_ms=1000)})
    mine = me.rows()
    other.send({"2": lesson(updated_at="2026-02-01T00:00:00Z", percent=90, time_ms=7), "3": lesson()})
    other.patch(2, lesson(updated_at="2026-02-02T00:00:00Z", completed=True))
    assert me.rows() == mine
    assert [(row["lesson_id"], row["time_ms"]) for row in other.rows(device_id="tablet")] == [(2, 7), (3, 0)]


def test_a_token_that_is_revoked_lets_nobody_in_from_then_on(learner: Learners, database: Database) -> None:
    me = learner()
    me.rows()
    with database.session() as session:
        revoke_token(session, "token 0")
    assert me.ask("GET").status_code == 401


def test_a_use_is_noted(learner: Learners, query: Callable[..., list[Any]]) -> None:
    me = learner()
    assert query("SELECT last_used_at FROM sync.api_tokens") == [None]
    me.rows()
    assert query("SELECT last_used_at <= now() FROM sync.api_tokens") == [True]


def test_nobody_needs_to_send_a_body_to_be_refused(api: httpx.Client) -> None:
    """A stranger's megabytes are not read."""
    answer = api.post(f"{PROGRESS}import/", content=b"[" * 2**21)
    assert answer.status_code == 401


def test_a_refusal_is_logged_with_its_reason_and_request_and_no_log_line_holds_a_token_or_a_learner(
    api: httpx.Client, learner: Learners, spent: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sync_pipelines")
    for why, token in spent.items():
        headers = {"Authorization": f"Bearer {token}", "X-Request-ID": why.replace(" ", "-")}
        api.get(f"{PROGRESS}?token={token}", headers=headers)
    me = learner()
    me.send({"2": lesson()}, device="tablet-of-user")
    api.get(f"/{me.token}/{me.user}", headers={"Authorization": f"Bearer {me.token}"})
    lines = [record.getMessage() for record in caplog.records]
    for why, request in (
        ("expired", "expired"),
        ("revoked", "revoked"),
        ("unknown", "unknown"),
        ("unknown", "no-token"),
    ):
        assert [line for line in lines if f"request {request} refused" in line and why in line]
    text = "\n".join(lines)
    assert "POST /api/v1/learning/progress/import/: 200 after " in text
    assert "GET (no route): 404 after " in text
    for secret in (*spent.values(), me.token, me.user, "tablet-of-user"):
        assert secret not in text
