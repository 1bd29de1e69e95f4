"""Problems that the database shows: when is data old, are too many records refused, must somebody log in."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.alerts.evaluating import look_and_deliver
from sync_pipelines.alerts.history import Tick
from sync_pipelines.alerts.problems import Kind
from sync_pipelines.alerts.states import FlowInUse, error_rates, flows_in_use, is_left, stale
from sync_pipelines.flows.naming import FLOWS_BY_NAME
from sync_pipelines.postgres.alerts import StreamState
from sync_pipelines.settings import Settings
from sync_pipelines_tests.alerts.conftest import Clock, WrittenHistory
from sync_pipelines_tests.alerts.listening import Listener

NOW = Clock().time
INTERVAL = timedelta(minutes=15)
WTL = FlowInUse(FLOWS_BY_NAME["wtl"])
COURSES = FlowInUse(FLOWS_BY_NAME["wtl_courses"])
BAKALARI = FlowInUse(FLOWS_BY_NAME["bakalari"], ("a", "b"))
Rows = Mapping[str, StreamState]
Query = Callable[..., list[Any]]


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def rows(one: FlowInUse, complete: datetime | None, partition: str | None = None) -> dict[str, StreamState]:
    names = [f"{stream}/{partition}" if partition else stream for stream in one.flow.streams]
    return {name: StreamState(name, complete, fetched=100) for name in names}


def old(one: FlowInUse, streams: Rows, *ticks: Tick) -> list[str]:
    history = WrittenHistory(Clock(), turns={one.flow.name: sorted(ticks, key=lambda tick: tick.at)})
    return [p.subject for p in stale([one], streams, history, NOW, intervals=3, interval=INTERVAL)]


def every_quarter(since: float, *, until: float = 0, keys: frozenset[str] | None = None) -> list[Tick]:
    """Ticks that asked for runs, from `since` minutes ago on."""
    return [Tick(ago(minutes), True, keys) for minutes in range(int(since), int(until), -15)]


def test_data_is_old_once_three_ticks_and_some_minutes_went_by_without_a_complete_sync() -> None:
    assert old(WTL, rows(WTL, ago(52)), *every_quarter(51)) == ["wtl"]  # 51, 36, 21, and 6 minutes ago
    assert old(WTL, rows(WTL, ago(37)), *every_quarter(36)) == ["wtl"]
    assert old(WTL, rows(WTL, ago(34)), *every_quarter(33)) == []  # the last may still be running
    assert old(WTL, rows(WTL, ago(5)), *every_quarter(200)) == []


def test_one_list_that_is_not_complete_makes_the_whole_old() -> None:
    streams = rows(WTL, ago(1)) | {"wtl/users": StreamState("wtl/users", ago(60))}
    assert old(WTL, streams, *every_quarter(55)) == ["wtl"]


def test_a_machine_that_was_off_and_schedules_that_are_off_make_nothing_old() -> None:
    since_friday = rows(WTL, ago(60 * 60))
    assert old(WTL, since_friday) == []
    made_up_for = [Tick(ago(7), True), Tick(ago(6.9), True), Tick(ago(6.8), True), Tick(ago(6.7), True)]
    assert old(WTL, since_friday, *made_up_for) == []


def test_what_has_never_been_synced_is_old_after_as_many_ticks_that_wanted_it() -> None:
    skipped = [Tick(tick.at, False) for tick in every_quarter(120, until=60)]
    assert old(WTL, {}, *skipped) == []
    assert old(WTL, {}, *skipped, *every_quarter(20)) == []
    assert old(WTL, {}, *skipped, *every_quarter(45)) == ["wtl"]


def test_ticks_that_skip_because_a_run_is_stuck_count() -> None:
    asked, *rest = every_quarter(51)
    assert old(WTL, rows(WTL, ago(52)), asked, *(Tick(tick.at, False) for tick in rest)) == ["wtl"]


def test_a_school_that_was_just_added_is_not_old_for_the_others_ticks() -> None:
    others = every_quarter(300, until=16, keys=frozenset({"a"}))
    both = Tick(ago(6), True, frozenset({"a", "b"}))
    assert old(BAKALARI, rows(BAKALARI, ago(5), "a"), *others, both) == []
    assert old(BAKALARI, rows(BAKALARI, ago(310), "a"), *others, both) == ["bakalari/a"]


def test_a_landing_that_is_never_complete_makes_no_school_old() -> None:
    streams = rows(BAKALARI, ago(5), "a") | rows(BAKALARI, ago(5), "b")
    streams["bakalari/roster/a"] = StreamState("bakalari/roster/a", None)
    assert old(BAKALARI, streams, *every_quarter(300)) == []


def test_courses_are_old_when_none_of_them_was_synced_and_only_where_there_are_any() -> None:
    courses = {"wtl/courses": StreamState("wtl/courses", ago(1), fetched=2)}
    one = rows(COURSES, ago(60), "1") | rows(COURSES, None, "2")
    assert old(COURSES, courses | one, *every_quarter(55)) == ["wtl_courses"]
    assert old(COURSES, courses | one | rows(COURSES, ago(10), "3"), *every_quarter(55)) == []
    none = {"wtl/courses": StreamState("wtl/courses", ago(1), fetched=0)}
    assert old(COURSES, none, *every_quarter(55)) == []


@given(
    complete=st.integers(0, 600),
    ticks=st.lists(st.tuples(st.integers(0, 600), st.booleans()), max_size=40),
    more=st.integers(0, 600),
)
def test_a_later_complete_sync_never_makes_data_older(complete: int, ticks, more: int) -> None:
    turns = [Tick(ago(minutes), asked) for minutes, asked in ticks]
    earlier = old(WTL, rows(WTL, ago(complete + more)), *turns)
    later = old(WTL, rows(WTL, ago(complete)), *turns)
    assert set(later) <= set(earlier)


def test_too_many_records_are_refused_when_one_list_says_so() -> None:
    streams = rows(WTL, NOW) | {"wtl/users": StreamState("wtl/users", NOW, 1000, 11, "email is missing")}
    (problem,) = error_rates([WTL], streams, 0.01)
    assert (problem.kind, problem.subject, problem.said) == (Kind.ERROR_RATE, "wtl", "wtl/users: email is missing")
    assert problem.counts == {"fetched": 1000, "failed": 11}
    assert list(error_rates([WTL], streams, 0.011)) == []


def test_of_courses_all_count_together_and_of_schools_each_by_itself() -> None:
    courses = {f"wtl/lessons/{n}": StreamState(f"wtl/lessons/{n}", NOW, 100) for n in range(9)}
    courses["wtl/lessons/9"] = StreamState("wtl/lessons/9", NOW, 100, 10)
    assert list(error_rates([COURSES], courses, 0.01)) == []
    courses["wtl/lessons/8"] = StreamState("wtl/lessons/8", NOW, 100, 1)
    assert [p.counts["failed"] for p in error_rates([COURSES], courses, 0.01)] == [11]
    school = {"bakalari/users/b": StreamState("bakalari/users/b", NOW, 100, 10)}
    assert [p.subject for p in error_rates([BAKALARI], school, 0.01)] == ["bakalari/b"]


def test_a_run_that_did_not_read_everything_says_nothing_of_the_share_that_is_refused(
    history: WrittenHistory,
    clock: Clock,
    listen: Callable[..., Listener],
    alert_settings: Callable[..., Settings],
    query: Query,
) -> None:
    receiver = listen()
    settings = alert_settings(receiver.url)

    def last_run(fetched: int, failed: int, complete: bool) -> None:
        query("DELETE FROM sync.streams")
        report = f'{{"fetched": {fetched}, "failed": {failed}, "complete": {str(complete).lower()}}}'
        query("INSERT INTO sync.streams (stream, last_report) VALUES ('wtl/users', CAST(:r AS jsonb))", r=report)
        look_and_deliver(settings, history, now=clock)

    last_run(50, 2, True)
    last_run(0, 0, False)
    assert len(receiver.titles) == 1
    last_run(50, 0, True)
    assert len(receiver.titles) == 2


def test_only_what_is_set_up_is_looked_at_and_what_is_wrongly_set_up_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert flows_in_use(Settings.load()) == ([], frozenset(FLOWS_BY_NAME))
    monkeypatch.setenv("WTL_API_URL", "https://a.elms.pl/api/v1")
    monkeypatch.setenv("WTL_API_TOKEN", "hunter22")
    used, unused = flows_in_use(Settings.load())
    assert [one.flow.name for one in used] == ["wtl", "wtl_courses"]
    assert is_left("bakalari/a", used, unused)
    monkeypatch.setenv("BAKALARI_SCHOOLS_FILE", "/nowhere.toml")
    used, unused = flows_in_use(Settings.load())
    assert not is_left("bakalari/a", used, unused)
    assert not is_left("health_sync", used, unused)
    assert is_left("bakalari/c", [BAKALARI], frozenset())
    assert not is_left("bakalari/b", [BAKALARI], frozenset())
    assert not is_left("bakalari", [BAKALARI], frozenset())


def test_states_are_read_from_the_database_and_no_login_name_is_told(
    history: WrittenHistory,
    clock: Clock,
    listen: Callable[..., Listener],
    alert_settings: Callable[..., Settings],
    query: Query,
    tmp_path: Any,
) -> None:
    schools = tmp_path / "schools.toml"
    schools.write_text(
        "".join(
            f'[[school]]\nid = "{school}"\nurl = "https://{school}.example"\n'
            f'[[school.account]]\nusername = "j.novakova"\npassword = "env:PW"\n'
            for school in ("gymnazium", "lyceum")
        )
    )
    receiver = listen()
    settings = alert_settings(receiver.url, BAKALARI_SCHOOLS_FILE=str(schools), PW="s3cret-pw")
    insert = "INSERT INTO sync.upstream_tokens (system, account, state) VALUES (:s, :a, :state)"
    query(insert, s="bakalari:gymnazium", a="j.novakova", state="needs_login")
    query(insert, s="bakalari:lyceum", a="j.novakova", state="ok")
    query(insert, s="bakalari:lyceum", a="who left", state="needs_login")
    query(
        "INSERT INTO sync.streams (stream, last_complete_at, last_report) VALUES "
        '(\'wtl/users\', now(), \'{"fetched": 50, "failed": 2, "errors": ["title is missing"]}\')'
    )
    for _ in range(2):
        look_and_deliver(settings, history, now=clock)
    assert sorted(receiver.titles) == [
        "! WebToLearn: 4.0% of the records are refused (2 of 50)",
        "✗ Bakalari: 1 of 2 schools needs a login (gymnazium)",
    ]
    assert "novak" not in str(receiver.messages) + str(query("SELECT i::text FROM sync.incidents i"))
    query("UPDATE sync.upstream_tokens SET state = 'ok'")
    clock.pass_by(minutes=20)
    look_and_deliver(settings, history, now=clock)
    assert receiver.titles[2:] == ["✓ Bakalari: 1 school (gymnazium) can log in again, after 20 min"]


def test_stale_data_is_told_and_its_end_too(
    history: WrittenHistory,
    clock: Clock,
    listen: Callable[..., Listener],
    alert_settings: Callable[..., Settings],
    query: Query,
) -> None:
    receiver = listen()
    settings = alert_settings(receiver.url)
    for stream in FLOWS_BY_NAME["wtl"].streams:
        query("INSERT INTO sync.streams (stream, last_complete_at) VALUES (:s, :at)", s=stream, at=clock())
    began = clock()
    for minutes in (15, 30, 45):
        history.turns.setdefault("wtl", []).append(Tick(began + timedelta(minutes=minutes), True))
    clock.pass_by(minutes=49)
    look_and_deliver(settings, history, now=clock)
    assert receiver.titles == []
    clock.pass_by(minutes=1)
    look_and_deliver(settings, history, now=clock)
    assert receiver.titles == ["✗ WebToLearn: not synced for too long"]
    assert "Since 02 Nov" in receiver.messages[0]["message"]
    query("UPDATE sync.streams SET last_complete_at = :at", at=clock())
    look_and_deliver(settings, history, now=clock)
    assert receiver.titles[1:] == ["✓ WebToLearn is synced again, after 50 min"]
