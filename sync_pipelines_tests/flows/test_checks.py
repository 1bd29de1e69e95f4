"""After runs that all went well nothing is wrong; what is then broken by hand is found, where it is, and told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.core import SyncReport
from sync_pipelines.errors import DatabaseUnavailable, SyncError
from sync_pipelines.flows.bakalari import ROSTERS
from sync_pipelines.flows.checks import CHECKS, Verdict, checks_of, examine
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.registry import UPSTREAMS
from sync_pipelines.flows.webtolearn import COURSE_USERS
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

Query = Callable[..., list[Any]]


def everything() -> dict[tuple[str, str], Verdict]:
    """All verdicts, of all upstreams."""
    settings = Settings.load()
    return {
        (verdict.stream, verdict.check): verdict
        for upstream in UPSTREAMS
        for verdict in examine(settings, upstream, checks_of(upstream))
    }


def failed() -> set[tuple[str, str]]:
    return {asked for asked, verdict in everything().items() if not verdict.passed}


@pytest.fixture
def platform(sync: Callable[..., list[SyncReport]]) -> Platform:
    """A platform whose lists and grants are synced."""
    platform = Platform.invented(courses=4, lessons=9, users=20)
    assert all(report.complete for report in sync(platform))
    runner = PartitionRunner(Settings.load())
    assert all(done.bad is None for done in runner.run(COURSE_USERS, runner.stalest_first(COURSE_USERS)))
    return platform


@pytest.fixture
def school(set_up_schools: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> School:
    """A school that is synced."""
    school = School.invented("skola", classes=2, students=9, teachers=3)
    for name, value in set_up_schools(school).items():
        monkeypatch.setenv(name, value)
    assert all(done.bad is None for done in PartitionRunner(Settings.load()).run(ROSTERS, ["skola"]))
    return school


def test_a_check_has_one_name_wherever_it_makes_sense() -> None:
    asked = [*checks_of("wtl"), *checks_of("bakalari")]
    assert len(set(asked)) == len(asked)
    by_name = {name: {stream for stream, check in asked if check == name} for name in CHECKS}
    tables = {
        *("wtl/courses", "wtl/lesson_catalog", "wtl/users", "wtl/lessons", "wtl/course_users"),
        *("bakalari/schools", "bakalari/classes", "bakalari/subjects", "bakalari/users", "bakalari/enrollments"),
    }
    assert by_name["duplicates"] == by_name["counts"] == by_name["rejects_open"] == tables
    refer_to_nothing = {"wtl/courses", "wtl/lesson_catalog", "wtl/users", "bakalari/schools"}
    assert by_name["orphans"] == tables - refer_to_nothing


def test_in_a_database_without_tables_nothing_is_wrong(
    create_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", create_database(empty=True))
    assert failed() == set()


def test_after_runs_that_went_well_nothing_is_wrong(platform: Platform, school: School) -> None:
    verdicts = everything()
    assert {asked for asked, verdict in verdicts.items() if not verdict.passed} == set()
    assert verdicts["wtl/users", "counts"].counts == {"expected": 20, "found": 20}
    assert verdicts["wtl/course_users", "counts"].counts["expected"] > 0
    assert verdicts["bakalari/enrollments", "orphans"].said.startswith("all ")


def test_only_what_is_asked_is_answered(platform: Platform) -> None:
    (verdict,) = examine(Settings.load(), "wtl", {("wtl/users", "counts")})
    assert (verdict.stream, verdict.check) == ("wtl/users", "counts")


@pytest.mark.parametrize("table", ["classes", "subjects", "users"])
def test_an_enrollment_without_its_class_subject_or_user_is_an_orphan(
    school: School, query: Query, table: str
) -> None:
    query(f"UPDATE bakalari.{table} SET remote_deleted_at = now()")
    orphans = everything()["bakalari/enrollments", "orphans"]
    (living,) = query("SELECT count(*) FROM bakalari.enrollments WHERE remote_deleted_at IS NULL")
    assert not orphans.passed
    assert orphans.counts["orphans"] == living == sum(n for name, n in orphans.counts.items() if "." in name)
    column = {"classes": "class_id", "subjects": "subject_id", "users": "user_id"}[table]
    assert {row["by"] for row in orphans.rows} == {column}
    assert {row["which is"] for row in orphans.rows} == {"vanished"}
    assert all(str(row["row"]).startswith("bakalari:skola:enrollment [") for row in orphans.rows)


def test_a_student_in_a_vanished_class_is_an_orphan(school: School, query: Query) -> None:
    query("UPDATE bakalari.classes SET remote_deleted_at = now()")
    orphans = everything()["bakalari/users", "orphans"]
    assert orphans.counts["bakalari.users.class_id"] == len(school.pupils)


@pytest.mark.parametrize(("table", "column"), [("courses", "course_id"), ("lessons", "lesson_id")])
def test_peoples_mapping_to_what_vanished_is_told_by_both_its_sides(
    platform: Platform, query: Query, table: str, column: str
) -> None:
    query(
        "INSERT INTO wtl.course_lessons (course_id, lesson_id, position) "
        "SELECT c.id, l.id, 1 FROM wtl.courses c CROSS JOIN wtl.lessons l"
    )
    (gone,) = query(f"SELECT id FROM wtl.{table} ORDER BY 1 LIMIT 1")
    query(f"UPDATE wtl.{table} SET remote_deleted_at = now() WHERE id = :id", id=gone)
    orphans = everything()["wtl/lessons", "orphans"]
    (mapped,) = query(f"SELECT count(*) FROM wtl.course_lessons WHERE {column} = :id", id=gone)
    assert orphans.counts[f"wtl.course_lessons.{column}"] == orphans.counts["orphans"] == mapped
    first = orphans.rows[0]
    assert str(first["row"]).startswith("wtl:course ")
    assert " / wtl:lesson " in str(first["row"])


def test_a_grant_to_a_vanished_course_is_gone_with_it_and_no_orphan(platform: Platform, query: Query) -> None:
    query("UPDATE wtl.courses SET remote_deleted_at = now()")
    assert ("wtl/course_users", "orphans") not in failed()


def test_a_grant_of_a_vanished_user_is_an_orphan(platform: Platform, query: Query) -> None:
    query("UPDATE wtl.users SET remote_deleted_at = now()")
    assert ("wtl/course_users", "orphans") in failed()


def test_a_row_that_somebody_deleted_or_marked_is_missed(platform: Platform, query: Query) -> None:
    (deleted,) = query(
        "DELETE FROM wtl.users WHERE id = (SELECT min(id::text)::uuid FROM wtl.users) RETURNING wtl_user_id"
    )
    (marked,) = query(
        "UPDATE wtl.users SET remote_deleted_at = now() WHERE id = (SELECT max(id::text)::uuid FROM wtl.users) "
        "RETURNING wtl_user_id"
    )
    counts = everything()["wtl/users", "counts"]
    assert (counts.passed, counts.counts) == (False, {"expected": 20, "found": 18})
    assert {row["record"]: row["here it"] for row in counts.rows} == {
        f"wtl:user {deleted}": "has no row",
        f"wtl:user {marked}": "is marked as vanished",
    }


def test_the_next_run_makes_a_row_again_that_somebody_deleted_and_one_that_was_marked_is_told_on(
    platform: Platform, sync: Callable[..., list[SyncReport]], query: Query
) -> None:
    query("DELETE FROM wtl.users WHERE wtl_user_id = (SELECT min(wtl_user_id) FROM wtl.users)")
    query("UPDATE wtl.courses SET remote_deleted_at = now()")
    assert {("wtl/users", "counts"), ("wtl/courses", "counts")} <= failed()
    sync(platform)
    assert ("wtl/users", "counts") not in failed()
    assert ("wtl/courses", "counts") in failed()


def test_two_keys_of_one_row_are_found(platform: Platform, query: Query) -> None:
    query(
        "UPDATE sync.external_refs SET internal_id = (SELECT min(id::text)::uuid FROM wtl.lessons) "
        "WHERE type = 'lesson'"
    )
    duplicates = everything()["wtl/lesson_catalog", "duplicates"]
    assert duplicates.counts == {"natural_keys_shared": 0, "rows_with_several_keys": 1}
    assert duplicates.rows[0]["times"] == 9


def test_open_rejects_are_counted_and_their_contents_are_not_shown(
    sync: Callable[..., list[SyncReport]],
) -> None:
    platform = Platform.invented(courses=4, lessons=9, users=20)
    platform.users[0]["email"] = "secret of anna@example.com"
    del platform.users[1]["email"]
    sync(platform)
    rejects = everything()["wtl/users", "rejects_open"]
    assert (rejects.passed, rejects.counts["open"] >= 1) == (False, True)
    assert all(row["system"] == "wtl:user" for row in rejects.rows)
    assert "anna" not in str(rejects)


def test_another_applications_tables_are_checked_where_the_settings_put_the_rows(
    sync: Callable[..., list[SyncReport]], query: Query, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    query(
        "CREATE TABLE public.trainings "
        "(ref text PRIMARY KEY DEFAULT gen_random_uuid(), number text UNIQUE, name text)"
    )
    query(
        "CREATE TABLE public.people "
        "(id uuid PRIMARY KEY DEFAULT gen_random_uuid(), wtl_user_id text UNIQUE, email text)"
    )
    query("CREATE TABLE public.access (id uuid DEFAULT gen_random_uuid(), training text, person uuid, "
          "UNIQUE (training, person))")  # fmt: skip
    (tmp_path / "tables.toml").write_text(_ELSEWHERE)
    monkeypatch.setenv("SYNC_TABLES_FILE", str(tmp_path / "tables.toml"))
    sync(Platform.invented(courses=4, lessons=9, users=20))
    runner = PartitionRunner(Settings.load())
    assert all(done.bad is None for done in runner.run(COURSE_USERS, runner.stalest_first(COURSE_USERS)))
    assert failed() == set()
    (ref,) = query("SELECT training FROM public.access LIMIT 1")
    (count,) = query("SELECT count(*) FROM public.access WHERE training = :ref", ref=ref)
    query("DELETE FROM public.trainings WHERE ref = :ref", ref=ref)
    query("ALTER TABLE public.people DROP CONSTRAINT people_wtl_user_id_key")
    query("INSERT INTO public.people (wtl_user_id, email) SELECT wtl_user_id, email FROM public.people LIMIT 1")
    verdicts = everything()
    assert verdicts["wtl/course_users", "orphans"].counts == {
        "orphans": count, "public.access.training": count, "public.access.person": 0
    }  # fmt: skip
    assert verdicts["wtl/course_users", "orphans"].rows[0]["which is"] == "missing"
    assert verdicts["wtl/users", "duplicates"].counts["natural_keys_shared"] == 1
    assert verdicts["wtl/courses", "counts"].counts == {"expected": 4, "found": 3}
    assert "@" not in str([verdict.rows for verdict in verdicts.values()])


_ELSEWHERE = """
["wtl/courses"]
table = "public.trainings"
natural_key = ["wtl_course_id"]
owned = ["title"]
id = "ref"
vanished_at = ""
synced_at = ""
written_at = ""
columns.wtl_course_id = "number"
columns.title = "name"

["wtl/users"]
table = "public.people"
natural_key = ["wtl_user_id"]
owned = ["email"]
vanished_at = ""
synced_at = ""
written_at = ""

["wtl/course_users"]
table = "public.access"
natural_key = ["course_id", "user_id"]
owned = []
vanished_at = ""
synced_at = ""
written_at = ""
columns.course_id = "training"
columns.user_id = "person"
"""


def test_a_database_that_does_not_answer_is_an_error_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter22@127.0.0.1:1/d")
    with pytest.raises(DatabaseUnavailable, match=r"cannot connect to 127\.0\.0\.1:1/d"):
        everything()


def test_a_table_that_is_not_there_is_an_error_that_names_it(
    sync_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tables.toml").write_text(_ELSEWHERE)
    sync_settings("http://127.0.0.1:1/api/v1")
    monkeypatch.setenv("SYNC_TABLES_FILE", str(tmp_path / "tables.toml"))
    with pytest.raises(SyncError, match=r"public\.trainings"):
        everything()
