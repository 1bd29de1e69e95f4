"""What a run makes of rows that are missing upstream, and what a plan says beforehand."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core import SyncReport
from sync_pipelines.errors import GuardTripped, OriginChanged, SchemaError, UnexpectedAnswer
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.webtolearn import COURSES, LESSON_CATALOG, USERS
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app
from sync_pipelines.settings import Settings

Sync = Callable[..., list[SyncReport]]
Query = Callable[..., list[Any]]

COUNTERS = ("fetched", "created", "updated", "skipped", "deleted", "restored", "failed", "complete", "requests")


class Faulty:
    """A platform that answers 404 after so many requests, or does not say how many rows there are."""

    def __init__(self, platform: Platform) -> None:
        self.app = webtolearn_app(platform)
        self.fails_after = 10**9
        self.says_total = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.fails_after -= 1

        async def altered(message: Any) -> None:
            if message["type"] == "http.response.start":
                if self.fails_after < 0:
                    message["status"] = 404
                if not self.says_total:
                    message["headers"] = [h for h in message["headers"] if h[0] != b"content-range"]
            await send(message)

        await self.app(scope, receive, altered)


def counters(report: SyncReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in COUNTERS}


def marked(query: Query, table: str) -> int:
    return query(f"SELECT count(*) FROM wtl.{table} WHERE remote_deleted_at IS NOT NULL")[0]


# --- vanish and restore ---------------------------------------------------------------------------------------


def test_a_course_that_vanishes_is_marked_and_keeps_its_id_and_all_that_is_peoples(
    sync: Sync, query: Query
) -> None:
    """Fault 73."""
    platform = Platform.invented(courses=3, lessons=2)
    sync(platform)
    gone = platform.courses.pop(1)
    query("UPDATE wtl.courses SET status = 'inactive', description = 'ours'")
    query(
        "INSERT INTO wtl.course_lessons (course_id, lesson_id, position, required) "
        "SELECT c.id, l.id, 7, true FROM wtl.courses c CROSS JOIN wtl.lessons l"
    )
    kept = "SELECT id, title, status, description FROM wtl.courses WHERE wtl_course_id = :id"
    lessons = "SELECT *, xmin::text FROM wtl.course_lessons ORDER BY 1, 2"
    before, mapping = query(kept, id=gone["id"]), query(lessons)

    (report,) = sync(platform, COURSES)
    assert (report.deleted, report.skipped, report.complete) == (1, 2, True)
    assert query("SELECT wtl_course_id FROM wtl.courses WHERE remote_deleted_at IS NOT NULL") == [gone["id"]]
    assert query("SELECT count(*) FROM wtl.courses_current") == [2]
    assert query(kept, id=gone["id"]) == before
    (again,) = sync(platform, COURSES)
    assert (again.deleted, again.updated, again.skipped) == (0, 0, 2)

    platform.courses.insert(1, {**gone, "name": "Wróciła"})
    (report,) = sync(platform, COURSES)
    assert (report.restored, report.created, report.complete) == (1, 0, True)
    assert query("SELECT count(*) FROM wtl.courses_current") == [3]
    ((id_, _, status, description),) = before
    assert query(kept, id=gone["id"]) == [(id_, "Wróciła", status, description)]
    assert query(lessons) == mapping


@pytest.mark.parametrize("unchanged", [True, False])
def test_a_lesson_that_returns_as_it_was_or_changed_is_the_same_row(
    sync: Sync, query: Query, unchanged: bool
) -> None:
    """Fault 73."""
    platform = Platform.invented(lessons=5)
    sync(platform, LESSON_CATALOG)
    before = query("SELECT id FROM wtl.lessons ORDER BY 1")
    gone = platform.lessons.pop()
    sync(platform, LESSON_CATALOG)
    platform.lessons.append(gone if unchanged else {**gone, "name": "Inna"})
    (report,) = sync(platform, LESSON_CATALOG)
    assert (report.restored, report.deleted) == (1, 0)
    assert query("SELECT id FROM wtl.lessons_current ORDER BY 1") == before


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.stream)
def test_the_keys_of_a_flow_are_of_its_system(sync: Sync, query: Query, flow: Any) -> None:
    sync(Platform.invented(courses=1, lessons=1, users=1), flow)
    assert query("SELECT DISTINCT system || ':' || type FROM sync.external_refs") == [flow.system]


def test_rows_made_here_are_never_marked(sync: Sync, query: Query) -> None:
    """Fault 17."""
    platform = Platform.invented(courses=3, lessons=3)
    sync(platform)
    ours = query(
        "INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('local-1', 'Nasza') RETURNING *, xmin::text"
    )
    platform.lessons.pop()
    sync(platform)
    assert query("SELECT *, xmin::text FROM wtl.lessons WHERE wtl_lesson_id = 'local-1'") == ours
    assert marked(query, "lessons") == 1


def test_a_record_that_is_refused_has_not_vanished(sync: Sync, query: Query) -> None:
    platform = Platform.invented(courses=3)
    sync(platform, COURSES)
    platform.courses[0] = {"id": platform.courses[0]["id"]}
    (report,) = sync(platform, COURSES)
    assert (report.failed, report.deleted) == (1, 0)


@pytest.mark.parametrize("fault", ["fails at once", "fails half way", "does not prove its end"])
def test_a_listing_that_fails_or_is_incomplete_marks_nothing(
    serve: Callable[[Any], str], sync_settings: Callable[..., Settings], query: Query, fault: str
) -> None:
    platform = Platform.invented(courses=1, lessons=120)
    platform.page_cap = 50
    faulty = Faulty(platform)
    runner = Runner(sync_settings(serve(faulty) + "/api/v1"))
    runner.run(LESSON_CATALOG)
    del platform.lessons[:5]
    if fault == "does not prove its end":
        faulty.says_total = False
        report = runner.run(LESSON_CATALOG)
        assert (report.complete, report.deleted) == (False, 0)
        assert report.errors[-1].startswith("incomplete: ")
    else:
        faulty.fails_after = 0 if fault == "fails at once" else 2
        with pytest.raises(UnexpectedAnswer):
            runner.run(LESSON_CATALOG)
    assert marked(query, "lessons") == 0
    faulty.fails_after, faulty.says_total = 10**9, True
    assert runner.run(LESSON_CATALOG).deleted == 5


# --- the guard ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "says"), [(0, "100 of 100"), (70, "30 of 100")])
def test_the_guard_marks_nothing_names_both_numbers_and_one_run_can_be_approved(
    sync: Sync, query: Query, left: int, says: str
) -> None:
    """Fault 72."""
    platform = Platform.invented(users=100)
    sync(platform, USERS)
    del platform.users[left:]
    for _ in range(2):
        with pytest.raises(GuardTripped, match=says) as caught:
            sync(platform, USERS)
        assert not caught.value.transient
        assert (caught.value.report.deleted, caught.value.report.complete) == (0, False)
        assert marked(query, "users") == 0
    (report,) = sync(platform, USERS, allow_mass_vanish=True)
    assert (report.deleted, report.complete) == (100 - left, True)
    assert marked(query, "users") == 100 - left
    (report,) = sync(platform, USERS)
    assert (report.deleted, report.skipped, report.complete) == (0, left, True)


# --- plan -----------------------------------------------------------------------------------------------------


def everything(query: Query) -> dict[str, Any]:
    """Every row of every table with the transaction that wrote it and its place; and what is there at all."""
    names = query(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
        "WHERE schemaname IN ('sync', 'wtl', 'public') ORDER BY 1"
    )
    held: dict[str, Any] = {
        name: query(f"SELECT xmin::text, ctid::text, t::text FROM {name} t ORDER BY 2") for name in names
    }
    objects = "SELECT n.nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace ORDER BY 1, 2"
    return {**held, "objects": query(objects)}


def test_a_plan_changes_nothing_and_says_what_the_run_then_does(
    serve: Callable[[Any], str], sync_settings: Callable[..., Settings], query: Query
) -> None:
    platform = Platform.invented(courses=10, lessons=40, users=30)
    runner = Runner(sync_settings(serve(platform)))
    gone = platform.courses[2]
    for step in ("first", "unchanged", "changed", "returned"):
        if step == "changed":
            platform.courses.remove(gone)
            platform.courses[0]["name"] = "Nowa nazwa"
            platform.lessons.append({"id": "9999", "name": "Nowa"})
            platform.lessons.append({"id": "10000", "name": " "})
            del platform.users[5:9]
        elif step == "returned":
            platform.courses.insert(2, gone)
        before = everything(query)
        planned = [runner.plan(flow) for flow in FLOWS]
        assert everything(query) == before
        done = [runner.run(flow) for flow in FLOWS]
        assert [counters(report) for report in planned] == [counters(report) for report in done], step
    assert [(d.key.key, d.change, dict(d.fields)) for r in done for d in r.differences] == [
        (gone["id"], "restored", {})
    ]


def test_a_plan_shows_old_and_new_values(sync: Sync, sync_settings: Any, serve: Any) -> None:
    platform = Platform(courses=[{"id": str(i), "name": f"Kurs {i}"} for i in range(1, 5)])
    sync(platform, COURSES)
    platform.courses[0]["name"] = "Fizyka"
    del platform.courses[1]
    platform.courses.append({"id": "9", "name": "Chemia"})
    report = Runner(sync_settings(serve(platform))).plan(COURSES)
    assert {(d.key.key, d.change): dict(d.fields) for d in report.differences} == {
        ("1", "updated"): {"title": ("Kurs 1", "Fizyka")},
        ("2", "vanished"): {},
        ("9", "created"): {"wtl_course_id": (None, "9"), "title": (None, "Chemia")},
    }


def test_a_plan_trips_the_guard_as_the_run_would(sync: Sync, sync_settings: Any, serve: Any) -> None:
    platform = Platform.invented(users=100)
    sync(platform, USERS)
    del platform.users[70:]
    with pytest.raises(GuardTripped, match="30 of 100"):
        Runner(sync_settings(serve(platform))).plan(USERS)


def test_a_plan_does_not_migrate(
    serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch, create_database: Callable[..., str]
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", create_database(empty=True))
    monkeypatch.setenv("WTL_API_URL", serve(Platform()))
    monkeypatch.setenv("WTL_API_TOKEN", "sandbox-token")
    for _ in range(2):
        with pytest.raises(SchemaError, match="sync-pipelines db upgrade"):
            Runner(Settings.load()).plan(COURSES)


def test_a_plan_waits_for_nobody(sync_settings: Any, serve: Any, session: Any) -> None:
    assert session.try_lock("sync-pipelines sync wtl/courses")
    assert Runner(sync_settings(serve(Platform.invented(courses=2)))).plan(COURSES).created == 2


def test_a_plan_refuses_another_platform_as_the_run_does(
    sync: Sync, sync_settings: Any, serve: Any, query: Query
) -> None:
    platform = Platform.invented(courses=1)
    sync(platform, COURSES)
    query("UPDATE sync.streams SET origin = 'school.elms.pl'")
    with pytest.raises(OriginChanged, match=r"school\.elms\.pl.*localhost"):
        Runner(sync_settings(serve(platform))).plan(COURSES)


def test_a_flow_that_waits_for_one_that_would_fail_is_not_planned(sync_settings: Any, serve: Any) -> None:
    planned = Runner(sync_settings(serve(Platform()), token="hunter22")).plan_all(FLOWS)
    assert not planned.success
    assert planned.not_run == {"wtl/lesson_catalog"}
    assert [report.requests for report in planned.reports] == [1, 0, 1]
