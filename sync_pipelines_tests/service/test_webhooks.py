"""Signed calls: who is let in and who is not, what is written down, and that it is once."""

import base64
import json
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sync_pipelines.errors import SettingsError
from sync_pipelines.service.app import make_app
from sync_pipelines.service.signatures import TOLERANCE_SECONDS, NotSigned, check, secrets_of, sign
from sync_pipelines.service.webhooks import MAX_CALL_BYTES
from sync_pipelines.settings import Settings

Query = Callable[..., list[Any]]
Call = Callable[..., httpx.Response]
NOW = 1_790_000_000
SECRET = "correct-horse-battery"
OLDER = "whsec_" + base64.b64encode(b"staple-of-some-length").decode()
SCHOOLS = """
[[school]]
id = "skola"
url = "https://skola.example.cz"
[[school.bulk]]
url = "https://skola.example.cz/export.json"
"""

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."), min_size=1)
calls = st.tuples(visible, st.integers(NOW - TOLERANCE_SECONDS, NOW + TOLERANCE_SECONDS).map(str), st.binary())
keys = st.binary(min_size=16)


def is_taken(secret: bytes, call_id: str, timestamp: str, signature: str, body: bytes) -> bool:
    try:
        return check([secret], [call_id], [timestamp], [signature], body, NOW) == call_id
    except NotSigned:
        return False


@given(secret=keys, call=calls)
def test_what_is_signed_with_the_secret_is_taken(secret: bytes, call: tuple[str, str, bytes]) -> None:
    call_id, timestamp, body = call
    assert is_taken(secret, call_id, timestamp, sign(secret, *call), body)


@given(secret=keys, call=calls, data=st.data())
def test_what_differs_in_one_bit_from_what_was_signed_is_not(
    secret: bytes, call: tuple[str, str, bytes], data: st.DataObject
) -> None:
    call_id, timestamp, body = call
    parts = [secret, call_id.encode(), timestamp.encode(), sign(secret, *call).encode(), body]
    which = data.draw(st.sampled_from([number for number, part in enumerate(parts) if part]))
    bit = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    other = bytearray(parts[which])
    other[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(other)
    key, *headers, sent = parts
    call_id, timestamp, signature = (header.decode("latin-1") for header in headers)
    assert not is_taken(key, call_id, timestamp, signature, sent)


@given(call=calls, others=st.lists(keys, max_size=3), place=st.integers(0, 3), secret=keys)
def test_one_good_signature_among_others_is_enough_and_so_is_one_good_secret(
    call: tuple[str, str, bytes], others: list[bytes], place: int, secret: bytes
) -> None:
    call_id, timestamp, body = call
    all_of_them = [*others[:place], secret, *others[place:]]
    signatures = " ".join([*(sign(one, *call) for one in all_of_them), "v2,else", "v1"])
    assert check([secret], [call_id], [timestamp], [signatures], body, NOW) == call_id
    assert check(all_of_them, [call_id], [timestamp], [sign(secret, *call)], body, NOW) == call_id


@given(seconds=st.integers(-(10**6), 10**6))
def test_a_call_is_taken_for_five_minutes_before_and_after_its_timestamp(seconds: int) -> None:
    timestamp = str(NOW + seconds)
    signature = sign(SECRET.encode(), "a", timestamp, b"")
    assert is_taken(SECRET.encode(), "a", timestamp, signature, b"") == (abs(seconds) <= TOLERANCE_SECONDS)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("many", [0, 2])
def test_each_of_the_three_headers_is_there_once(which: int, many: int) -> None:
    signature = sign(SECRET.encode(), "a", str(NOW), b"")
    headers = [["a"], [str(NOW)], [signature]]
    headers[which] *= many
    with pytest.raises(NotSigned, match="each once"):
        check([SECRET.encode()], *headers, b"", NOW)  # pyright: ignore[reportCallIssue]


def test_secrets_are_texts_or_base64_and_of_several_each_is_good() -> None:
    assert secrets_of("X", None) == ()
    assert secrets_of("X", SecretStr(f" {SECRET}, {OLDER}\n")) == (SECRET.encode(), b"staple-of-some-length")
    assert secrets_of("X", SecretStr(OLDER.rstrip("="))) == (b"staple-of-some-length",)


@pytest.mark.parametrize("text", ["tooshort", f"{SECRET} tooshort", "whsec_c2hvcnQ=", "whsec_!!!!", "whsec_"])
def test_what_is_no_secret_is_said_when_the_service_starts_and_not_shown(
    text: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    monkeypatch.setenv("BAKALARI_WEBHOOK_SECRET", text)
    with pytest.raises(SettingsError, match="BAKALARI_WEBHOOK_SECRET") as raised:
        make_app(Settings.load())
    assert text not in str(raised.value)


@pytest.fixture(autouse=True)
def signed_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The service knows the secrets of both upstreams, and a school."""
    (tmp_path / "schools.toml").write_text(SCHOOLS)
    monkeypatch.setenv("BAKALARI_SCHOOLS_FILE", str(tmp_path / "schools.toml"))
    monkeypatch.setenv("WTL_WEBHOOK_SECRET", f"{SECRET} {OLDER}")
    monkeypatch.setenv("BAKALARI_WEBHOOK_SECRET", f"bakalari-{SECRET}")


@pytest.fixture
def call(api: httpx.Client) -> Call:
    """Makes a signed call; what is signed and what is sent may differ."""

    def post(
        body: Any = b"",
        *,
        upstream: str = "wtl",
        call_id: str | None = None,
        secret: str | None = None,
        age: int = 0,
        **headers: str,
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        call_id = call_id or secrets.token_hex(8)
        timestamp = str(int(time.time()) - age)
        key = (secret or (SECRET if upstream == "wtl" else f"bakalari-{SECRET}")).encode()
        signed = {
            "webhook-id": call_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": sign(key, call_id, timestamp, content),
        }
        sent = {**signed, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return api.post(f"/api/webhooks/{upstream}", content=content, headers=sent)

    return post


def kept(query: Query) -> list[tuple[str, list[str]]]:
    return query("SELECT upstream, keys FROM sync.webhook_calls ORDER BY received_at")


def test_a_call_is_taken_and_written_down(call: Call, query: Query) -> None:
    answer = call({"courses": ["12", "7", "12"]}, call_id="evt_1")
    assert answer.status_code == 202
    said = answer.json()
    assert (said["accepted"], said["duplicate"], said["callId"]) == (True, False, "evt_1")
    assert said["requestId"] == answer.headers["X-Request-ID"]
    for body in (b"", b" ", b"{}"):
        assert call(body).status_code == 202
    assert call({"schools": ["skola"]}, upstream="bakalari").status_code == 202
    assert kept(query) == [("wtl", ["12", "7"]), *[("wtl", [])] * 3, ("bakalari", ["skola"])]


def test_a_call_that_is_sent_again_is_no_error_and_not_written_down_again(call: Call, query: Query) -> None:
    first = call({"courses": ["1"]}, call_id="a", age=200)
    # Whoever sends again signs again, with another time.
    again = call({"courses": ["1"]}, call_id="a")
    assert [answer.status_code for answer in (first, again)] == [202, 202]
    assert [answer.json()["duplicate"] for answer in (first, again)] == [False, True]
    assert len(kept(query)) == 1


def test_an_id_is_of_one_call(call: Call, query: Query) -> None:
    call({"courses": ["1"]}, call_id="a")
    answer = call({"courses": ["2"]}, call_id="a")
    assert (answer.status_code, answer.json()["code"]) == (409, "key_reused")
    assert kept(query) == [("wtl", ["1"])]
    assert call({"schools": ["skola"]}, call_id="a", upstream="bakalari").json()["duplicate"] is False


def test_of_the_same_call_many_times_at_once_one_is_new(call: Call, query: Query) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: call({"courses": ["1"]}, call_id="a"), range(8)))
    assert [answer.status_code for answer in answers] == [202] * 8
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 7
    assert len(kept(query)) == 1


def test_old_and_new_secret_are_good_while_they_change(call: Call) -> None:
    assert call(secret="staple-of-some-length").status_code == 202
    assert call(secret=SECRET).status_code == 202


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": f"bakalari-{SECRET}"},
        {"age": TOLERANCE_SECONDS + 60},
        {"age": -TOLERANCE_SECONDS - 60},
        {"webhook_signature": ""},
        {"webhook_signature": "v1,AAAA"},
        {"webhook_timestamp": "soon"},
        {"webhook_timestamp": str(NOW)},
        {"webhook_id": "other"},
        {"webhook_id": "with.stop"},
    ],
)
def test_what_is_not_signed_well_is_not_let_in_and_logged_without_what_it_said(
    call: Call, query: Query, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    answer = call({"courses": ["hunter22"]}, **wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert kept(query) == []
    assert f"request {answer.headers['X-Request-ID']} refused: a call of wtl: " in caplog.text
    assert "hunter22" not in caplog.text
    assert SECRET not in caplog.text


def test_without_headers_or_with_a_token_in_their_place_nobody_is_let_in(
    api: httpx.Client, token: Callable[..., str]
) -> None:
    for headers in ({}, {"Authorization": f"Bearer {token('operator')}"}):
        assert api.post("/api/webhooks/wtl", json={}, headers=headers).status_code == 401


def test_the_calls_of_one_upstream_are_not_those_of_the_other(call: Call) -> None:
    assert call(upstream="bakalari", secret=SECRET).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"course": ["1"]}, 422, "course"),
        ({"courses": ["1"], "schools": ["skola"]}, 422, "schools"),
        ({"courses": []}, 422, "courses"),
        ({"courses": "12"}, 422, "courses"),
        ({"courses": None}, 422, "courses"),
        ({"courses": ["1", 2]}, 422, "courses.1"),
        ({"courses": [""]}, 422, "courses.0"),
        ({"courses": ["\0"]}, 422, "courses.0"),
        ({"courses": ["\ud800"]}, 422, "courses.0"),
        ({"courses": ["1" * 256]}, 422, "courses.0"),
        ({"courses": [str(n) for n in range(1001)]}, 422, "courses"),
        ({"\ud800": 1}, 422, "?"),
        ([], 422, None),
        (b"null", 422, None),
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b"[" * 60_000, 400, None),
        (b"{}" + b" " * (MAX_CALL_BYTES - 1), 413, None),
        (b"{}" + b" " * (MAX_CALL_BYTES - 2), 202, None),
    ],
)
def test_a_body_that_says_something_else_is_refused_with_what_is_wrong(
    call: Call, query: Query, body: Any, status: int, field: str | None
) -> None:
    answer = call(body)
    assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])
    assert len(kept(query)) == (status == 202)


def test_a_school_must_be_one_of_the_settings_and_a_course_may_be_new(call: Call, query: Query) -> None:
    answer = call({"schools": ["skola", "jina"]}, upstream="bakalari")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "schools.1")
    assert call({"courses": ["of-tomorrow"]}).status_code == 202
    assert kept(query) == [("wtl", ["of-tomorrow"])]


@pytest.fixture
def without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for upstream in ("WTL", "BAKALARI"):
        monkeypatch.delenv(f"{upstream}_WEBHOOK_SECRET")


def test_where_no_secret_is_set_nobody_is_let_in(signed_with: None, without_secrets: None, call: Call) -> None:
    for upstream in ("wtl", "bakalari"):
        answer = call(upstream=upstream)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_set_up")


def test_the_document_says_what_a_call_holds(service: FastAPI) -> None:
    paths = service.openapi()["paths"]
    for upstream, field in (("wtl", "courses"), ("bakalari", "schools")):
        operation = paths[f"/api/webhooks/{upstream}"]["post"]
        assert [one["name"] for one in operation["parameters"]] == [
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        ]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        assert (list(body["properties"]), body["additionalProperties"]) == ([field], False)
        assert "security" not in operation


def test_nothing_of_a_call_is_logged(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sync_pipelines")
    call({"courses": ["hunter22"]})
    call({"hunter22": ["1"]})
    assert "hunter22" not in caplog.text
