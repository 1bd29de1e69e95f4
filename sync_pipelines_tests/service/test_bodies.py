"""Bodies that nobody sends in good faith: each is answered, none is the service's failure."""

import gzip
import json
import logging
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_pipelines.service.bodies import MAX_BODY_BYTES
from sync_pipelines_tests.service.asking import Learner, lesson

Learners = Callable[..., Learner]
TAKEN = [("PATCH", "2/"), ("POST", "import/")]
TEXTS = st.text() | st.sampled_from(
    ["\0", "\ud800", "1", "2", "lessons", "device_id", "updated_at", "percent", "time_ms"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)
LIKE_LESSONS = st.dictionaries(
    TEXTS, st.fixed_dictionaries({}, optional={"updated_at": JSON, "percent": JSON}) | JSON
)
LIKE_IMPORTS = st.fixed_dictionaries({"lessons": LIKE_LESSONS | JSON}, optional={"device_id": JSON})
HOSTILE = [
    b"",
    b" ",
    b"{",
    b"nul",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b'"\xed\xa0\x80"',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    *(b'{"lessons":{"2":' + b"[" * n + b"]" * n + b"}}" for n in range(920, 1001)),
    b"1" * 10_000,
    b'{"lessons":{"2":{"updated_at":"2026-01-12T10:20:30Z","percent":' + b"1" * 10_000 + b"}}}",
    b'{"lessons":{"2":{"updated_at":"2026-01-12T10:20:30Z","percent":' + b"1" * 4_000 + b"}}}",
    b'{"lessons":{"2":{"updated_at":"2026-01-12T10:20:30Z","time_ms":1e99999}}}',
    b'{"lessons":{"' + b"9" * 100_000 + b'":{"updated_at":"2026-01-12T10:20:30Z"}}}',
    b'{"lessons":{},"lessons":{},"device_id":"a","device_id":"\\u0000"}',
    b'{"device_id":"\\ud800","lessons":{"\\ud800":{"\\ud800":"\\ud800"}}}',
    b'{"lessons":{"2":{"updated_at":NaN,"percent":NaN},"3":NaN},"device_id":null}',
    b'{"updated_at":"0001-01-01T00:00:00+23:59"}',
    b'{"lessons":{"2":{"updated_at":"9999-12-31T23:59:59-23:59"}}}',
    b'{"lessons":{"2":{"updated_at":"0001-01-01T00:00:00Z","last_seen_at":"9999-12-31T23:59:59.999999Z"}}}',
]


def test_no_hostile_body_is_a_failure_of_the_service(learner: Learners) -> None:
    me = learner()
    for body, (method, path) in product(HOSTILE, TAKEN):
        answer = me.ask(method, path, content=body)
        assert answer.status_code < 500, (body[:80], answer.text)
    assert all(row["lesson_id"] == 2 for row in me.rows())


@given(body=st.binary() | (LIKE_IMPORTS | LIKE_LESSONS | JSON).map(lambda value: json.dumps(value).encode()))
@example(body=b'{"lessons": {"\\u0000": 1}}')
@settings(max_examples=100)
def test_no_bytes_whatsoever_are_a_failure_of_the_service(learner: Learners, body: bytes) -> None:
    me = learner()
    for method, path in TAKEN:
        assert me.ask(method, path, content=body).status_code in (200, 400)


def padded(size: int) -> bytes:
    body = json.dumps({"lessons": {"2": lesson()}}).encode()
    return body + b" " * (size - len(body))


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_body_of_a_megabyte_is_taken_and_one_byte_more_is_not(learner: Learners, in_chunks: bool) -> None:
    me = learner()

    def post(size: int) -> tuple[int, str | None]:
        body = padded(size)

        def chunks() -> Iterator[bytes]:
            yield from (body[at : at + 65_536] for at in range(0, size, 65_536))

        answer = me.ask("POST", "import/", content=chunks() if in_chunks else body)
        return answer.status_code, answer.json().get("code")

    assert post(MAX_BODY_BYTES) == (200, None)
    assert post(MAX_BODY_BYTES + 1) == (413, "too_large")
    assert post(5 * MAX_BODY_BYTES) == (413, "too_large")


def test_a_body_must_be_plain_json(learner: Learners) -> None:
    me = learner()
    body = padded(200)
    for method, path in TAKEN:
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "x",
            "",
        ):
            answer = me.ask(method, path, content=body, headers={"Content-Type": kind})
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported")
        for coding in ("gzip", "br", "gzip, identity", "x"):
            answer = me.ask(method, path, content=gzip.compress(body), headers={"Content-Encoding": coding})
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported")
    assert me.rows() == []


def test_the_kind_of_the_body_may_be_left_out_or_say_more(learner: Learners) -> None:
    me = learner()
    for kind in ("application/json", "Application/JSON; charset=utf-8", None):
        headers: dict[str, Any] = {"Authorization": f"Bearer {me.token}", "Content-Encoding": "identity"}
        headers |= {"Content-Type": kind} if kind else {}
        answer = me.client.post("/api/v1/learning/progress/import/", content=padded(200), headers=headers)
        assert answer.status_code == 200


def test_nothing_of_a_hostile_body_is_logged(learner: Learners, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sync_pipelines")
    me = learner()
    me.post({"device_id": "hunter22\0", "lessons": {}})
    me.post({"device_id": "hunter22", "lessons": {"hunter22": {"updated_at": "hunter22"}}})
    assert "hunter22" not in caplog.text
