"""Who is told what (contracts/bakalari.md C2, C9, C10, C14, "Rosters from teacher accounts")."""

import base64
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.sandbox.bakalari import Account, Atom, Pupil, School, SchoolClass, Subject, Teacher
from sync_pipelines_tests.sandbox.bakalari.asking import by_password, get, sheet_of, with_token

ATOMS = "/api/3/marking/atoms"


def test_versions_are_a_list_and_the_version_an_object(http: httpx.Client, school: School) -> None:
    assert http.get("/api").json() == [http.get("/api/3").json()]
    new = http.get("/api/3").json()
    school.style = "old"
    assert new["ApiVersion"] != http.get("/api/3").json()["ApiVersion"]
    assert new["BaseUrl"] == "api/3"


def test_paths_are_the_same_in_letters_of_any_size_and_with_a_slash_at_the_end(http: httpx.Client) -> None:
    assert http.get("/API/3/").json() == http.get("/api/3").json()


@pytest.mark.parametrize("style", ["new", "old"])
def test_a_pupil_and_a_parent_see_the_pupil(
    http: httpx.Client, school: School, pupil: Account, parent: Account, style: Any
) -> None:
    school.style = style
    someone = school.pupil(pupil.person)
    class_ = school.class_(someone.class_id or "")
    for account, kind in ((pupil, "student"), (parent, "parents")):
        said = get(http, account, "/api/3/user").json()
        assert said["UserUID"] == f"{school.sid}/{account.code}"
        assert said["FullName"] == f"{someone.name}, {class_.abbrev}"
        assert said["Class"] == {"Id": class_.id, "Abbrev": class_.abbrev, "Name": class_.name}
        assert (said["UserType"], said["StudyYear"], said["SchoolType"]) == (kind, class_.study_year, None)
        assert ("FullUserName" in said) == (style == "new")
        assert ("Students" in said) == (style == "new" and kind == "parents")
        assert json.loads(base64.b64decode(said["CampaignCategoryCode"]))["sid"] == school.sid
    if style == "new":
        assert get(http, parent, "/api/3/user").json()["FullUserName"] == parent.holder


def test_a_teacher_and_the_superuser_are_teachers_without_a_class(
    http: httpx.Client, school: School, teacher: Account, superuser: Account
) -> None:
    for account in (teacher, superuser):
        said = get(http, account, "/api/3/user").json()
        assert (said["UserType"], said["Class"]) == ("teacher", None)
        assert said["UserUID"] == f"{school.sid}/{account.person}"
        assert said["FullName"] == school.teacher(account.person).name


def test_subjects_are_those_of_the_pupil_with_each_teacher(
    http: httpx.Client, school: School, pupil: Account, parent: Account
) -> None:
    first, second = school.teachers[:2]
    school.atoms.append(Atom(" twice", school.subjects[0].id, first.id, None, [pupil.person]))
    school.atoms.append(Atom(" again", school.subjects[0].id, second.id, None, [pupil.person]))
    for account in (pupil, parent):
        rows = get(http, account, "/api/3/subjects").json()["Subjects"]
        assert {row["SubjectID"] for row in rows} == school.subjects_of(pupil.person)
        pairs = [(row["SubjectID"], row["TeacherID"]) for row in rows]
        assert len(set(pairs)) == len(pairs)
        assert {(school.subjects[0].id, first.id), (school.subjects[0].id, second.id)} <= set(pairs)
        for row in rows:
            subject, teacher = school.subject(row["SubjectID"]), school.teacher(row["TeacherID"])
            assert (row["SubjectAbbrev"], row["TeacherAbbrev"]) == (subject.abbrev, teacher.abbrev)
            assert (row["TeacherWeb"], row["TeacherHomePhone"]) == ("", None)


def test_teachers_have_no_subjects_of_their_own(http: httpx.Client, teacher: Account) -> None:
    assert get(http, teacher, "/api/3/subjects").status_code == 403


@pytest.mark.parametrize("path", [ATOMS, "/api/3/marking/marks/x"])
def test_marking_is_for_teachers(http: httpx.Client, pupil: Account, parent: Account, path: str) -> None:
    for account in (pupil, parent):
        answer = get(http, account, path)
        assert answer.status_code == 403
        assert answer.json() == {"Message": "Some privilege is missing (IsTeacher,IsSuperuser)"}


def test_the_superuser_sees_every_atom_and_a_teacher_the_own(
    http: httpx.Client, school: School, teacher: Account, superuser: Account
) -> None:
    def seen(account: Account) -> list[Any]:
        return get(http, account, ATOMS).json()["Atoms"]

    assert [atom["Id"] for atom in seen(superuser)] == [atom.id for atom in school.atoms]
    own = {atom.id for atom in school.atoms_of_teacher(teacher.person)}
    assert {atom["Id"] for atom in seen(teacher)} == own
    assert 0 < len(own) < len(school.atoms)
    for row in seen(superuser):
        atom = school.atom(row["Id"])
        assert row["Subject"]["Abbrev"] == school.subject(atom.subject_id).abbrev
        assert (row["Disabled"], bool(row["DisabledText"])) == (atom.disabled, atom.disabled)


def test_another_teachers_sheet_is_forbidden_and_one_that_there_is_not_is_not_found(
    http: httpx.Client, school: School, teacher: Account, superuser: Account
) -> None:
    other = next(atom for atom in school.atoms if atom.teacher_id != teacher.person)
    assert sheet_of(http, teacher, other.id).status_code == 403
    assert sheet_of(http, superuser, other.id).status_code == 200
    assert sheet_of(http, teacher, "none").status_code == 404


def test_the_sheets_of_a_school_are_its_enrollments(
    http: httpx.Client, school: School, superuser: Account
) -> None:
    found = set[tuple[str, str]]()
    for atom in school.atoms:
        sheet = sheet_of(http, superuser, atom.id).json()
        assert [student["Id"] for student in sheet["Students"]] == atom.pupils
        for student in sheet["Students"]:
            pupil = school.pupil(student["Id"])
            assert (student["ClassId"], student["LastName"]) == (pupil.class_id, pupil.last_name)
            assert student["DisplayName"] == pupil.name
            if not student["ReleasedOfSubject"]:
                found.add((student["Id"], atom.subject_id))
        assert [teacher["Id"] for teacher in sheet["Teachers"]] == [atom.teacher_id]
    assert found == school.enrolled()


def test_sheets_have_marks_with_dates_and_averages_for_whoever_drops_them(
    http: httpx.Client, school: School, superuser: Account
) -> None:
    atom = max(school.atoms, key=lambda atom: len(atom.pupils))
    sheet = sheet_of(http, superuser, atom.id).json()
    assert {mark["StudentId"] for mark in sheet["Marks"]} == set(atom.pupils)
    assert all(mark["MarkValue"] and mark["MarkDate"] for mark in sheet["Marks"])
    assert all("," in student["AverageText1"] for student in sheet["Students"])
    assert set("(}[|*:=_") <= set(sheet["Marks"][0]["Id"])
    assert {mark["MarkValue"] for mark in sheet["Marks"]} <= {option["Id"] for option in sheet["MarkOptions"]}


@given(key=st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1))
def test_an_id_in_a_path_arrives_exactly(school: School, http: httpx.Client, key: str) -> None:
    superuser = school.accounts["spravce"]
    atom = Atom(key, school.subjects[0].id, school.teachers[0].id, None, [school.pupils[0].code])
    others = [*school.atoms]
    school.atoms.append(atom)
    if key not in (".", ".."):  # which httpx takes for steps
        assert sheet_of(http, superuser, key).status_code == 200
        assert sheet_of(http, superuser, key + " ").status_code == 404
    school.atoms = others


def test_the_date_is_the_clocks(http: httpx.Client) -> None:
    assert http.get("/api/3").headers.get_list("date") == ["Wed, 14 Oct 2026 08:00:00 GMT"]


def test_a_method_that_an_endpoint_does_not_know_is_refused_with_a_message(http: httpx.Client) -> None:
    answer = http.post("/api/3/user")
    assert (answer.status_code, answer.json().keys()) == (405, {"Message"})


def test_what_there_is_not_is_not_found_with_a_message(http: httpx.Client) -> None:
    assert http.get("/api/3/nothing").status_code == 404
    assert http.get("/api/3/nothing").json().keys() == {"Message"}


def test_in_summer_there_are_no_subjects_no_atoms_no_marks_and_no_semester(
    http: httpx.Client, school: School, pupil: Account, superuser: Account
) -> None:
    assert "ActualSemester" in get(http, pupil, "/api/3/user").json()["SettingModules"]["Common"]
    school.summer = True
    assert get(http, pupil, "/api/3/subjects").json() == {"Subjects": []}
    assert get(http, pupil, "/api/3/marks").json()["Subjects"] == []
    assert get(http, superuser, ATOMS).json() == {"Atoms": []}
    said = get(http, pupil, "/api/3/user").json()
    assert "ActualSemester" not in said["SettingModules"]["Common"]
    assert said["EnabledModules"] == []


def test_accounts_in_conflict_answer_with_one_id_and_different_names(
    http: httpx.Client, school: School, pupil: Account
) -> None:
    other = school.account_of(school.pupils[1])
    school.conflicts[other.username] = pupil.username
    said = [get(http, account, "/api/3/user").json() for account in (pupil, other)]
    assert said[0]["UserUID"] == said[1]["UserUID"]
    assert said[0]["FullName"] != said[1]["FullName"]


def test_a_pupil_without_a_class_and_a_school_made_by_hand_are_served(http: httpx.Client, school: School) -> None:
    school.classes = [SchoolClass("XL", "1.A")]
    school.teachers = [Teacher("U   4", "Nov  ", "Nováková Ěva")]
    school.subjects = [Subject(" 6", "M   ", "Matematika")]
    school.pupils = [Pupil("GTU4V", "Jan", "Žák", "XL"), Pupil("GTU4W", "Jan", "Žák", None)]
    school.rooms = []
    school.atoms = [Atom(" (}", " 6", "U   4", "XL", ["GTU4V", "GTU4W"])]
    school.accounts = {}
    for pupil in school.pupils:
        account = school.add_account("student", pupil, f"u{pupil.code}", "heslo")
        said = get(http, account, "/api/3/user").json()
        assert (said["Class"] is None) == (pupil.class_id is None)
        assert get(http, account, "/api/3/subjects").json()["Subjects"][0]["SubjectID"] == " 6"
        assert get(http, account, "/api/3/timetable/permanent").json()["Rooms"] == []
    teacher = school.add_account("teacher", school.teachers[0], "ucitel", "heslo")
    assert [s["ClassId"] for s in sheet_of(http, teacher, " (}").json()["Students"]] == ["XL", None]


def test_requests_are_counted_by_path_and_nothing_is_counted_elsewhere(
    http: httpx.Client, school: School, pupil: Account, server: str
) -> None:
    token = by_password(http, pupil).json()["access_token"]
    before = school.requests.copy()
    for _ in range(3):
        with_token(http, token, "/api/3/user")
    httpx.get(f"{server}/empty/api/3")
    httpx.get(f"{server}/nobody/api/3")
    assert school.requests - before == {"/api/3/user": 3}


def test_the_export_is_the_whole_school(http: httpx.Client, school: School) -> None:
    said = http.get("/export").json()
    assert said["complete"] is True
    assert {(row["user_id"], row["subject_id"]) for row in said["enrollments"]} == school.enrolled()
    users = {row["id"]: row for row in said["users"]}
    assert users.keys() == {p.code for p in school.pupils} | {t.id for t in school.teachers}
    assert all(users[row["user_id"]]["class_id"] == row["class_id"] for row in said["enrollments"])
    assert [row["abbrev"] for row in said["classes"]] == [class_.abbrev for class_ in school.classes]
    assert [row["id"] for row in said["subjects"]] == [subject.id for subject in school.subjects]


def test_the_export_may_want_a_token_be_partial_or_not_be_there(http: httpx.Client, school: School) -> None:
    school.bulk_token = "klíč"
    assert http.get("/export").status_code == 401
    school.bulk_token, school.bulk_complete = "key", False
    assert http.get("/export", headers={"Authorization": "Bearer key"}).json()["complete"] is False
    school.bulk = False
    assert http.get("/export", headers={"Authorization": "Bearer key"}).status_code == 404
