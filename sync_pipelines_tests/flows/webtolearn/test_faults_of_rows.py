"""Rows as no row should be: each fails alone, is kept whole, costs no other row anything. The numbers are those
of contracts/faults.md."""

import json
import unicodedata
from typing import Any

import pytest

from sync_pipelines.flows.webtolearn import COURSE_LESSONS, COURSES, LESSON_CATALOG, USERS
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.flows.webtolearn.school import School

NAMES = {"courses": COURSES, "lessons": LESSON_CATALOG, "users": USERS}
GRANTS = "/training/*/user/list"


@pytest.fixture
def synced(school: School) -> School:
    """A school whose lists are synced, and that went on since: of each list the first row was renamed, the last
    one is gone, and one is new."""
    school.open(Platform.invented(courses=22, lessons=60, users=60))
    school.lists()
    school.life_goes_on()
    return school


def every_tenth(school: School, name: str) -> list[str]:
    """The rows that have a row defect."""
    return school.ids(name)[::10]


def kept_back(school: School, stage: str, says: str) -> None:
    """Each tenth row fails for that reason and keeps what it had; all else is as on the platform."""
    before = school.held()
    for name, flow in NAMES.items():
        report = school.run(flow)
        assert report.failed == len(every_tenth(school, name))
        assert (report.created, report.updated, report.deleted, report.complete) == (1, 0, 1, True)
        wanted = school.listed()[name]
        for key in every_tenth(school, name):
            wanted[key] = before[name][key]
        assert school.held()[name] == wanted
    rejects = school.rejects()
    assert set(rejects) == {
        f"{flow.system} {key}" for name, flow in NAMES.items() for key in every_tenth(school, name)
    }
    for key, (kept_stage, error, payload) in rejects.items():
        whole = json.loads(payload["json"]) if "json" in payload else payload
        assert whole["id"] == key.split()[1]
        # Of users with one address, whatever it is, only the first is looked at any further.
        if not (key.startswith("wtl:user") and "one e-mail address" in error):
            assert (kept_stage, says in error) == (stage, True)


# --- ids --------------------------------------------------------------------------------------------------


def test_an_id_is_the_same_as_number_and_as_text(school: School) -> None:
    """Fault 13."""
    school.sync()
    before = school.everything()
    school.platform.switch_on("int-ids")
    school.sync()
    assert school.everything() == before
    school.life_goes_on()
    school.mends()


def test_what_is_no_id_is_kept_and_nothing_is_marked_in_its_place(synced: School) -> None:
    """Faults 13 and 14: "1.0", true, null, "", " 1" and 1.0."""
    before = synced.held()
    synced.platform.switch_on("odd-ids")
    for name, flow in NAMES.items():
        report = synced.run(flow)
        assert report.failed == len(every_tenth(synced, name))
        assert (report.created, report.deleted, report.complete) == (1, 0, True)
        assert "were not marked as vanished" in report.errors[-1]
        odd = set(every_tenth(synced, name))
        wanted = {key: title for key, title in synced.listed()[name].items() if key not in odd}
        assert synced.held()[name] == before[name] | wanted
    assert synced.marked() == set()
    rejects = synced.rejects()
    assert len(rejects) == 15
    assert all(" unidentified:" in key for key in rejects)
    assert {str(payload["id"]) for _, _, payload in rejects.values()} == {"1.0", "True", "None", "", " 1"}
    synced.mends()


def test_an_id_with_a_blank_is_not_the_id_without_it(school: School) -> None:
    """Fault 14."""
    school.open(Platform(courses=[{"id": "1", "name": "Fizyka"}]))
    school.run(COURSES)
    school.platform.courses.insert(0, {"id": " 1", "name": "Chemia"})
    report = school.run(COURSES)
    assert (report.failed, report.skipped, report.updated) == (1, 1, 0)
    assert school.held()["courses"] == {"1": "Fizyka"}
    ((_, error, payload),) = school.rejects().values()
    assert "the id is not a whole number" in error
    assert payload == {"id": " 1", "name": "Chemia"}
    del school.platform.courses[0]
    school.mends()


def test_an_id_of_three_hundred_digits_fails_alone(synced: School) -> None:
    """Fault 15."""
    before = synced.held()
    synced.platform.switch_on("long-id")
    for name, flow in NAMES.items():
        report = synced.run(flow)
        assert (report.failed, report.created, report.deleted) == (len(every_tenth(synced, name)), 1, 0)
        assert synced.held()[name].keys() == before[name].keys() | synced.listed()[name].keys()
    assert synced.marked() == set()
    synced.mends()


def test_the_longest_id_is_kept_and_asked_for(school: School) -> None:
    """Fault 15."""
    course = "1" * 255
    school.open(Platform.invented(courses=0, lessons=0, users=9))
    school.platform.put("courses", course, {"id": course, "name": "Kurs"})
    school.platform.course_users[course] = [{**school.platform.users[0], "expired_at": "Forever"}]
    school.sync()
    assert set(school.grants()) == {(course, school.ids("users")[0])}


def test_a_nul_in_a_text_fails_its_row_alone(synced: School) -> None:
    """Fault 15."""
    synced.platform.switch_on("nul-title")
    kept_back(synced, "target", "NUL")
    synced.mends()


@pytest.mark.parametrize("odd", ["7/user", "7|8", "(7)", "[7]", "7%2F8", "..", "7?range=[0,1]", "7&x=1"])
def test_a_key_with_signs_of_an_address_is_no_id_and_no_partition(school: School, odd: str) -> None:
    """Fault 16."""
    school.sync()
    school.platform.courses.append({"id": odd, "name": "Kurs"})
    school.platform.course_users[odd] = [{**school.platform.users[0], "expired_at": "Forever"}]
    report = school.run(COURSES)
    assert (report.failed, report.created) == (1, 0)
    asked = len(school.asked)
    done = school.courses(odd)
    assert "is not known here" in str(done[odd].error)
    assert school.asked[asked:] == []
    school.platform.courses.pop()
    school.mends()


def test_a_lesson_made_here_is_no_partys_to_match_rename_or_mark(school: School) -> None:
    """Fault 17."""
    school.platform.relation = "path"
    school.sync()
    school.query(
        "INSERT INTO wtl.lessons (wtl_lesson_id, title) "
        "SELECT 'local-' || n, 'Nasza' FROM generate_series(1, 40) n"
    )
    local = "SELECT *, xmin::text, ctid::text FROM wtl.lessons WHERE wtl_lesson_id LIKE 'local-%' ORDER BY 2"
    before = school.query(local)
    school.life_goes_on()
    left = {lessons[0] for lessons in school.platform.course_lessons.values() if lessons}
    for key in school.held()["lessons"].keys() - left:
        school.platform.remove("lessons", key)
    assert school.run(LESSON_CATALOG, allow_mass_vanish=True).deleted == 30 - len(left)
    school.platform.lessons.append({"id": "local-7", "name": "Czyjaś"})
    assert school.run(LESSON_CATALOG).failed == 1
    school.courses(flow=COURSE_LESSONS)
    assert school.query(local) == before
    school.platform.lessons.pop()
    school.mends()
    assert school.query(local) == before


# --- titles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "stage", "says"),
    [("blank-title", "mapping", "is blank"), ("null-title", "source", "is missing")],
)
def test_a_row_without_a_title_fails_and_the_title_it_had_stays(
    synced: School, fault: str, stage: str, says: str
) -> None:
    """Fault 18."""
    synced.platform.switch_on(fault)
    kept_back(synced, stage, says)
    synced.mends()


def test_an_empty_title_fails_and_the_title_it_had_stays(school: School) -> None:
    """Fault 18."""
    school.open(Platform(courses=[{"id": "1", "name": "Fizyka"}, {"id": "2", "name": "Chemia"}]))
    school.run(COURSES)
    school.platform.courses[0]["name"] = ""
    assert school.run(COURSES).failed == 1
    assert school.held()["courses"] == {"1": "Fizyka", "2": "Chemia"}
    school.platform.courses[0]["name"] = "Biologia"
    school.mends()


def test_a_title_too_long_for_its_column_fails_alone(synced: School) -> None:
    """Fault 19."""
    synced.platform.switch_on("long-title")
    kept_back(synced, "target", "600 characters")
    synced.mends()


@pytest.mark.parametrize(("name", "most"), [("courses", 500), ("lessons", 255), ("users", 255)])
def test_a_title_may_be_as_long_as_its_column_and_no_longer(school: School, name: str, most: int) -> None:
    """Fault 19."""
    field = "email" if name == "users" else "name"
    rows = [{"id": "1", field: "Ż" * most}, {"id": "2", field: "Ź" * (most + 1)}]
    platform = Platform()
    setattr(platform, name, rows)
    school.open(platform)
    report = school.run(NAMES[name])
    assert (report.created, report.failed, report.complete) == (1, 1, True)
    assert school.held()[name] == {"1": "Ż" * most}


@pytest.mark.parametrize("fault", ["html-title", "literal-backslash-title"])
def test_a_title_is_stored_as_it_is_and_is_the_same_the_next_time(synced: School, fault: str) -> None:
    """Fault 20."""
    titles = {
        "html-title": '<script>alert("ż")</script> &amp; <b>1</b>',
        "literal-backslash-title": r"Lekcja\n1 \\ C:\temp",
    }
    synced.platform.switch_on(fault, path="/lesson/list")
    synced.run(LESSON_CATALOG)
    changed = dict.fromkeys(every_tenth(synced, "lessons"), titles[fault])
    assert synced.held()["lessons"] == synced.listed()["lessons"] | changed
    before = synced.everything()
    assert synced.run(LESSON_CATALOG).skipped == 60
    assert synced.everything() == before
    synced.mends()


def test_letters_of_any_plane_arrive_as_they_are(school: School) -> None:
    """Fault 21: the platform escapes all that is not ASCII, some of it as pairs of surrogates."""
    title = "Lekcja \U0001f9ea ąę \u2028 \u202e \ufffd \U0010ffff \u0301"
    school.open(Platform(lessons=[{"id": "1", "name": title}]))
    school.run(LESSON_CATALOG)
    assert school.held()["lessons"] == {"1": title}
    assert school.run(LESSON_CATALOG).skipped == 1


def test_half_a_letter_fails_its_row_alone(synced: School) -> None:
    """Fault 21."""
    synced.platform.switch_on("lone-surrogate")
    kept_back(synced, "target", "surrogate")
    synced.mends()


def test_another_spelling_of_the_same_letters_is_the_same_title(school: School) -> None:
    """Fault 23."""
    title = "Żółć – część 1"
    school.open(Platform(courses=[{"id": "1", "name": unicodedata.normalize("NFC", title)}]))
    school.run(COURSES)
    before = school.everything()
    school.platform.courses[0]["name"] = unicodedata.normalize("NFD", title)
    assert school.run(COURSES).skipped == 1
    assert school.everything() == before


# --- people -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["NOWA@szkola.example", "inna@szkola.example"])
def test_a_person_with_another_address_is_the_same_person(school: School, address: str) -> None:
    """Fault 27."""
    school.open(Platform(users=[{"id": "1", "email": "nowa@szkola.example"}]))
    school.run(USERS)
    before = school.query("SELECT id FROM wtl.users")
    school.platform.users[0]["email"] = address
    report = school.run(USERS)
    assert (report.updated, report.created, report.failed) == (1, 0, 0)
    assert school.query("SELECT id, email FROM wtl.users") == [(*before, address)]


@pytest.mark.parametrize(("fault", "number"), [("same-email-other-case", 27), ("two-ids-one-email", 28)])
def test_two_people_with_one_address_are_not_made_one(synced: School, fault: str, number: int) -> None:
    """Faults 27 and 28."""
    first, second, *_ = synced.ids("users")
    before = synced.held()["users"]
    synced.platform.switch_on(fault, path="/user/list")
    report = synced.run(USERS)
    assert (report.failed, report.created, report.updated, report.deleted) == (1, 1, 1, 1)
    assert synced.held()["users"] == synced.listed()["users"] | {second: before[second]}
    ((key, (stage, error, payload)),) = synced.rejects().items()
    assert (key, stage, payload["id"]) == (f"wtl:user {second}", "source", second)
    assert f"users {first} and {second} have one e-mail address" in error
    assert "@" not in error
    synced.mends()


# --- shapes -----------------------------------------------------------------------------------------------


def test_a_few_things_that_are_no_rows_are_kept_and_nothing_is_marked_in_their_place(synced: School) -> None:
    """Fault 43: null, a text, a number, a list."""
    before = synced.held()
    synced.platform.switch_on("null-rows")
    for name, flow in NAMES.items():
        report = synced.run(flow)
        assert report.failed == len(every_tenth(synced, name))
        assert (report.created, report.deleted, report.complete) == (1, 0, True)
        assert synced.held()[name].keys() == before[name].keys() | synced.listed()[name].keys()
    assert synced.marked() == set()
    kept: list[Any] = [payload for _, _, payload in synced.rejects().values()]
    # What comes twice in one list is kept once.
    assert sorted(map(str, kept)) == sorted(["None", "Lekcja", "7", "[]"] * 2 + ["None", "Lekcja", "7"])
    synced.mends()


def test_fields_that_no_document_knows_change_nothing(school: School) -> None:
    """Fault 44."""
    school.sync()
    before = school.everything()
    school.platform.switch_on("extra-fields")
    school.sync()
    assert school.everything() == before


def test_a_row_that_lacks_a_documented_field_fails_alone(synced: School) -> None:
    """Fault 44."""
    synced.platform.switch_on("missing-title")
    kept_back(synced, "source", "is missing")
    synced.mends()


def test_a_title_under_its_other_name_is_the_same_title(school: School) -> None:
    """contradictions.md, H3."""
    school.sync()
    before = school.everything()
    school.platform.switch_on("alias-titles")
    school.lists()
    assert school.everything() == before


def test_a_title_that_is_not_the_name_fails_its_row(synced: School) -> None:
    """contradictions.md, H3."""
    synced.platform.switch_on("disagreeing-aliases")
    before = synced.held()
    for name in ("courses", "lessons"):
        report = synced.run(NAMES[name])
        assert (report.failed, report.updated, report.deleted) == (len(every_tenth(synced, name)), 0, 1)
        assert "title and name disagree" in report.errors[0]
        assert all(synced.held()[name][key] == before[name][key] for key in every_tenth(synced, name))
    synced.mends()


@pytest.mark.parametrize("fault", ["odd-ids", "long-id", "null-rows"])
def test_a_grant_of_nobody_is_kept_and_nothing_is_closed_in_its_place(school: School, fault: str) -> None:
    """Faults 13, 14, 15 and 43."""
    school.sync()
    school.life_goes_on()
    school.lists()
    before = school.grants()
    school.platform.switch_on(fault, path=GRANTS)
    done = school.courses()
    assert all(one.error is None and one.report.deleted == 0 for one in done.values())
    assert sum(one.report.failed for one in done.values()) > len(done)
    assert school.closed() == set()
    assert school.grants().keys() >= {pair for pair in before if pair[0] in done}
    school.mends()
