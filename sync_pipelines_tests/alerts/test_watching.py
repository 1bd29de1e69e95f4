"""The database that does not answer: told directly, once, by whoever still stands."""

import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest
import sqlalchemy as sa

from sync_pipelines.alerts.history import History
from sync_pipelines.alerts.watching import Watcher
from sync_pipelines.errors import DatabaseUnavailable, SyncError
from sync_pipelines.settings import Settings
from sync_pipelines_tests.alerts.conftest import Clock, WrittenHistory
from sync_pipelines_tests.alerts.listening import Forward, Listener, free_port

Listen = Callable[..., Listener]
MakeSettings = Callable[..., Settings]
DOWN, UP = "✗ The database does not answer", "✓ The database answers again, after"


@pytest.fixture
def way(database_url: str) -> Generator[Forward, None, None]:
    with Forward(sa.make_url(database_url)) as forward:
        forward.mend()
        yield forward


@pytest.fixture
def watcher(history: WrittenHistory, clock: Clock) -> Callable[[], Watcher]:
    """A watcher that has just been started."""

    def of(_: Settings) -> History:
        return history

    return lambda: Watcher(of, clock)


def look_in_vain(watcher: Watcher) -> None:
    with pytest.raises(DatabaseUnavailable):
        watcher.look()


def test_a_database_that_does_not_answer_is_told_once_and_so_is_its_return_whoever_watches(
    watcher: Callable[[], Watcher], way: Forward, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    receiver = listen()
    settings = alert_settings(receiver.url, SYNC_DATABASE_URL=way.url)
    watcher().look()
    way.cut()
    look_in_vain(watcher())
    assert receiver.titles == []
    for _ in range(3):
        clock.pass_by(seconds=30)
        look_in_vain(watcher())
    assert receiver.titles == [DOWN]
    clock.pass_by(hours=24)
    look_in_vain(watcher())
    clock.pass_by(hours=1)
    look_in_vain(watcher())
    assert receiver.titles == [DOWN, "✗ still, for 24 h: The database does not answer"]
    way.mend()
    for _ in range(3):
        clock.pass_by(seconds=30)
        watcher().look()
    assert receiver.titles[2:] == [f"{UP} 25 h"]
    assert not (settings.home / "database-outage.json").exists()


def test_a_database_that_was_restarted_is_no_trouble(
    watcher: Callable[[], Watcher], way: Forward, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    receiver = listen()
    settings = alert_settings(receiver.url, SYNC_DATABASE_URL=way.url)
    for _ in range(3):
        way.cut()
        look_in_vain(watcher())
        look_in_vain(watcher())  # at once: it is the same look
        way.mend()
        clock.pass_by(seconds=30)
        watcher().look()
        clock.pass_by(seconds=30)
    assert receiver.messages == []
    assert not (settings.home / "database-outage.json").exists()


def test_looks_that_failed_long_ago_do_not_count(
    watcher: Callable[[], Watcher], way: Forward, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    receiver = listen()
    alert_settings(receiver.url, SYNC_DATABASE_URL=way.url)
    way.cut()
    look_in_vain(watcher())
    clock.pass_by(hours=8)  # the machine was off
    look_in_vain(watcher())
    assert receiver.messages == []


def test_a_receiver_that_was_down_too_hears_of_both_when_it_is_back(
    watcher: Callable[[], Watcher], way: Forward, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    port = free_port()
    up = listen()
    settings = alert_settings(f"json://127.0.0.1:{port}/", up.url, SYNC_DATABASE_URL=way.url)
    way.cut()
    for _ in range(2):
        look_in_vain(watcher())
        clock.pass_by(seconds=30)
    way.mend()
    watcher().look()
    assert up.titles == [DOWN, f"{UP} 1 min"]
    assert (settings.home / "database-outage.json").exists()
    late = listen(port)
    clock.pass_by(minutes=15)
    watcher().look()
    assert late.titles == up.titles
    assert not (settings.home / "database-outage.json").exists()


def test_several_watchers_of_one_folder_tell_it_once(
    watcher: Callable[[], Watcher], way: Forward, clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    receiver = listen()
    alert_settings(receiver.url, SYNC_DATABASE_URL=way.url)
    way.cut()
    look_in_vain(watcher())
    clock.pass_by(seconds=30)
    unexpected: list[BaseException] = []

    def look() -> None:
        try:
            for _ in range(5):
                look_in_vain(watcher())
        except BaseException as error:  # noqa: BLE001
            unexpected.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (unexpected, receiver.titles) == ([], [DOWN])


def test_nothing_of_the_address_of_a_database_that_does_not_answer_is_told(
    watcher: Callable[[], Watcher], clock: Clock, listen: Listen, alert_settings: MakeSettings
) -> None:
    receiver = listen()
    settings = alert_settings(
        receiver.url, SYNC_DATABASE_URL=f"postgresql://someone:s3cret-pw@127.0.0.1:{free_port()}/data"
    )
    for _ in range(2):
        look_in_vain(watcher())
        clock.pass_by(seconds=30)
    assert receiver.titles == [DOWN]
    told = str(receiver.messages) + (settings.home / "database-outage.json").read_text()
    assert "s3cret" not in told
    assert "someone" not in told


def test_a_file_that_is_none_of_ours_is_said_to_be_in_the_way(
    watcher: Callable[[], Watcher], way: Forward, alert_settings: MakeSettings
) -> None:
    settings = alert_settings(SYNC_DATABASE_URL=way.url)
    settings.home.mkdir(parents=True)
    (settings.home / "database-outage.json").write_text("{half")
    with pytest.raises(SyncError, match=r"database-outage\.json is no file of ours"):
        watcher().look()


def test_daemons_that_fell_silent_are_told_once_they_had_time_to_start(
    history: WrittenHistory,
    clock: Clock,
    listen: Listen,
    alert_settings: MakeSettings,
    query: Callable[..., list[Any]],
) -> None:
    receiver = listen()
    alert_settings(receiver.url)
    watcher = Watcher(lambda _: history, clock)
    history.silent = [("SCHEDULER", clock()), ("SENSOR", clock())]
    clock.pass_by(hours=1)

    def looks(minutes: int) -> None:
        for _ in range(2 * minutes):
            watcher.look_again(every=30)
            clock.pass_by(seconds=30)

    looks(4)
    assert receiver.titles == []
    looks(2)
    assert receiver.titles == ["✗ Dagster's daemon does not tick"]
    assert "SCHEDULER, SENSOR" in receiver.messages[0]["message"]
    clock.pass_by(hours=8)  # the machine was asleep, and its daemons with it
    history.silent = []
    looks(1)
    assert len(receiver.titles) == 1
    looks(5)
    assert receiver.titles[1:] == ["✓ Dagster's daemon ticks again, after 9 h"]
