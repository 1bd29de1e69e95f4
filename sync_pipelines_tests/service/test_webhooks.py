"""Signed calls: who is let in and who is not, what is written down, and that it is once."""

import base64
import json
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

import sync_pipelines
from sync_pipelines.errors import SettingsError
from sync_pipelines.service.app import make_app
from sync_pipelines.service.signatures import TOLERANCE_SECONDS, sign
from sync_pipelines.service.webhooks import MAX_CALL_BYTES
from sync_pipelines.settings import Settings

Query = Callable[..., list[Any]]
Call = Callable[..., httpx.Response]
GUIDE = Path(sync_pipelines.__file__).parent.parent / "docs" / "webhooks.md"
SECRET = "correct-horse-battery"
OLDER = "whsec_" + base64.b64encode(b"staple-of-some-length").decode()
SCHOOLS = """
[[school]]
id = "skola"
url = "https://skola.example.cz"
[[school.bulk]]
url = "https://skola.example.cz/export.json"
"""


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
        {"webhook_timestamp": "1790000000"},
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


def examples(language: str) -> list[str]:
    """The guide's code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def caller(address: str) -> dict[str, str]:
    """The environment of a program that calls."""
    return {
        "PATH": os.environ["PATH"],
        "APP_URL": address,
        "WTL_WEBHOOK_SECRET": SECRET,
        "BAKALARI_WEBHOOK_SECRET": f"bakalari-{SECRET}",
    }


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="there is no curl or openssl")
def test_the_guides_call_with_curl_is_taken(caller: dict[str, str], query: Query) -> None:
    (script,) = [one for one in examples("sh") if "curl" in one]
    done = subprocess.run(["sh", "-ec", script], env=caller, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["accepted"] is True
    assert kept(query) == [("wtl", ["12"])]


def test_the_guides_call_in_python_is_taken(caller: dict[str, str], query: Query, tmp_path: Path) -> None:
    (tmp_path / "schools.toml").write_text(SCHOOLS.replace('"skola"', '"gymnazium"'))
    (script,) = examples("python")
    done = subprocess.run([sys.executable, "-c", script], env=caller, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert "'duplicate': False" in done.stdout
    assert kept(query) == [("bakalari", ["gymnazium"])]


def test_the_guides_answer_is_one(service: FastAPI) -> None:
    (answer,) = examples("json")
    shape = service.openapi()["components"]["schemas"]["CallTaken"]
    jsonschema.validate(json.loads(answer), shape)
