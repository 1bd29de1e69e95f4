"""Ids, names, classes and subjects as schools write them, and summers. The numbers are those of
contracts/faults.md."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sync_pipelines.sandbox.bakalari import School, Subject
from sync_pipelines_tests.flows.bakalari.known import seen_by, truth
from sync_pipelines_tests.flows.bakalari.town import Town

CLASSES = "SELECT id::text, external_id, abbrev, grade, grade_guessed FROM bakalari.classes_current ORDER BY 2"


# --- ids ----------------------------------------------------------------------------------------------------

# Any text that a JSON string and an attribute of HTML can hold as it is, and that is not blank.
_ids = st.text(
    st.characters(blacklist_categories=("Cc", "Cs")) | st.sampled_from(" /\\|([{<&\"'%?#;.:+="),
    min_size=1,
    max_size=12,
).filter(lambda text: bool(text.strip()))


def _renamed(school: School, ids: dict[str, list[str]]) -> None:
    """Give everything other ids."""
    for kind, things in (("class", school.classes), ("subject", school.subjects), ("teacher", school.teachers)):
        for thing, new in zip(list(things), ids[kind], strict=False):
            for atom in school.atoms:
                name = f"{kind}_id"
                if getattr(atom, name) == thing.id:
                    setattr(atom, name, new)
            for pupil in school.pupils:
                if kind == "class" and pupil.class_id == thing.id:
                    pupil.class_id = new
            for account in school.accounts.values():
                if account.person == thing.id:
                    account.person = new
            thing.id = new
    for atom, new in zip(school.atoms, ids["atom"], strict=False):
        atom.id = new
    codes = dict(zip([pupil.code for pupil in school.pupils], ids.get("pupil", ()), strict=False))
    for pupil in school.pupils:
        pupil.code = codes.get(pupil.code, pupil.code)
    for atom in school.atoms:
        atom.pupils = [codes.get(code, code) for code in atom.pupils]
        atom.released = {codes.get(code, code) for code in atom.released}


@settings(max_examples=12, phases=[Phase.generate])
@given(
    ids=st.fixed_dictionaries(
        {
            kind: st.lists(_ids, min_size=count, max_size=count, unique=True)
            for kind, count in {"class": 2, "subject": 24, "teacher": 2, "atom": 8, "pupil": 6}.items()
        }
    )
)
def test_ids_of_any_characters_are_kept_exactly(town: Town, ids: dict[str, list[str]]) -> None:
    """Faults 14 and 16: blanks, slashes, brackets, per cents."""
    # What stands before a slash in a UserUID is the school's.
    ids["teacher"] = [f"{number}{key.replace('/', '|')}" for number, key in enumerate(ids["teacher"])]
    school = School.invented("s", classes=2, students=6, teachers=2, seed=7)
    school.atoms = school.atoms[:8]
    _renamed(school, ids)
    town.open_whole(school)
    town.run_well()
    assert town.held("s") == truth(school)
    before = town.everything()
    town.run_well()
    assert town.everything() == before


@pytest.mark.parametrize(
    ("one", "other"), [("XL", "xl"), (" 6", "6"), ("6", "6 "), ("U  4", "U 4"), ("é", "e\u0301")]
)
def test_ids_that_differ_in_blanks_letters_or_marks_are_two(town: Town, one: str, other: str) -> None:
    """Faults 14 and 23."""
    school = School.invented("s", classes=2, students=6, teachers=2, seed=7)
    _renamed(
        school, {"class": [one, other], "subject": [one, other], "teacher": [one, other], "atom": [one, other]}
    )
    town.open_whole(school)
    town.run_well()
    assert town.held("s") == truth(school)
    assert {one, other} == town.classes("s")


def test_what_an_id_is_too_long_for_is_set_aside_alone(town: Town) -> None:
    """Faults 15 and 16: each of its quotes is written as two in an enrollment's key."""
    school = School.invented("s", classes=1, students=2, teachers=1, seed=7)
    longest = '"' * 255
    _renamed(school, {"class": [longest], "subject": [], "teacher": [], "atom": [], "pupil": [longest]})
    town.open_whole(school)
    assert town.run()["s"].error is None
    assert town.held("s") == {fact for fact in truth(school) if fact[:2] != ("enrollment", longest)}
    assert ("student", longest) in town.users("s")
    assert set(town.rejects().values()) == {"the key has 527 characters, and 500 can be kept"}


# --- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert('x')</script>",
        "O'Neil & <b>Šťastná</b>",
        "Nov\u00c4\u0179k",
        "&amp;lt;",
        "ＪＡＮ",
        "\U0001f600 Kuřátko",
        "a" * 5000,
    ],
)
def test_a_name_is_kept_as_it_is_written_and_changes_nothing_the_next_time(
    town: Town, school: School, name: str
) -> None:
    """Faults 20, 21 and 22: tags, entities, garbled letters, pairs of surrogates in JSON."""
    pupil, teacher = school.pupils[0], school.teachers[-1]
    pupil.first_name, pupil.last_name, pupil.middle_name = "Jan", name, ""
    teacher.name = school.classes[0].abbrev = school.subjects[0].name = name
    town.run_well()
    shown = "SELECT full_name FROM bakalari.users_current WHERE external_id = :k"
    assert town.query(shown, k=pupil.code) == [f"{name} Jan"]
    assert town.query(shown, k=teacher.id) == [name]
    assert name in town.query("SELECT abbrev FROM bakalari.classes_current")
    before = town.everything()
    town.run_well()
    assert town.everything() == before


def test_the_same_name_in_other_code_points_is_no_change(town: Town, school: School) -> None:
    """Fault 23."""
    pupil = school.pupils[0]
    pupil.last_name = unicodedata.normalize("NFC", "Příliš Žluťoučký")
    town.run_well()
    pupil.last_name = unicodedata.normalize("NFD", pupil.last_name)
    before = town.everything()
    reports = town.run_well()
    assert sum(report.updated for name, report in reports.items() if name != "bakalari/roster") == 0
    assert town.everything() == before


@pytest.mark.parametrize("bad", ["\0", "\ud800", "Nov\udfffák", "N\0v\0k"])
def test_a_name_that_no_text_can_hold_sets_its_row_aside_and_keeps_what_was_there(
    town: Town, school: School, bad: str
) -> None:
    """Fault 21."""
    before, people = town.held("s"), town.query("SELECT * FROM bakalari.users ORDER BY id")
    pupil, whole = school.pupils[0], school.pupils[0].last_name
    pupil.last_name = bad
    done = town.run()["s"]
    assert done.error is None
    assert f"bakalari:s:user student:{pupil.code}" in town.rejects()
    assert (town.held("s"), town.query("SELECT * FROM bakalari.users ORDER BY id")) == (before, people)
    pupil.last_name = whole
    town.run_well()
    assert town.rejects() == {}


# --- September ----------------------------------------------------------------------------------------------


def test_in_september_a_class_keeps_its_row_and_gets_another_name_and_grade(town: Town, school: School) -> None:
    """Fault 57."""
    town.accounts["s"] += [school.account_of(pupil).username for pupil in school.pupils]
    for number, class_ in enumerate(school.classes):
        class_.abbrev, class_.study_year = f"{number + 1}.A", number + 1
    town.run_well()
    before, enrolled = (
        town.query(CLASSES),
        town.query("SELECT id::text FROM bakalari.enrollments_current ORDER BY 1"),
    )
    for number, class_ in enumerate(school.classes):
        class_.abbrev, class_.study_year = f"{number + 2}.A", number + 2
    reports = town.run_well()
    assert reports["bakalari/classes"].updated == 3
    after = town.query(CLASSES)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert [(row[3], row[4]) for row in after] == [(row[3] + 1, False) for row in before]
    assert town.query("SELECT id::text FROM bakalari.enrollments_current ORDER BY 1") == enrolled
    assert town.marked() == 0


def test_a_class_that_is_renamed_so_that_nobody_says_its_grade_keeps_the_one_it_had(
    town: Town, school: School
) -> None:
    """Fault 63."""
    class_ = school.classes[0]
    class_.abbrev = "7.B"
    town.run_well()
    class_.abbrev = "X.A"
    town.run_well()
    grades = "SELECT grade, grade_guessed FROM bakalari.classes_current WHERE external_id = :k"
    assert town.query(grades, k=class_.id) == [(7, True)]
    class_.abbrev = "8.B"
    town.run_well()
    assert town.query(grades, k=class_.id) == [(8, False)]


@pytest.mark.parametrize("season", ["summer", "holiday"])
@pytest.mark.parametrize("whose", ["superuser", "students"])
def test_summer_and_holidays_change_nothing(town: Town, school: School, season: str, whose: str) -> None:
    """Fault 58: timetables, subjects and semesters are missing, and are no information."""
    if whose == "students":
        town.accounts["s"] = [school.account_of(pupil).username for pupil in school.pupils[:5]]
        town.run_well()
    before = {k: v for k, v in town.everything().items() if k.startswith("bakalari.")}
    setattr(school, season, True)
    for _ in range(2):
        town.run_well()
        assert {k: v for k, v in town.everything().items() if k.startswith("bakalari.")} == before
    setattr(school, season, False)
    town.run_well()
    assert {k: v for k, v in town.everything().items() if k.startswith("bakalari.")} == before


def test_a_subject_dropped_in_the_holidays_is_dropped_when_lessons_go_on(town: Town) -> None:
    """Fault 58."""
    school = School.invented("s", classes=1, students=3, teachers=2, seed=4)
    town.open(school)
    account = school.account_of(school.pupils[0])
    town.accounts["s"] = [account.username]
    town.run_well()
    before = town.held("s")
    dropped = next(a for a in school.atoms if account.person in a.pupils)
    dropped.pupils.remove(account.person)
    school.holiday = True
    town.run_well()
    assert town.held("s") == before
    school.holiday = False
    town.run_well()
    assert before - town.held("s") == {("enrollment", account.person, dropped.subject_id)}


# --- subjects -----------------------------------------------------------------------------------------------


def test_a_subject_with_several_teachers_is_one(town: Town, school: School) -> None:
    """Fault 59."""
    atom = school.atoms[0]
    other = next(teacher for teacher in school.teachers if teacher.id != atom.teacher_id)
    second = next(a for a in school.atoms if a.class_id == atom.class_id and a.subject_id != atom.subject_id)
    second.subject_id, second.teacher_id = atom.subject_id, other.id
    account = school.account_of(school.pupil(atom.pupils[0]))
    town.accounts["s"].append(account.username)
    town.run_well()
    rows = town.query("SELECT count(*) FROM bakalari.subjects_current WHERE external_id = :k", k=atom.subject_id)
    assert rows == [1]
    assert town.held("s") == truth(school)


def test_subjects_that_share_an_abbreviation_have_codes_of_their_own_and_keep_them(
    town: Town, school: School
) -> None:
    """Fault 60."""
    codes = "SELECT external_id, code FROM bakalari.subjects_current"
    there = {a.subject_id: a for a in school.atoms}
    for key in there:
        school.subject(key).abbrev = "M   "
    town.run_well()
    first = dict(town.query(codes))
    assert len(set(first.values())) == len(there)
    bare = [key for key, code in first.items() if code == "M"]
    assert all(code == f"M~{key}" for key, code in first.items() if key not in bare)
    assert len(bare) <= 1
    school.subjects.append(Subject(" 0", "M", "Matematika nová"))
    school.atoms[0].subject_id = " 0"
    town.run_well()
    second = dict(town.query(codes))
    assert {key: code for key, code in second.items() if key in first} == {
        key: code for key, code in first.items() if key in second
    }
    assert len(set(second.values())) == len(second)


# --- the public timetable -----------------------------------------------------------------------------------


def _no_options(page: str) -> str:
    head, _, rest = page.partition('<option value=""></option>')
    return page if not rest else f'{head}<option value=""></option></select></body></html>'


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (lambda page: "", "error"),
        (lambda page: "<html><body><h1>Nový rozvrh</h1></body></html>", "error"),
        (lambda page: page.replace('id="selected', 'id="chosen'), "error"),
        (_no_options, "none"),
        (lambda page: "<html><form action='errinfo.aspx'></form></html>", "none"),
    ],
    ids=["nothing", "another layout", "no selects", "the blank option alone", "an error"],
)
def test_a_public_timetable_that_shows_no_lists_is_no_school_without_classes(
    town: Town, school: School, change: Any, outcome: str
) -> None:
    """Fault 64."""
    before = town.held("s")
    town.rewrite(school, "/Timetable/Public", change)
    done = town.run()["s"]
    assert done.error is None
    assert town.coverage("s")["public timetable"][0] == outcome
    assert done.reports[0].complete is (outcome == "none")
    assert town.held("s") == before
    school.faults.clear()
    school.pages = "none"
    town.run_well()
    assert town.held("s") == before


def test_what_the_public_timetable_alone_lists_goes_when_it_lists_it_no_more(town: Town) -> None:
    """Fault 64: and not while it lists nothing."""
    school = School.invented("s", classes=2, students=4, teachers=30, seed=3)
    account = school.account_of(school.pupils[0])
    town.open(school)
    town.accounts["s"] = [account.username]
    town.run_well()
    seen = seen_by(school, account)
    lone = next(teacher for teacher in school.teachers if ("user", "teacher", teacher.id) not in seen)
    school.teachers.remove(lone)
    school.pages = "none"
    town.run_well()
    assert ("teacher", lone.id) in town.users("s")
    school.pages = "embedded"
    school.atoms = [atom for atom in school.atoms if atom.teacher_id != lone.id]
    town.run_well()
    assert ("teacher", lone.id) not in town.users("s")
