"""What is tried again within a run, what is not, and what is neither: requests that are used up."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines import errors
from sync_pipelines.definitions import defs
from sync_pipelines.defs.retries import retry
from sync_pipelines.errors import RateLimited, SyncError
from sync_pipelines.flows.runner import Runner
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

ERRORS = [error for name in errors.__all__ if issubclass(error := getattr(errors, name), SyncError)]
Evaluated = dict[tuple[str, str], tuple[bool, str]]


@given(
    error=st.sampled_from(ERRORS), tried=st.integers(0, 12), retries=st.integers(0, 10), seconds=st.floats(0, 600)
)
def test_only_what_may_succeed_is_tried_again_so_often_and_after_longer_and_longer_waits(
    error: type[SyncError], tried: int, retries: int, seconds: float
) -> None:
    settings = Settings(SYNC_RETRIES=retries, SYNC_RETRY_SECONDS=seconds)  # pyright: ignore[reportCallIssue]
    again = retry(tried, error("said"), settings)
    assert (again is not None) == (error.transient and error is not RateLimited and tried < retries)
    if again is not None:
        wait = again.seconds_to_wait or 0
        assert seconds * 2**tried * 0.5 <= wait <= seconds * 2**tried * 1.5
        assert again.max_retries == retries


@pytest.fixture
def platform() -> Platform:
    platform = Platform.invented(courses=3, lessons=100, users=3)
    platform.token = "of-its-own"  # what a process learns of a limit is of an address and a token
    return platform


@pytest.fixture
def run(
    platform: Platform,
    instance_home: object,
    serve: Callable[[Any], str],
    sync_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], dg.ExecuteInProcessResult]:
    monkeypatch.setenv("SYNC_RETRIES", "2")
    monkeypatch.setenv("SYNC_RETRY_SECONDS", "0")
    settings = sync_settings(serve(platform), platform.token)

    def start() -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.get() as instance:
            return defs.resolve_job_def("wtl_sync").execute_in_process(
                instance=instance, resources={"runner": Runner(settings)}, raise_on_error=False
            )

    return start


def retried(result: dg.ExecuteInProcessResult) -> list[str | None]:
    return [e.step_key for e in result.all_events if e.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY]


def evaluated(result: dg.ExecuteInProcessResult) -> Evaluated:
    found = result.get_asset_check_evaluations()
    return {(e.asset_key.path[-1], e.check_name): (e.passed, e.severity.value) for e in found}


def test_a_server_that_is_down_is_asked_again_within_the_run(
    run: Callable[[], dg.ExecuteInProcessResult], platform: Platform
) -> None:
    platform.switch_on("server-error", path="/training/list", times=4)  # as often as the client asks by itself
    result = run()
    assert result.success
    assert retried(result) == ["wtl__courses"]
    assert {passed for passed, _ in evaluated(result).values()} == {True}


def test_a_server_that_stays_down_is_a_failure_after_the_last_try(
    run: Callable[[], dg.ExecuteInProcessResult], platform: Platform
) -> None:
    platform.switch_on("server-error", path="/training/list")
    result = run()
    assert not result.success
    assert retried(result) == ["wtl__courses"] * 2
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.metadata["failure"].value == "SourceUnavailable"


def test_what_needs_a_person_fails_at_once(
    run: Callable[[], dg.ExecuteInProcessResult], platform: Platform
) -> None:
    platform.switch_on("bad-token", path="/training/list")
    result = run()
    assert (result.success, retried(result)) == (False, [])


def test_the_guard_stops_what_comes_after_and_its_check_says_so(
    run: Callable[[], dg.ExecuteInProcessResult], platform: Platform
) -> None:
    assert run().success
    del platform.lessons[50:]
    result = run()
    assert (result.success, retried(result)) == (False, [])
    found = evaluated(result)
    assert found["lesson_catalog", "guard"] == (False, "ERROR")
    assert found["lesson_catalog", "complete"] == (True, "ERROR")
    assert found["courses", "guard"] == (True, "ERROR")


def test_used_up_requests_are_no_failure_and_nothing_is_asked_twice(
    run: Callable[[], dg.ExecuteInProcessResult], platform: Platform
) -> None:
    platform.switch_on("hour-used-up", path="/training/list")
    result = run()
    assert (result.success, retried(result)) == (True, [])
    assert evaluated(result)["courses", "complete"] == (False, "WARN")
    skipped = [event.step_key for event in result.all_events if event.is_step_skipped]
    assert skipped == ["wtl__lesson_catalog", "wtl_checks"]
    made = [m.asset_key.path[-1] for m in result.asset_materializations_for_node("wtl__courses")]
    assert made == []


def test_of_partitions_those_that_failed_are_tried_again_and_no_other(
    instance_home: object,
    set_up_schools: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schools = [School.invented(f"skola-{n}", classes=1, students=3, teachers=2) for n in range(3)]
    for name, value in set_up_schools(*schools).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SYNC_RETRIES", "2")
    monkeypatch.setenv("SYNC_RETRY_SECONDS", "0")
    schools[1].switch_on("server-error", path="/api/3", times=4)
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("bakalari_sync").execute_in_process(instance=instance, raise_on_error=False)
        logs = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert result.success
    assert retried(result)
    made = [(m.asset_key.path[-1], m.partition) for entry in logs if (m := entry.asset_materialization)]
    assert len(made) == len(set(made)) == 6 * 3


def test_of_partitions_in_turn_a_retry_begins_no_others_than_were_begun(
    run: Callable[[], dg.ExecuteInProcessResult], platform: Platform
) -> None:
    platform.put("courses", "900", {"id": "900", "name": "Geografia"})
    assert run().success
    first = min((str(row["id"]) for row in platform.courses), key=lambda key: (len(key), key))
    platform.switch_on("server-error", path=f"/training/{first}/user/list", times=4)
    config = {"ops": {"wtl__course_users": {"config": {"at_most": 2}}}}
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("wtl_courses_sync").execute_in_process(
            config,
            instance=instance,
            asset_selection=[dg.AssetKey(["wtl", "course_users"])],
            raise_on_error=False,
        )
        logs = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert result.success
    assert retried(result) == ["wtl__course_users"]
    assert len([entry for entry in logs if entry.asset_materialization]) == 2 < len(platform.courses)
