import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines import log
from sync_pipelines.log import hide, redact


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://school:hunter22@db.example/x",
        "X-Auth-Token: hunter22",
        '{"token": "hunter22"}',
        "password=hunter22&x=1",
        "Authorization: Bearer hunter22",
        "mail from hunter22@szkola.example failed",
    ],
)
def test_no_secret_or_address_survives_redaction(text: str) -> None:
    assert "hunter22" not in redact(text)


@given(st.from_regex(r"zq[a-z0-9]{6,40}zq", fullmatch=True), st.text(), st.text())
def test_a_hidden_value_is_taken_out_wherever_it_stands(secret: str, before: str, after: str) -> None:
    hide(secret)
    assert secret not in redact(f"{before}{secret}{after}")


def test_counts_ids_and_codes_stay_readable() -> None:
    sentence = "wtl/lessons: 20 of 501 rows, lesson 4711, status 403, at 127.0.0.1:5432/postgres"
    assert redact(sentence) == sentence


def test_the_log_goes_redacted_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        log.configure(logging.INFO)
        logging.getLogger("sync_pipelines.test").info("asking with token=%s", "hunter22")
    finally:
        logging.getLogger().handlers[:] = before
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "asking with token=***" in captured.err


def test_a_connection_that_could_not_be_closed_any_more_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        log.configure(logging.INFO)
        logging.getLogger("sqlalchemy.pool.impl.NullPool").error("Exception closing connection")
    finally:
        logging.getLogger().handlers[:] = before
    assert capsys.readouterr().err == ""


def test_what_happens_to_syncs_is_a_json_object_a_line_however_little_else_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, events = logging.getLogger(), logging.getLogger("sync_pipelines.events")
    before = root.handlers[:], root.level, events.level
    try:
        log.configure(logging.WARNING)
        logging.getLogger("sync_pipelines.service.envelope").info("GET /healthz: 200")
        events.info("sync_ok", extra={"event": {"runId": "4711", "result": {"usersCreated": 3}}})
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        events.setLevel(before[2])
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["message"]) == ("INFO", "sync_ok")
    assert said["metadata"] == {"runId": "4711", "result": {"usersCreated": 3}}
    assert said["time"]
