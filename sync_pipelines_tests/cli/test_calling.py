"""A sync asked for, of a service that answers as it is told: what is tried again, what is followed to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.cli.calling import Asking, Caller, Outcome
from sync_pipelines_tests.cli.answering import FAILED, RUN, RUNNING, UNDER_WAY, WRONG, Answer, Service, run


class Time:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def ask(*answers: Answer | None, **options: Any) -> tuple[Outcome, Service, Time]:
    """Ask a service that answers so, with a clock of the test's own."""
    passing = Time()
    with Service(*answers) as service, httpx.Client(base_url=service.url) as client:
        caller = Caller(client, sleep=passing.sleep, clock=lambda: passing.now, chance=lambda: 1.0)
        return caller.sync(Asking("bakalari", **options)), service, passing


def told(asked: Sequence[tuple[str, str, Any, Any]]) -> list[str]:
    return [f"{method} {path.partition('?')[0].removeprefix('/api/sync/')}" for method, path, *_ in asked]


def test_a_sync_that_ends_within_the_request_is_told_at_once() -> None:
    outcome, service, passing = ask((200, run()))
    assert (outcome.status, outcome.attempts, outcome.run_id) == (0, 1, RUN)
    assert outcome.message == (
        f"bakalari: succeeded in 12.3 s: classes: 2 created, 1 updated; course users: 15 created, run {RUN}"
    )
    assert (told(service.asked), passing.slept) == (["POST bakalari"], [])


def test_a_sync_that_takes_longer_is_followed_to_its_end() -> None:
    outcome, service, passing = ask((202, run(None, "queued")), *[(200, RUNNING)] * 4, (200, run()))
    assert outcome.status == 0
    assert told(service.asked) == ["POST bakalari", *[f"GET runs/{RUN}"] * 5]
    assert passing.slept == [1, 2, 4, 5, 5]


def test_a_sync_that_is_under_way_is_followed_and_its_end_is_ours() -> None:
    for last, status in ((run(), 0), (FAILED, 1)):
        outcome, _, _ = ask(UNDER_WAY, (200, RUNNING), (200, last))
        assert (outcome.status, outcome.run_id, outcome.attempts) == (status, RUN, 1)
        assert outcome.message.startswith("bakalari: a sync was under way already, and ")


@pytest.mark.parametrize("answers", [[(500, {**FAILED, "detail": "x"})], [(202, RUNNING), (200, FAILED)]])
def test_a_run_that_failed_is_told_with_its_errors_and_not_begun_again(answers: list[Answer]) -> None:
    outcome, service, _ = ask(*answers)
    assert (outcome.status, outcome.attempts) == (1, 1)
    assert outcome.message == f"bakalari: failed after 4.0 s: guard_tripped in wtl/users (1), run {RUN}"
    assert told(service.asked).count("POST bakalari") == 1


def test_a_run_that_somebody_canceled_is_no_success() -> None:
    outcome, _, _ = ask((202, RUNNING), (200, run(False, "canceled")))
    assert (outcome.status, "canceled" in outcome.message) == (1, True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 422])
def test_what_would_be_refused_again_is_not_asked_again(status: int) -> None:
    outcome, service, passing = ask((status, {**WRONG, "errors": [{"field": "schools.0", "reason": "none"}]}))
    assert (outcome.status, len(service.asked), passing.slept) == (2, 1, [])
    assert "No. schools.0: none" in outcome.message
    assert ("OPERATOR_TOKEN" in outcome.message) == (status in (401, 403))


PASSING: list[Answer | None] = [
    *[(status, WRONG) for status in (408, 429, 500, 502, 503, 504)],
    (502, "<html>bad gateway</html>"),
    None,
]


@given(failures=st.lists(st.sampled_from(PASSING), max_size=5), attempts=st.integers(1, 5))
@settings(max_examples=25)
def test_what_may_pass_is_tried_so_often_and_not_more(failures: list[Answer | None], attempts: int) -> None:
    outcome, service, passing = ask(*failures, (200, run()), attempts=attempts)
    expected = min(len(failures) + 1, attempts)
    assert (len(service.asked), outcome.attempts, len(passing.slept)) == (expected, expected, expected - 1)
    assert outcome.status == (0 if len(failures) < attempts else 1)
    assert len({headers["x-request-id"] for _, _, headers, _ in service.asked}) == 1
    assert passing.slept == [2.0, 4.0, 8.0, 16.0][: expected - 1]


@pytest.mark.parametrize(("given", "slept"), [("7", 7), ("0", 0), ("86400", 60), ("soon", 2), ("-1", 2)])
def test_the_wait_that_the_service_asks_for_is_kept_within_bounds(given: str, slept: float) -> None:
    outcome, _, passing = ask((429, WRONG, {"Retry-After": given}), (200, run()))
    assert (outcome.status, passing.slept) == (0, [slept])


def test_a_service_that_restarts_while_its_run_goes_on_is_asked_again_until_the_time_is_over() -> None:
    outcome, service, _ = ask((202, RUNNING), *[(503, WRONG), None] * 5, (200, run()), attempts=1)
    assert (outcome.status, outcome.attempts) == (0, 1)
    assert len(service.asked) == 12


@pytest.mark.parametrize(
    ("answer", "status"), [((404, WRONG), 1), ((401, WRONG), 2), ((200, {**RUNNING, "runId": "another"}), 2)]
)
def test_a_run_that_can_be_looked_at_no_more_is_no_success(answer: Answer, status: int) -> None:
    outcome, service, _ = ask((202, RUNNING), answer)
    assert (outcome.status, outcome.run_id, len(service.asked)) == (status, RUN, 2)


def test_when_the_time_is_over_it_says_that_the_run_goes_on() -> None:
    outcome, _, passing = ask((202, RUNNING), (200, RUNNING), timeout=100)
    assert (outcome.status, outcome.message) == (1, f"bakalari: run {RUN} has not ended in time: it goes on")
    assert passing.now <= 100
    outcome, _, passing = ask((503, WRONG, {"Retry-After": "50"}), timeout=100, attempts=10)
    assert (outcome.status, outcome.attempts, passing.now) == (1, 3, 100)


def test_nobody_waits_longer_within_the_request_than_in_all() -> None:
    for timeout, wait in ((900, "60"), (5, "5")):
        _, service, _ = ask((200, run()), timeout=timeout)
        assert service.asked[0][1].endswith(f"?wait={wait}")


@pytest.mark.parametrize(
    "answer",
    [
        (200, "<html>welcome</html>"),
        (200, []),
        (200, {"success": True}),
        (202, {**RUNNING, "runId": "../../admin"}),
        (404, "<html>nothing</html>"),
        (302, "", {"Location": "https://elsewhere.example.cz/login?token=1"}),
        (307, "", {"Location": "/api/sync/bakalari/"}),
    ],
)
def test_what_is_not_the_services_is_an_error_that_says_so(answer: Answer) -> None:
    outcome, service, _ = ask(answer)
    assert (outcome.status, len(service.asked)) == (2, 1)
    assert "APP_URL" in outcome.message
    assert "token=1" not in outcome.message


def test_what_the_service_says_moves_no_cursor_and_is_not_long() -> None:
    outcome, _, _ = ask((422, {**WRONG, "detail": "\x1b[2J\n" + "x" * 5000}))
    assert outcome.message.isprintable()
    assert len(outcome.message) < 400
