"""Clients that others wrote for the real thing work here as they are."""

from collections.abc import Callable
from typing import Any

import bakapi
import pytest
from bakalari import BakalariAuthError, BakalariClient, BakalariPermissionError

from sync_pipelines.sandbox.bakalari import Account, School


@pytest.fixture
def client(url: str, clock: Any) -> Callable[[Account], BakalariClient]:
    return lambda account: BakalariClient(url, account.username, account.password, clock=clock)


def test_bakapi_logs_in_and_reads(url: str, pupil: Account, school: School) -> None:
    user = bakapi.BakapiUser(url=f"{url}/", username=pupil.username, password=pupil.password)
    assert user.get_user_info()["UserUID"] == f"{school.sid}/{pupil.code}"
    assert user.get_homework() == {"Homeworks": []}
    assert user.get_received_komens_messages() == {"Messages": []}


@pytest.mark.parametrize("style", ["new", "old"])
def test_bakapi_refreshes_when_it_is_denied(
    url: str, pupil: Account, school: School, clock: Any, style: Any
) -> None:
    school.style = style
    user = bakapi.BakapiUser(url=f"{url}/", username=pupil.username, password=pupil.password)
    clock.now += 4000  # bakapi goes by a clock of its own, and thinks the token good
    with pytest.warns(UserWarning, match="refreshing token"):
        assert user.get_user_info()["UserType"] == "student"
    assert pupil.refreshes == 1


def test_bakapi_is_told_of_wrong_credentials(url: str, pupil: Account) -> None:
    with pytest.raises(bakapi.InvalidCredentials):
        bakapi.BakapiUser(url=f"{url}/", username=pupil.username, password="wrong")


def test_bakalari_reads_a_profile_subjects_and_weeks(
    client: Callable[[Account], BakalariClient], school: School, pupil: Account, parent: Account
) -> None:
    for account in (pupil, parent):
        asking = client(account)
        assert asking.login().user_id == account.code
        profile = asking.user_profile()
        assert (profile.uid, profile.is_parent) == (f"{school.sid}/{account.code}", account is parent)
        assert profile.school_class is not None
        assert profile.semester is not None
        assert profile.school_class.id == school.pupil(pupil.person).class_id
        assert {subject.id for subject in asking.subjects()} == school.subjects_of(pupil.person)
        assert len(asking.permanent_timetable().days) == 5
        assert any(lesson.change for day in asking.actual_timetable().days for lesson in day.lessons)
        assert asking.marks()
        assert list(asking.homeworks()) == []


def test_bakalari_reads_every_roster(
    client: Callable[[Account], BakalariClient], school: School, superuser: Account
) -> None:
    asking = client(superuser)
    found = {
        (student.id, atom.subject.id)
        for atom in asking.marking_atoms()
        if atom.subject
        for student in asking.marking_marks(atom.id).students
        if not student.released
    }
    assert found == school.enrolled()


def test_bakalari_tells_a_pupil_of_the_privilege(
    client: Callable[[Account], BakalariClient], pupil: Account
) -> None:
    with pytest.raises(BakalariPermissionError):
        client(pupil).marking_atoms()


def test_bakalari_refreshes_after_the_token_has_expired(
    client: Callable[[Account], BakalariClient], pupil: Account, school: School, clock: Any
) -> None:
    asking = client(pupil)
    asking.user_profile()
    clock.now += school.access_seconds
    asking.user_profile()
    assert (pupil.password_logins, pupil.refreshes) == (1, 1)
    school.access_tokens.clear()
    asking.user_profile()
    assert (pupil.password_logins, pupil.refreshes) == (1, 2)
    school.refresh_tokens.clear()
    school.access_tokens.clear()
    asking.user_profile()
    assert (pupil.password_logins, pupil.refreshes) == (2, 2)


def test_bakalari_is_told_of_a_wrong_password(url: str, pupil: Account) -> None:
    with pytest.raises(BakalariAuthError):
        BakalariClient(url, pupil.username, "wrong").login()


@pytest.mark.parametrize("pages", ["rendered", "embedded"])
def test_bakalari_reads_the_public_timetable_of_both_generations(
    client: Callable[[Account], BakalariClient], school: School, pupil: Account, pages: Any
) -> None:
    school.pages = pages
    asking = client(pupil)
    targets = asking.public_timetable_targets()
    assert [(target.id, target.name) for target in targets.classes] == [(c.id, c.abbrev) for c in school.classes]
    assert [(target.id, target.name) for target in targets.teachers] == [(t.id, t.name) for t in school.teachers]
    assert [target.id for target in targets.rooms] == [room.id for room in school.rooms]
    teachers = {teacher.name: teacher for teacher in school.teachers}
    for target in targets.classes:
        for week in ("actual", "permanent", "next"):
            lessons = asking.public_timetable("class", target, week=week).lessons
            learnt = {
                atom.subject_id
                for atom in school.atoms
                if target.id == atom.class_id or target.id in {school.pupil(p).class_id for p in atom.pupils}
            }
            names = {school.subject(subject_id).name for subject_id in learnt}
            assert {lesson.subject for lesson in lessons if not lesson.removed} == names
            assert {lesson.teacher for lesson in lessons if not lesson.removed} <= teachers.keys()
            assert all(lesson.begin and lesson.subject_abbrev for lesson in lessons if not lesson.removed)
    for target in targets.teachers:
        lessons = asking.public_timetable("teacher", target).lessons
        assert {lesson.teacher for lesson in lessons if not lesson.removed} <= {target.name}
        assert bool(lessons) == bool(school.atoms_of_teacher(target.id))
    for target in targets.rooms:
        lessons = asking.public_timetable("room", target).lessons
        assert {lesson.room for lesson in lessons if not lesson.removed} <= {target.name}


@pytest.mark.parametrize(("pages", "removed"), [("rendered", 1), ("embedded", 0)])
def test_nothing_but_what_was_taken_out_is_changed(
    client: Callable[[Account], BakalariClient], school: School, pupil: Account, pages: Any, removed: int
) -> None:
    school.pages = pages
    changed = client(pupil).public_timetable("class", school.classes[0].id).changed_lessons
    assert [lesson.removed for lesson in changed] == [True] * removed


def test_bakalari_is_told_where_nothing_is_published(
    client: Callable[[Account], BakalariClient], school: School, pupil: Account
) -> None:
    school.pages = "none"
    with pytest.raises(BakalariPermissionError, match="nemáte přístup"):
        client(pupil).public_timetable_targets()
