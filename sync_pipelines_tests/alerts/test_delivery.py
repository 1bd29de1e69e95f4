"""Delivery to real receivers: at least once, in order, each by itself."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.alerts.delivery import wait_after
from sync_pipelines.alerts.evaluating import deliver_what_is_due, look_and_deliver
from sync_pipelines.alerts.problems import EndedRun, Good, Kind, Problem
from sync_pipelines.alerts.receivers import receivers
from sync_pipelines.errors import SettingsError, SourceUnavailable
from sync_pipelines.postgres.alerts import AlertTables, NewAlert
from sync_pipelines.postgres.engine import Database
from sync_pipelines.settings import Settings
from sync_pipelines_tests.alerts.conftest import Clock, WrittenHistory
from sync_pipelines_tests.alerts.listening import Listener, free_port

Listen = Callable[..., Listener]
MakeSettings = Callable[..., Settings]
Query = Callable[..., list[Any]]


@pytest.fixture
def look(history: WrittenHistory, clock: Clock) -> Callable[..., None]:
    return lambda settings: look_and_deliver(settings, history, now=clock)


def begin(look: Callable[..., None], settings: Settings) -> None:
    """The first look: what was before is nobody's concern."""
    look(settings)


def fail(history: WrittenHistory, clock: Clock, subject: str = "wtl") -> None:
    position = history.newest() + 1
    clock.pass_by(minutes=1)
    problem = Problem(Kind.FAILURE, subject, f"error {position}", f"run-{position}")
    history.runs.append(EndedRun(position, f"run-{position}", clock(), (problem,)))
    clock.pass_by(minutes=1)


def succeed(history: WrittenHistory, clock: Clock, subject: str = "wtl") -> None:
    position = history.newest() + 1
    clock.pass_by(minutes=1)
    history.runs.append(EndedRun(position, f"run-{position}", clock(), good=(Good(subject, frozenset()),)))
    clock.pass_by(minutes=1)


def test_an_incident_is_told_once_when_it_starts_and_once_when_it_ends(
    look: Callable[..., None], history: WrittenHistory, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    receiver = listen()
    settings = alert_settings(receiver.url)
    begin(look, settings)
    fail(history, clock)
    for _ in range(3):
        look(settings)
    assert receiver.titles == ["✗ WebToLearn: sync fails"]
    assert "error 1" in receiver.messages[0]["message"]
    assert "http://127.0.0.1:3000/runs/run-1" in receiver.messages[0]["message"]
    clock.pass_by(minutes=40)
    succeed(history, clock)
    for _ in range(3):
        look(settings)
    assert receiver.titles[1:] == ["✓ WebToLearn is synced again, after 42 min"]
    assert [message["type"] for message in receiver.messages] == ["failure", "success"]


def test_what_was_before_the_first_look_is_not_told(
    look: Callable[..., None], history: WrittenHistory, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    receiver = listen()
    fail(history, clock)
    look(alert_settings(receiver.url))
    look(alert_settings(receiver.url))
    assert receiver.messages == []


def test_a_history_that_was_made_anew_is_read_from_then_on(
    look: Callable[..., None], history: WrittenHistory, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    receiver = listen()
    settings = alert_settings(receiver.url)
    for _ in range(5):
        succeed(history, clock)
    begin(look, settings)
    history.runs.clear()
    look(settings)
    fail(history, clock)
    look(settings)
    assert receiver.titles == ["✗ WebToLearn: sync fails"]


def test_a_receiver_that_was_down_gets_all_in_order_and_once(
    look: Callable[..., None], history: WrittenHistory, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    port = free_port()
    up = listen()
    settings = alert_settings(up.url, f"json://127.0.0.1:{port}/")
    begin(look, settings)
    fail(history, clock)
    look(settings)
    succeed(history, clock)
    look(settings)
    assert len(up.messages) == 2
    down = listen(port)
    look(settings)
    assert down.messages == []  # it is left alone for a while
    clock.pass_by(minutes=15)
    for _ in range(2):
        look(settings)
    assert down.titles == up.titles
    assert len(up.messages) == 2


def test_a_receiver_that_answers_500_for_a_time_is_asked_less_and_less(
    look: Callable[..., None],
    history: WrittenHistory,
    clock: Clock,
    listen: Listen,
    alert_settings: MakeSettings,
    query: Query,
) -> None:
    receiver = listen(status=500)
    settings = alert_settings(receiver.url)
    begin(look, settings)
    fail(history, clock)
    for _ in range(120):
        look(settings)
        clock.pass_by(seconds=30)
    assert 5 <= receiver.asked <= 16
    assert query("SELECT attempts, last_error FROM sync.alert_deliveries") == [(receiver.asked, "it answered 500")]
    receiver.status = 200
    clock.pass_by(minutes=15)
    look(settings)
    look(settings)
    assert len(receiver.messages) == 1


def test_a_receiver_that_does_not_answer_holds_up_no_other(
    look: Callable[..., None], history: WrittenHistory, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    hanging, up = listen(status=None), listen()
    settings = alert_settings(hanging.url, up.url)
    begin(look, settings)
    fail(history, clock)
    look(settings)
    assert (hanging.asked, len(up.messages)) == (1, 1)
    hanging.status = 200
    hanging.release()
    clock.pass_by(minutes=15)
    look(settings)
    assert (len(hanging.messages), len(up.messages)) == (1, 1)


def test_an_address_that_is_none_holds_up_no_other(
    look: Callable[..., None],
    history: WrittenHistory,
    clock: Clock,
    listen: Listen,
    alert_settings: MakeSettings,
    query: Query,
) -> None:
    up = listen()
    settings = alert_settings("nonsense://s3cret-token/x", up.url)
    begin(look, settings)
    fail(history, clock)
    look(settings)
    assert len(up.messages) == 1
    (error,) = query("SELECT last_error FROM sync.alert_deliveries WHERE delivered_at IS NULL")
    assert error == "SYNC_ALERT_URLS: address 1 (nonsense://…) is none that apprise understands"


def test_a_message_that_was_taken_and_not_marked_is_given_again_and_never_lost(
    listen: Listen, alert_settings: MakeSettings, database: Database, query: Query
) -> None:
    receiver = listen()
    settings = alert_settings(receiver.url)
    (told,) = receivers(settings.alerted())
    with database.session() as session:
        message = NewAlert("start", "a title", "a body", [told.fingerprint], [])
        AlertTables(session).save(1, [], [message], datetime.now(UTC))
    taken = threading.Event()
    receiver.then = taken.set
    with database.engine.begin() as connection:
        # Whoever delivers it cannot mark it while we hold its row.
        connection.execute(sa.text("SELECT FROM sync.alert_deliveries FOR UPDATE"))
        deliverer = subprocess.Popen([sys.executable, "-c", DELIVER], env=dict(os.environ))
        assert taken.wait(120)
        deliverer.send_signal(signal.SIGKILL)
        deliverer.wait()
    # The server lets go of its lock when it notices that it is gone.
    while query(LOCKS) != [0]:
        pass
    for _ in range(2):
        deliver_what_is_due(settings)
    assert receiver.titles == ["a title", "a title"]
    assert query("SELECT count(*) FROM sync.alert_deliveries WHERE delivered_at IS NULL") == [0]


LOCKS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND d.datname = current_database()
"""
DELIVER = """
from sync_pipelines.alerts.evaluating import deliver_what_is_due
from sync_pipelines.settings import Settings
deliver_what_is_due(Settings.load())
"""


def test_several_who_look_at_once_tell_it_once(
    history: WrittenHistory,
    clock: Clock,
    listen: Listen,
    alert_settings: MakeSettings,
    query: Query,
) -> None:
    first, second = listen(), listen()
    settings = alert_settings(first.url, second.url)
    look_and_deliver(settings, history, now=clock)
    fail(history, clock)
    together = threading.Barrier(5)
    errors: list[BaseException] = []

    def look() -> None:
        try:
            together.wait()
            for _ in range(3):
                look_and_deliver(settings, history, now=clock)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (len(first.messages), len(second.messages)) == (1, 1)
    assert query("SELECT count(*) FROM sync.incidents") == [1]


def test_a_receiver_added_later_is_not_told_of_an_end_whose_start_it_never_heard_of(
    look: Callable[..., None], history: WrittenHistory, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    first, later = listen(), listen()
    begin(look, alert_settings(first.url))
    fail(history, clock)
    look(alert_settings(first.url))
    both = alert_settings(first.url, later.url)
    look(both)
    succeed(history, clock)
    look(both)
    assert (len(first.messages), len(later.messages)) == (2, 0)
    fail(history, clock)
    look(both)
    assert (len(first.messages), len(later.messages)) == (3, 1)


def test_the_address_of_a_receiver_is_nowhere_in_the_database(
    look: Callable[..., None],
    history: WrittenHistory,
    clock: Clock,
    listen: Listen,
    alert_settings: MakeSettings,
    query: Query,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver = listen(status=500)
    settings = alert_settings(receiver.url)
    begin(look, settings)
    fail(history, clock)
    look(settings)
    kept = [query(f"SELECT t::text FROM sync.{name} t") for name in ("alerts", "alert_deliveries", "incidents")]
    assert "s3cret" not in str(kept) + caplog.text
    assert "json://127.0.0.1 was not given a message: it answered 500" in caplog.text


@given(st.integers(1, 10_000))
def test_a_receiver_is_never_left_alone_for_longer_than_a_quarter_of_an_hour(attempts: int) -> None:
    assert timedelta(seconds=7) < wait_after(attempts) <= timedelta(minutes=15)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mailtos://someone:s3cret@smtp.school.cz?to=a@school.cz", "mailtos://smtp.school.cz"),
        ("slack://s3cretA/s3cretB/s3cretC/#data", "slack://…"),
        ("pbul://o.s3cret", "pbul://…"),
        ("json://[s3cret", "json://…"),
        ("https://hooks.slack.com/services/s3cret/x/y", "https://hooks.slack.com"),
    ],
)
def test_a_receiver_is_shown_by_scheme_and_host_and_never_by_what_may_be_a_secret(url: str, shown: str) -> None:
    (receiver,) = receivers([url])
    assert str(receiver) == shown
    assert "s3cret" not in repr(receiver) + receiver.fingerprint


def test_whoever_does_not_take_a_message_is_said_to_in_plain_words(listen: Listen) -> None:
    def why(url: str) -> str:
        with pytest.raises((SourceUnavailable, SettingsError)) as caught:
            receivers([url])[0].send("start", "title", "body")
        return str(caught.value)

    assert why(listen(status=503).url) == "it answered 503"
    assert why(f"json://127.0.0.1:{free_port()}/") == "it cannot be reached"
    assert "none that apprise understands" in why("slack://s3cret")
