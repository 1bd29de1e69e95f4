"""WebToLearn's whole lists from a real server into a real PostgreSQL."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core import SyncReport
from sync_pipelines.errors import (
    AccessRefused,
    DatabaseError,
    DatabaseUnavailable,
    OriginChanged,
    SourceUnavailable,
    SyncError,
)
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.webtolearn import COURSES, LESSON_CATALOG, USERS
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

Query = Callable[..., list[Any]]
SIZES = [0, 1, 999, 1000, 1001, 1002, 2503]


def courses(*rows: dict[str, Any]) -> Platform:
    return Platform(courses=list(rows))


def listed(platform: Platform) -> dict[str, set[tuple[str, str]]]:
    return {
        "courses": {(row["id"], row["name"]) for row in platform.courses},
        "lessons": {(row["id"], row["name"]) for row in platform.lessons},
        "users": {(row["id"], row["email"]) for row in platform.users},
    }


def held(query: Query) -> dict[str, set[tuple[str, str]]]:
    return {
        "courses": set(query("SELECT wtl_course_id, title FROM wtl.courses_current")),
        "lessons": set(query("SELECT wtl_lesson_id, title FROM wtl.lessons_current")),
        "users": set(query("SELECT wtl_user_id, email FROM wtl.users_current")),
    }


@pytest.mark.parametrize("cap", [None, 50])
@pytest.mark.parametrize("size", SIZES)
def test_tables_equal_the_platforms_lists_and_stay_so(
    sync: Callable[..., list[SyncReport]], query: Query, size: int, cap: int | None
) -> None:
    platform = Platform.invented(courses=size, lessons=size, users=size)
    platform.page_cap = cap
    first = sync(platform)
    assert [(r.fetched, r.created, r.complete) for r in first] == [(size, size, True)] * 3
    assert held(query) == listed(platform)
    again = sync(platform)
    assert [(r.skipped, r.created, r.updated, r.complete) for r in again] == [(size, 0, 0, True)] * 3
    assert held(query) == listed(platform)


def test_an_unchanged_sync_writes_no_row(sync: Callable[..., list[SyncReport]], query: Query) -> None:
    platform = Platform.invented(courses=50, lessons=500, users=300)
    sync(platform)
    rows = "SELECT xmin::text, ctid::text FROM {} ORDER BY 2"
    watched = ("wtl.courses", "wtl.lessons", "wtl.users", "sync.external_refs")
    before = [query(rows.format(table)) for table in watched]
    sync(platform)
    assert [query(rows.format(table)) for table in watched] == before


def test_a_renamed_course_keeps_its_id_and_what_people_did_to_it(
    sync: Callable[..., list[SyncReport]], query: Query
) -> None:
    platform = courses({"id": "7", "name": "Fizyka"})
    sync(platform, COURSES)
    before = query("UPDATE wtl.courses SET status = 'inactive', description = 'ours' RETURNING id")
    platform.courses[0]["name"] = "Fizyka kwantowa"
    (report,) = sync(platform, COURSES)
    assert (report.updated, report.skipped) == (1, 0)
    assert query("SELECT id, title, status, description FROM wtl.courses") == [
        (*before, "Fizyka kwantowa", "inactive", "ours")
    ]


def test_the_local_mapping_of_lessons_is_never_written(
    sync: Callable[..., list[SyncReport]], query: Query
) -> None:
    platform = Platform.invented(courses=3, lessons=30)
    sync(platform)
    query(
        "INSERT INTO wtl.course_lessons (course_id, lesson_id, position, required) "
        "SELECT c.id, l.id, 1, true FROM wtl.courses c CROSS JOIN wtl.lessons l"
    )
    before = query("SELECT *, xmin::text FROM wtl.course_lessons ORDER BY 1, 2")
    platform.lessons = [{**row, "name": row["name"] + " (nowa)"} for row in platform.lessons[10:]]
    platform.courses.clear()
    sync(platform, allow_mass_vanish=True)
    assert len(before) == 90
    assert query("SELECT *, xmin::text FROM wtl.course_lessons ORDER BY 1, 2") == before


def test_a_lesson_made_here_is_invisible_to_the_sync(sync: Callable[..., list[SyncReport]], query: Query) -> None:
    """Fault 17."""
    platform = Platform.invented(lessons=5)
    sync(platform)
    ours = query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('local-99', 'Nasza') RETURNING *")
    sync(platform)
    assert query("SELECT * FROM wtl.lessons WHERE wtl_lesson_id = 'local-99'") == ours


@pytest.mark.parametrize(
    ("row", "stage", "says"),
    [
        ({"id": "2"}, "source", "title is missing"),
        ({"id": "2", "name": None}, "source", "title is missing"),
        ({"id": "2", "name": 7}, "source", "title is not text"),
        ({"id": "2", "name": " \t"}, "mapping", "title is blank"),
        ({"id": "2", "name": "x" * 501}, "target", "501 characters"),
        ({"id": "2", "name": "a\x00b"}, "target", "NUL"),
        ({"id": "2", "name": "a\ud800b"}, "target", "surrogate"),
        ({"id": "2", "name": "x", "title": "y"}, "source", "disagree"),
    ],
)
def test_a_bad_row_is_kept_with_its_reason_and_the_others_arrive(
    sync: Callable[..., list[SyncReport]], query: Query, row: dict[str, Any], stage: str, says: str
) -> None:
    platform = courses({"id": "1", "name": "Fizyka"}, row, {"id": "3", "name": "Chemia"})
    (report,) = sync(platform, COURSES)
    assert (report.created, report.failed, report.complete) == (2, 1, True)
    ((kept_stage, error, external_id),) = query("SELECT stage, error, external_id FROM sync.rejects")
    assert (kept_stage, external_id) == (stage, "2")
    assert says in error
    assert says in report.errors[0]
    platform.courses[1] = {"id": "2", "name": "Biologia"}
    (report,) = sync(platform, COURSES)
    assert (report.created, report.skipped, report.failed) == (1, 2, 0)
    assert query("SELECT count(*) FROM sync.rejects WHERE resolved_at IS NULL") == [0]


def test_a_platform_that_sends_an_order_sets_it_once(sync: Callable[..., list[SyncReport]], query: Query) -> None:
    platform = Platform(lessons=[{"id": "1", "name": "A", "position": 4}, {"id": "2", "name": "B"}])
    sync(platform, LESSON_CATALOG)
    order = "SELECT wtl_lesson_id, order_number FROM wtl.lessons ORDER BY 1"
    assert query(order) == [("1", 4), ("2", None)]
    query("UPDATE wtl.lessons SET order_number = 9")
    platform.lessons[0] |= {"position": 5, "name": "A2"}
    sync(platform, LESSON_CATALOG)
    assert query(order) == [("1", 9), ("2", 9)]


def test_a_user_with_a_new_address_is_the_same_user(sync: Callable[..., list[SyncReport]], query: Query) -> None:
    """Fault 27."""
    platform = Platform(users=[{"id": "1", "email": "Anna@szkola.example"}])
    sync(platform, USERS)
    before = query("SELECT id FROM wtl.users")
    platform.users[0]["email"] = "anna.nowak@szkola.example"
    sync(platform, USERS)
    assert query("SELECT id, email FROM wtl.users") == [(*before, "anna.nowak@szkola.example")]


def test_the_report_counts_what_the_network_cost(sync: Callable[..., list[SyncReport]]) -> None:
    reports = sync(Platform.invented(courses=10, lessons=1500, users=0))
    assert [report.requests for report in reports] == [2, 3, 1]


def test_no_error_or_report_holds_a_person(sync: Callable[..., list[SyncReport]], query: Query) -> None:
    """Fault 77."""
    platform = Platform(
        users=[{"id": "1", "email": "anna.nowak@szkola.example" * 20}, {"id": "x", "email": "jan@a.pl"}]
    )
    (report,) = sync(platform, USERS)
    assert report.failed == 2
    said = (
        f"{report} {query('SELECT error FROM sync.rejects')} {query('SELECT last_report::text FROM sync.streams')}"
    )
    assert "nowak" not in said
    assert "jan@" not in said


def test_a_refused_token_ends_the_run_and_touches_nothing(
    serve: Callable[[Any], str], sync_settings: Callable[..., Settings], query: Query
) -> None:
    url = serve(Platform.invented())
    Runner(sync_settings(url)).run(COURSES)
    before = held(query)
    with pytest.raises(AccessRefused) as caught:
        Runner(sync_settings(url, token="hunter22")).run(COURSES)
    assert held(query) == before
    assert caught.value.report.requests == 1
    assert query("SELECT last_report->'errors'->>0 FROM sync.streams") == [str(caught.value)]


def test_an_unreachable_platform_is_a_transient_failure(sync_settings: Callable[..., Settings]) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        Runner(sync_settings("http://127.0.0.1:1/api/v1")).run(COURSES)
    assert caught.value.transient


def test_a_flow_brings_an_empty_database_up_to_date_first(
    serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch, create_database: Callable[..., str]
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", create_database(empty=True))
    monkeypatch.setenv("WTL_API_URL", serve(Platform.invented(courses=3)))
    monkeypatch.setenv("WTL_API_TOKEN", "sandbox-token")
    assert Runner(Settings.load()).run(COURSES).created == 3


def test_another_platform_is_not_read_into_the_tables_of_the_first(
    serve: Callable[[Any], str], sync_settings: Callable[..., Settings], query: Query
) -> None:
    """Both number their courses from 1: every course would be renamed."""
    Runner(sync_settings(serve(courses({"id": "1", "name": "Fizyka"})))).run(COURSES)
    query("UPDATE sync.streams SET origin = 'school.elms.pl'")
    other = Runner(sync_settings(serve(courses({"id": "1", "name": "Kurs demonstracyjny"}))))
    with pytest.raises(OriginChanged, match=r"school\.elms\.pl.*localhost"):
        other.run(COURSES)
    assert query("SELECT title FROM wtl.courses") == ["Fizyka"]
    query("UPDATE sync.streams SET origin = NULL")
    assert other.run(COURSES).updated == 1


def test_a_database_that_goes_away_half_way_is_a_transient_failure_that_the_next_run_mends(
    serve: Callable[[Any], str], sync_settings: Callable[..., Settings], query: Query
) -> None:
    """Fault 67."""

    class Saboteur:
        def reading(self, stream: str, rows: int, total: int | None) -> None: ...

        def writing(self, report: SyncReport) -> None:
            if report.created == 10_000:
                query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'sync-pipelines wtl/lesson_catalog'"
                )

    platform = Platform.invented(lessons=12_500)
    settings = sync_settings(serve(platform))
    with pytest.raises(DatabaseUnavailable) as caught:
        Runner(settings, Saboteur()).run(LESSON_CATALOG)
    assert (caught.value.report.created, caught.value.report.complete) == (10_000, False)
    assert query("SELECT count(*) FROM wtl.lessons") == [10_000]
    report = Runner(settings).run(LESSON_CATALOG)
    assert (report.created, report.skipped, report.complete) == (2500, 10_000, True)


def test_a_statement_the_database_refuses_ends_the_run_without_quoting_a_row(
    serve: Callable[[Any], str], sync_settings: Callable[..., Settings], query: Query
) -> None:
    query("ALTER TABLE wtl.users DROP COLUMN last_sync_at CASCADE")
    runner = Runner(sync_settings(serve(Platform(users=[{"id": "1", "email": "anna.nowak@szkola.example"}]))))
    with pytest.raises(DatabaseError, match="last_sync_at") as caught:
        runner.run(USERS)
    assert "nowak" not in "".join(traceback.format_exception(caught.value))
    assert query("SELECT count(*) FROM sync.external_refs") == [0]


def test_without_a_database_the_setting_is_named() -> None:
    with pytest.raises(SyncError, match="SYNC_DATABASE_URL"):
        Runner(Settings.load()).run(COURSES)
