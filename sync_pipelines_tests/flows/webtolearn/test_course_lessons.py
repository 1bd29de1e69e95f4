"""The lessons of a course: taken where the platform is proven to show them, and nowhere else."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sync_pipelines.errors import NotFound, SourceUnavailable, SyncError, UnexpectedAnswer
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.partitions import PartitionDone
from sync_pipelines.flows.webtolearn import COURSE_LESSONS, LESSON_CATALOG
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.flows.webtolearn.school import School

WAYS = ("path", "filter", "query")


@pytest.fixture
def listed(school: School) -> School:
    """A school whose lists are synced."""
    school.open(Platform.invented(courses=6, lessons=40, users=6))
    school.lists()
    return school


def read(school: School, *courses: str, **options: bool) -> dict[str, PartitionDone]:
    return school.courses(*courses, flow=COURSE_LESSONS, **options)


def placed(platform: Platform) -> dict[tuple[str, str], int]:
    """What wtl.remote_course_lessons must show."""
    return {
        (course, lesson): place
        for course, lessons in platform.course_lessons.items()
        for place, lesson in enumerate(lessons, 1)
    }


def untouched(school: School, done: dict[str, PartitionDone], *, complete: bool, said: str) -> None:
    """No course has anything new, and each says why."""
    for one in done.values():
        assert one.error is None
        assert (one.report.fetched, one.report.deleted, one.report.complete) == (0, 0, complete)
        assert said in str(one.report.facts["course_lessons"])


# --- whether it is shown ----------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", ["none", "filter"])
def test_where_filters_are_ignored_no_lesson_is_attributed_to_a_course(listed: School, relation: str) -> None:
    """Fault 11."""
    listed.platform.relation, listed.platform.filters = relation, "ignored"
    before = listed.everything()
    untouched(listed, read(listed), complete=True, said="a course that cannot be has 40 lessons")
    assert listed.everything() == before
    assert listed.places() == {}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_shown_stays_where_it_is_no_longer(listed: School, way: str) -> None:
    """Fault 11."""
    listed.platform.relation = way
    read(listed)
    before = listed.everything()
    listed.platform.relation, listed.platform.filters = "none", "ignored"
    for lessons in listed.platform.course_lessons.values():
        lessons.reverse()
    untouched(listed, read(listed), complete=True, said="not available")
    assert listed.everything() == before
    listed.platform.relation, listed.platform.filters = way, "honoured"
    listed.mends()
    assert listed.places() == placed(listed.platform)


@pytest.mark.parametrize("cap", [None, 3])
@pytest.mark.parametrize("way", WAYS)
def test_where_it_is_shown_the_table_equals_it_with_its_places(listed: School, way: str, cap: int | None) -> None:
    listed.platform.relation, listed.platform.page_cap = way, cap
    done = read(listed)
    assert all(one.report.complete and one.error is None for one in done.values())
    assert all(str(one.report.facts["course_lessons"]).startswith(f"shown by {way}") for one in done.values())
    assert listed.places() == placed(listed.platform)
    listed.life_goes_on()
    listed.mends()
    assert listed.places() == placed(listed.platform)


def test_a_run_of_some_courses_says_nothing_of_the_others(listed: School) -> None:
    listed.platform.relation = "path"
    read(listed)
    before = listed.places()
    for lessons in listed.platform.course_lessons.values():
        lessons.reverse()
        lessons.pop()
    one, two, *_ = listed.ids("courses")
    read(listed, one, two)
    wanted = {pair: place for pair, place in placed(listed.platform).items() if pair[0] in (one, two)}
    others = {pair: place for pair, place in before.items() if pair[0] not in (one, two)}
    assert listed.places() == wanted | others


def test_a_filter_that_shows_every_course_all_lessons_is_not_believed(listed: School) -> None:
    """Fault 11: the course that cannot be has none, and every other one has all."""
    for course in listed.ids("courses"):
        listed.platform.course_lessons[course] = listed.ids("lessons")
    listed.platform.relation = "filter"
    untouched(listed, read(listed), complete=True, said="filter not proven")
    assert listed.places() == {}


def test_a_course_that_shows_all_lessons_is_not_believed_and_fails_alone(listed: School) -> None:
    """Fault 11."""
    listed.platform.relation = "path"
    read(listed)
    before = listed.places()
    bad = listed.ids("courses")[-1]
    listed.platform.course_lessons[bad] = listed.ids("lessons")
    done = read(listed)
    assert type(done[bad].error) is UnexpectedAnswer
    assert "every lesson of the platform" in str(done[bad].error)
    assert all(one.report.complete for course, one in done.items() if course != bad)
    assert listed.places() == before


@pytest.mark.parametrize(
    "fault", ["server-error", "bad-gateway", "reset", "cut-json", "login-page", "null", "object"]
)
def test_a_probe_that_cannot_be_judged_changes_nothing_and_proves_nothing(listed: School, fault: str) -> None:
    listed.platform.relation = "path"
    read(listed)
    for lessons in listed.platform.course_lessons.values():
        lessons.reverse()
    before = listed.everything()
    listed.platform.switch_on(fault, path="*/lesson/list")
    done = read(listed)
    untouched(listed, done, complete=False, said="not clear")
    assert all("not clear" in one.report.errors[-1] for one in done.values())
    assert listed.everything() == before
    listed.mends()
    assert listed.places() == placed(listed.platform)


def test_a_probe_that_is_never_answered_changes_nothing(listed: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 38."""
    monkeypatch.setattr("sync_pipelines.clients.webtolearn.client._PROBE_SECONDS", 0.1)
    listed.platform.relation = "path"
    before = listed.everything()
    listed.platform.switch_on("hang", path="*/lesson/list")
    untouched(listed, read(listed), complete=False, said="no answer (SourceUnavailable)")
    assert listed.everything() == before


# --- one course -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"), [("not-found", NotFound), ("null", UnexpectedAnswer), ("server-error", SourceUnavailable)]
)
def test_a_course_whose_lessons_cannot_be_read_fails_alone(
    listed: School, fault: str, error: type[SyncError]
) -> None:
    listed.platform.relation = "path"
    read(listed)
    before = listed.places()
    for lessons in listed.platform.course_lessons.values():
        lessons.reverse()
    bad = listed.ids("courses")[-1]
    listed.platform.switch_on(fault, path=f"/training/{bad}/lesson/list")
    done = read(listed)
    assert {course for course, one in done.items() if one.error} == {bad}
    assert type(done[bad].error) is error
    assert listed.places() == {
        pair: before[pair] if pair[0] == bad else place for pair, place in placed(listed.platform).items()
    }
    listed.mends()
    assert listed.places() == placed(listed.platform)


def test_a_lesson_taken_out_of_a_course_is_marked_there_and_comes_back_as_the_same_row(listed: School) -> None:
    """Fault 73."""
    listed.platform.relation = "path"
    read(listed)
    rows = "SELECT id, course_id, lesson_id FROM wtl.remote_course_lessons ORDER BY id"
    ids, before, lessons = listed.query(rows), listed.places(), listed.everything()["wtl.lessons"]
    course, moved = listed.ids("courses")[0], listed.platform.course_lessons
    gone = moved[course].pop(0)
    done = read(listed)
    assert (done[course].report.deleted, sum(one.report.deleted for one in done.values())) == (1, 1)
    assert (course, gone) not in listed.places()
    assert listed.places() == placed(listed.platform)
    assert listed.query(rows) == ids
    assert listed.everything()["wtl.lessons"] == lessons
    moved[course].insert(0, gone)
    assert read(listed)[course].report.restored == 1
    assert (listed.places(), listed.query(rows)) == (before, ids)


def test_a_lesson_moved_to_another_course_is_in_that_one_alone(listed: School) -> None:
    listed.platform.relation = "query"
    read(listed)
    one, two, *_ = listed.ids("courses")
    lesson = listed.platform.course_lessons[one].pop()
    listed.platform.course_lessons[two].insert(0, lesson)
    assert all(done.report.complete for done in read(listed).values())
    assert listed.places() == placed(listed.platform)
    assert listed.marked() == set()


def test_a_course_emptied_of_lessons_is_not_believed_until_one_run_is_approved(listed: School) -> None:
    """Fault 12."""
    listed.platform.relation = "path"
    read(listed)
    before, course = listed.places(), listed.ids("courses")[1]
    listed.platform.course_lessons[course] = []
    assert read(listed)[course].guarded
    assert listed.places() == before
    assert read(listed, allow_mass_vanish=True)[course].report.deleted > 0
    assert listed.places() == placed(listed.platform)


def test_a_course_emptied_of_lessons_can_be_approved_alone(listed: School) -> None:
    """Fault 12."""
    listed.platform.relation = "path"
    read(listed)
    course = listed.ids("courses")[1]
    listed.platform.course_lessons[course] = []
    assert read(listed, course, allow_mass_vanish=True)[course].report.deleted > 0


def test_a_new_lesson_is_taken_from_its_course_and_then_known_to_the_catalog(listed: School) -> None:
    platform, course = listed.platform, listed.ids("courses")[0]
    platform.relation = "path"
    platform.put("lessons", "7000", {"id": "7000", "name": "Nowa"})
    platform.course_lessons[course].insert(0, "7000")
    read(listed)
    assert listed.places() == placed(platform)
    assert listed.query("SELECT title, order_number FROM wtl.lessons WHERE wtl_lesson_id = '7000'") == [
        ("Nowa", 1)
    ]
    report = listed.run(LESSON_CATALOG)
    assert (report.skipped, report.created, report.updated) == (41, 0, 0)


def test_a_courses_list_brings_a_new_title_and_marks_no_lesson_anywhere(listed: School) -> None:
    platform = listed.platform
    platform.relation = "path"
    read(listed)
    course, first = next((c, lessons[0]) for c, lessons in platform.course_lessons.items() if lessons)
    platform.put("lessons", first, {"id": first, "name": "Nowy tytuł"})
    platform.remove("lessons", platform.course_lessons[course][-1])
    assert read(listed, course)[course].report.updated == 1
    assert listed.held()["lessons"][first] == "Nowy tytuł"
    assert listed.marked("lessons") == set()


def test_a_lesson_is_not_bound_while_the_catalog_is_read(listed: School) -> None:
    """It would be missing from what the catalog read before, and be marked as vanished."""
    platform = listed.platform
    platform.relation = "path"
    platform.put("lessons", "4711", {"id": "4711", "name": "Nowa"})
    platform.course_lessons["1"].append("4711")
    before = listed.query("SELECT count(*) FROM sync.external_refs")
    waiting = (
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with ThreadPoolExecutor(1) as pool:
        catalog = open_database(listed.settings).session()
        with catalog as session, PostgresStateStore(session).exclusive(LESSON_CATALOG.stream):
            reading = pool.submit(read, listed, "1")
            while not listed.query(waiting):
                assert not reading.done()
            assert listed.query("SELECT count(*) FROM sync.external_refs") == before
        assert reading.result()["1"].report.complete
    assert ("1", "4711") in listed.places()
    assert listed.run(LESSON_CATALOG).deleted == 0


@pytest.mark.parametrize("fault", ["missing-title", "null-rows", "odd-ids", "disagreeing-aliases"])
def test_a_lesson_that_cannot_be_read_has_a_place_all_the_same(listed: School, fault: str) -> None:
    """Faults 13, 43 and 44."""
    listed.platform.relation = "path"
    read(listed)
    before = listed.places()
    for lessons in listed.platform.course_lessons.values():
        if len(lessons) > 1:
            lessons.pop()
    listed.platform.switch_on(fault, path="/training/*/lesson/list")
    done = read(listed)
    assert all(one.error is None and one.report.deleted == 0 for one in done.values())
    assert listed.places() == before
    listed.mends()
    assert listed.places() == placed(listed.platform)


def test_an_order_that_people_gave_is_not_the_platforms_to_change(listed: School) -> None:
    listed.platform.relation = "path"
    listed.query("UPDATE wtl.lessons SET order_number = 77, content = 'nasza', status = 'inactive'")
    own = "SELECT id, order_number, content, status FROM wtl.lessons ORDER BY id"
    before = listed.query(own)
    read(listed)
    for lessons in listed.platform.course_lessons.values():
        lessons.reverse()
    for row in listed.platform.lessons:
        row["name"] += " (nowa)"
    read(listed)
    assert listed.query(own) == before
    assert listed.places() == placed(listed.platform)


def test_the_platform_is_asked_how_it_shows_lessons_once_a_run(listed: School) -> None:
    queries: list[Any] = []
    listed.before = queries.append
    listed.platform.relation = "filter"
    read(listed)
    impossible = [query for query in queries if json.dumps("-1") in query]
    assert len(impossible) == 1
