"""The sensor on a real instance: which runs it makes of calls, when, and that none is lost and none done twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.definitions import defs
from sync_pipelines.defs.webhooks import BATCH_TAG, WEBHOOKS_SENSOR
from sync_pipelines.flows.naming import QUEUE_TAG
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.webhooks import note_call
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines.sandbox.webtolearn import Platform

Query = Callable[..., list[Any]]
Called = Callable[..., None]
DONE, FAILED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
WAITS, STARTED = dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED


@pytest.fixture
def instance(
    instance_home: object, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    monkeypatch.setenv("WTL_API_URL", "https://a.elms.pl/api/v1")
    monkeypatch.setenv("WTL_API_TOKEN", "hunter22")
    for name, value in {"URL": "https://skola-1.example.cz", "USERNAME": "u", "PASSWORD": "hunter22"}.items():
        monkeypatch.setenv(f"BAKALARI_{name}", value)
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def called(session: Session, query: Query) -> Called:
    """Writes a call down, as if it had come so many seconds ago."""
    numbers = itertools.count()

    def call(upstream: str, *keys: str, age: int = 30) -> None:
        call_id = f"call {next(numbers):04}"
        note_call(session, upstream, call_id, keys)
        query("UPDATE sync.webhook_calls SET received_at = now() - :age WHERE call_id = :id",
              age=timedelta(seconds=age), id=call_id)  # fmt: skip

    return call


def look(instance: dg.DagsterInstance) -> tuple[Sequence[dg.RunRequest], str]:
    """The runs that are asked for, and why none is. Whoever does not launch them has died in between."""
    context = dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def())
    tick = WEBHOOKS_SENSOR.evaluate_tick(context)
    return tick.run_requests or [], tick.skip_message or ""


def launched(
    instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus = WAITS
) -> dg.DagsterRun:
    """The run, as Dagster's daemon makes it."""
    job = defs.resolve_job_def(request.job_name or "")
    return instance.create_run_for_job(
        job, run_config=request.run_config, tags={**job.tags, **request.tags}, status=status
    )


def ended(instance: dg.DagsterInstance, run: dg.DagsterRun, status: dg.DagsterRunStatus = DONE) -> None:
    kind = dg.DagsterEventType.RUN_SUCCESS if status is DONE else dg.DagsterEventType.RUN_FAILURE
    instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name), run.run_id)


def keys_of(request: dg.RunRequest) -> list[str]:
    """What a run is to sync; none: everything."""
    configs = [step["config"]["keys"] for step in request.run_config.get("ops", {}).values()]
    assert all(keys == configs[0] for keys in configs)
    return configs[0] if configs else []


def settled(query: Query) -> list[str | None]:
    return query("SELECT run_id FROM sync.webhook_calls ORDER BY received_at, call_id")


def known(query: Query, *courses: str) -> None:
    for course in courses:
        query("INSERT INTO sync.external_refs (system, type, external_id, internal_id) "
              "VALUES ('wtl', 'course', :id, gen_random_uuid())", id=course)  # fmt: skip


def test_it_is_on_and_looks_every_15_seconds() -> None:
    assert WEBHOOKS_SENSOR.default_status is dg.DefaultSensorStatus.RUNNING
    assert WEBHOOKS_SENSOR.minimum_interval_seconds == 15


def test_many_calls_of_a_minute_become_one_run_of_what_they_name(
    instance: dg.DagsterInstance, called: Called, query: Query
) -> None:
    for age in range(50, 25, -1):
        called("bakalari", f"skola-{age % 3}", age=age)
    called("bakalari", "skola-1", age=5)
    assert look(instance) == ([], "no call waits for a run, or not for long enough")
    query("UPDATE sync.webhook_calls SET received_at = received_at - interval '16 s'")
    (request,), _ = look(instance)
    assert (request.job_name, keys_of(request)) == ("bakalari_sync", ["skola-0", "skola-1", "skola-2"])
    run = launched(instance, request)
    assert run.tags[QUEUE_TAG] == "bakalari_schools"
    assert look(instance)[0] == []
    assert settled(query) == [run.run_id] * 26


def test_a_school_alone_waits_in_the_queue_of_its_schedule(instance: dg.DagsterInstance, called: Called) -> None:
    called("bakalari", "skola-1")
    (request,), _ = look(instance)
    assert request.tags[QUEUE_TAG] == "bakalari/skola-1"


def test_one_call_of_them_that_names_nothing_means_everything(
    instance: dg.DagsterInstance, called: Called
) -> None:
    called("bakalari", "skola-1")
    called("bakalari")
    (request,), _ = look(instance)
    assert keys_of(request) == []


def test_whoever_dies_between_writing_the_batch_and_asking_for_its_run_loses_nothing_and_doubles_nothing(
    instance: dg.DagsterInstance, called: Called, query: Query
) -> None:
    called("bakalari", "skola-1")
    (first,), _ = look(instance)
    called("bakalari", "skola-2")
    (again, second), _ = look(instance)
    # Dagster makes one run of a key.
    assert (again.run_key, again.tags, again.run_config) == (first.run_key, first.tags, first.run_config)
    assert second.run_key != first.run_key
    assert [keys_of(request) for request in (again, second)] == [["skola-1"], ["skola-2"]]
    runs = [launched(instance, request).run_id for request in (again, second)]
    assert look(instance)[0] == []
    assert settled(query) == runs


def test_while_a_run_of_calls_has_not_begun_others_wait_and_once_it_has_they_are_the_next(
    instance: dg.DagsterInstance, called: Called
) -> None:
    called("bakalari", "skola-1")
    (request,), _ = look(instance)
    run = launched(instance, request)
    for _ in range(3):
        called("bakalari", "skola-1", age=100)
        assert look(instance)[0] == []
    # What it reads from now on may be older than the calls: it is not the run that they are for.
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name), run.run_id)
    (request,), _ = look(instance)
    assert keys_of(request) == ["skola-1"]


def test_runs_of_others_are_not_waited_for(instance: dg.DagsterInstance, called: Called) -> None:
    instance.create_run_for_job(defs.resolve_job_def("bakalari_sync"), status=WAITS)
    called("bakalari", "skola-1")
    assert len(look(instance)[0]) == 1


def test_courses_that_are_known_are_read_by_themselves(
    instance: dg.DagsterInstance, called: Called, query: Query
) -> None:
    known(query, "1", "2", "3")
    called("wtl", "1")
    called("wtl", "3")
    (request,), _ = look(instance)
    assert (request.job_name, keys_of(request)) == ("wtl_courses_sync", ["1", "3"])
    assert set(request.run_config["ops"]) == {"wtl__lessons", "wtl__course_users"}
    run = launched(instance, request)
    look(instance)
    assert settled(query) == [run.run_id] * 2


@pytest.mark.parametrize("end", [DONE, FAILED])
def test_for_a_course_that_is_not_known_the_lists_come_first_and_then_what_is_read_by_course(
    instance: dg.DagsterInstance, called: Called, query: Query, end: dg.DagsterRunStatus
) -> None:
    known(query, "1")
    called("wtl", "1", "new")
    (lists,), _ = look(instance)
    assert (lists.job_name, keys_of(lists)) == ("wtl_sync", [])
    run = launched(instance, lists, STARTED)
    assert look(instance)[0] == []
    if end is DONE:
        known(query, "new")
    ended(instance, run, end)
    (courses,), _ = look(instance)
    assert (courses.job_name, keys_of(courses)) == ("wtl_courses_sync", ["1", "new"] if end is DONE else ["1"])
    assert courses.run_key != lists.run_key
    last = launched(instance, courses)
    look(instance)
    assert settled(query) == [last.run_id]


def test_a_course_that_the_lists_do_not_bring_either_is_done_with_them(
    instance: dg.DagsterInstance, called: Called, query: Query
) -> None:
    called("wtl", "nowhere")
    called("wtl")
    (lists,), _ = look(instance)
    run = launched(instance, lists)
    assert look(instance)[0] == []
    assert settled(query) == [run.run_id] * 2


def test_where_one_call_means_everything_and_another_names_a_course_both_are_done(
    instance: dg.DagsterInstance, called: Called, query: Query
) -> None:
    known(query, "1")
    called("wtl", "1")
    called("wtl")
    (lists,), _ = look(instance)
    ended(instance, launched(instance, lists))
    (courses,), _ = look(instance)
    assert [lists.job_name, courses.job_name, keys_of(courses)] == ["wtl_sync", "wtl_courses_sync", ["1"]]


def test_a_course_that_vanished_may_be_back_so_the_lists_come_first(
    instance: dg.DagsterInstance, called: Called, query: Query
) -> None:
    known(query, "1")
    query("UPDATE sync.external_refs SET remote_deleted_at = now()")
    called("wtl", "1")
    (request,), _ = look(instance)
    assert request.job_name == "wtl_sync"


def test_of_more_names_than_a_run_is_asked_for_it_is_everything(
    instance: dg.DagsterInstance, called: Called
) -> None:
    called("bakalari", *map(str, range(600)))
    called("bakalari", *map(str, range(600, 1200)))
    (request,), _ = look(instance)
    assert keys_of(request) == []


def test_without_settings_calls_wait_and_the_tick_says_what_is_missing(
    instance: dg.DagsterInstance, called: Called, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    called("wtl", "1")
    monkeypatch.delenv("WTL_API_TOKEN")
    requests, why = look(instance)
    assert (requests, "WTL_API_TOKEN" in why, "hunter22" in why) == ([], True, False)
    called("bakalari", "skola-1")
    assert [request.job_name for request in look(instance)[0]] == ["bakalari_sync"]
    assert query("SELECT batch IS NULL FROM sync.webhook_calls ORDER BY upstream") == [False, True]


def test_without_a_database_or_its_tables_a_tick_is_skipped_and_says_so(
    instance: dg.DagsterInstance, create_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", create_database(empty=True))
    assert "sync-pipelines db upgrade" in look(instance)[1]
    monkeypatch.delenv("SYNC_DATABASE_URL")
    assert "SYNC_DATABASE_URL is not set" in look(instance)[1]


STEPS = st.lists(st.sampled_from(["a", "b", "ab", "", "look", "die", "begin", "end"]), max_size=10)


@given(steps=STEPS)
@settings(max_examples=15)
def test_whatever_happens_when_each_call_has_a_run_that_came_after_it_and_syncs_what_it_names(
    instance: dg.DagsterInstance, called: Called, query: Query, steps: list[str]
) -> None:
    query("TRUNCATE sync.webhook_calls")
    instance.wipe()
    calls: list[tuple[str, int]] = []
    runs: list[tuple[dg.DagsterRun, dg.RunRequest, int]] = []
    by_key: dict[str | None, str] = {}
    begun = 0
    for step in [*steps, "look", "begin", "look", "begin", "look"]:
        if step in ("look", "die"):
            for request in look(instance)[0]:
                if step == "look" and request.run_key not in by_key:
                    run = launched(instance, request)
                    by_key[request.run_key] = run.run_id
                    runs.append((run, request, len(calls)))
            assert len(runs) - begun <= 1 + steps.count("die"), "one waits for its turn, but for those of the dead"
        elif step == "begin":
            for run, _, _ in runs[begun:]:
                kind = dg.DagsterEventType.RUN_START.value
                instance.report_dagster_event(dg.DagsterEvent(kind, run.job_name), run.run_id)
            begun = len(runs)
        elif step == "end":
            for run, _, _ in runs[:begun]:
                ended(instance, run)
        else:
            called("bakalari", *step)
            calls.append((step, len(calls)))
    by_id = {run.run_id: (keys_of(request), born) for run, request, born in runs}
    found = query("SELECT run_id FROM sync.webhook_calls ORDER BY call_id")
    for (named, number), run_id in zip(calls, found, strict=True):
        synced, born = by_id[run_id]
        assert not synced or ({*named} <= {*synced} != {*()} and named), (named, synced)
        assert born > number


def test_a_new_course_is_there_with_its_people_two_runs_later(
    instance: dg.DagsterInstance,
    called: Called,
    query: Query,
    serve: Callable[[Any], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = Platform.invented(courses=3, lessons=6, users=9)
    platform.limit_minute = platform.limit_hour = 10**9
    platform.token = "of-webhooks"
    monkeypatch.setenv("WTL_API_URL", serve(platform))
    monkeypatch.setenv("WTL_API_TOKEN", platform.token)
    course = platform.courses[0]["id"]
    called("wtl", course)
    made = []
    while requests := look(instance)[0]:
        (request,) = requests
        job = defs.resolve_job_def(request.job_name or "")
        made.append(request.job_name)
        result = job.execute_in_process(
            instance=instance, run_config=request.run_config, tags=dict(request.tags), raise_on_error=False
        )
        assert result.success
    assert made == ["wtl_sync", "wtl_courses_sync"]
    assert query("SELECT DISTINCT wtl_course_id FROM wtl.course_users_current") == [course]
    assert settled(query) == [instance.get_runs(limit=1)[0].run_id]


def test_schools_that_were_named_are_read_and_no_others(
    instance: dg.DagsterInstance,
    called: Called,
    query: Query,
    set_up_schools: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schools = [School.invented(f"skola-{n}", classes=1, students=3, teachers=1) for n in range(3)]
    for name in ("URL", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"BAKALARI_{name}")
    for name, value in set_up_schools(*schools).items():
        monkeypatch.setenv(name, value)
    called("bakalari", "skola-0")
    called("bakalari", "skola-2")
    (request,), _ = look(instance)
    job = defs.resolve_job_def("bakalari_sync")
    assert job.execute_in_process(
        instance=instance, run_config=request.run_config, tags=dict(request.tags)
    ).success
    assert query("SELECT id FROM bakalari.schools ORDER BY 1") == ["skola-0", "skola-2"]
    assert not schools[1].requests
    assert request.tags[BATCH_TAG] in str(request.run_key)
