"""An invented school, read through every kind of account and page, against the truth about it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Literal

import pytest

from sync_pipelines.clients.bakalari import Info, Item, PublicLesson, SchoolClient, Tokens
from sync_pipelines.errors import AccessRefused, NeedsLogin, NotFound, SourceUnavailable
from sync_pipelines.sandbox.bakalari import School, bakalari_app
from sync_pipelines.sandbox.bakalari.lessons import Lesson, Week
from sync_pipelines_tests.clients.bakalari.asking import Serve, account_of, client_at, small_school
from sync_pipelines_tests.clients.bakalari.logins import Vault

Style = Literal["new", "old"]
STYLES: list[Style] = ["new", "old"]


def served(serve: Serve, school: School) -> str:
    return f"{serve(bakalari_app([school]))}/{school.id}"


def one_line(text: str | None) -> str | None:
    return " ".join((text or "").split()) or None


def item(record: object) -> Item:
    """The record as a list shows it: exact id, tidy texts."""
    id_, abbrev, name = (getattr(record, field) for field in ("id", "abbrev", "name"))
    return Item(id_, one_line(abbrev), one_line(name))


def shown(school: School, lesson: Lesson) -> PublicLesson:
    subject, teacher = school.subject(lesson.atom.subject_id), school.teacher(lesson.atom.teacher_id)
    return PublicLesson(
        day=lesson.day + 1,
        hour=lesson.hour.caption,
        subject_name=subject.name,
        subject_abbrev=one_line(subject.abbrev),
        teacher_name=teacher.name,
        teacher_abbrev=one_line(teacher.abbrev),
        room=lesson.room and lesson.room.abbrev,
        group=", ".join(group.abbrev for group in lesson.groups),
    )


@pytest.mark.parametrize("style", STYLES)
def test_a_student_sees_its_own_class_subjects_and_teachers(serve: Serve, style: Style) -> None:
    school = small_school(style=style, needs_language=True)
    with client_at(served(serve, school)) as client:
        for pupil in school.pupils:
            account = client.account(account_of(school.account_of(pupil)), Vault())
            user, subjects, week = account.user(), account.subjects(), account.timetable()
            class_ = school.class_(pupil.class_id or "")
            learnt = [(a.subject_id, school.teacher(a.teacher_id)) for a in school.atoms_of_pupil(pupil.code)]
            assert (user.uid, user.code, user.type) == (f"{school.sid}/{pupil.code}", pupil.code, "student")
            assert user.name == pupil.name
            assert (user.school_class, user.study_year) == (item(class_), class_.study_year)
            assert user.semester
            assert {(taught.subject.id, taught.teacher) for taught in subjects.items} == {
                (subject_id, item(teacher)) for subject_id, teacher in learnt
            }
            assert {(taught.teacher and taught.teacher.id, taught.teacher_email) for taught in subjects.items} == {
                (teacher.id, teacher.email or None) for _, teacher in learnt
            }
            assert week.taught == school.subjects_of(pupil.code)
            assert item(class_) in week.classes
            assert (week.has_lessons, week.work_days) == (True, 5)
            assert (subjects.refused, week.refused) == ((), ())
            assert (account.logins, account.spent.requests, account.user_id) == (1, 4, pupil.code)


@pytest.mark.parametrize("style", STYLES)
def test_a_parent_is_not_the_child(serve: Serve, style: Style) -> None:
    school = small_school(style=style)
    pupil = school.pupils[0]
    parent = school.account_of(pupil, "parent")
    with client_at(served(serve, school)) as client:
        account = client.account(account_of(parent), Vault())
        user = account.user()
        assert (user.code, user.type) == (f"R{pupil.code}", "parents")
        assert user.name == (parent.holder if style == "new" else None)
        assert {taught.subject.id for taught in account.subjects().items} == school.subjects_of(pupil.code)
        with pytest.raises(AccessRefused):
            account.atoms()


@pytest.mark.parametrize("style", STYLES)
def test_a_teacher_sees_the_rosters_of_what_it_teaches(serve: Serve, style: Style) -> None:
    school = small_school(style=style)
    pupils = {pupil.code: pupil for pupil in school.pupils}
    with client_at(served(serve, school)) as client:
        for teacher in school.teachers:
            account = client.account(account_of(school.account_of(teacher)), Vault())
            user, atoms = account.user(), account.atoms()
            assert (user.code, user.name, user.type) == (teacher.id, teacher.name, "teacher")
            assert (user.school_class, user.study_year) == (None, None)
            theirs = school.atoms_of_teacher(teacher.id)
            assert [(atom.id, atom.subject, atom.name, atom.disabled) for atom in atoms.items] == [
                (a.id, item(school.subject(a.subject_id)), one_line(a.name), a.disabled) for a in theirs
            ]
            for atom in theirs:
                sheet = account.sheet(atom.id)
                assert sheet.teachers == (item(teacher),)
                assert [(s.id, s.name, s.class_id, s.released) for s in sheet.students or ()] == [
                    (code, pupils[code].name, pupils[code].class_id, code in atom.released) for code in atom.pupils
                ]
            with pytest.raises(AccessRefused):
                account.subjects()
            with pytest.raises(NotFound):
                account.sheet("no such one")


def test_a_superuser_sees_the_whole_school(serve: Serve) -> None:
    school = small_school()
    with client_at(served(serve, school)) as client:
        account = client.account(account_of(school.accounts["spravce"]), Vault())
        with ThreadPoolExecutor(8) as threads:
            atoms = account.atoms().items
            sheets = list(threads.map(lambda atom: account.sheet(atom.id), atoms))
        enrolled = {
            (student.id, atom.subject.id)
            for atom, sheet in zip(atoms, sheets, strict=True)
            for student in sheet.students or ()
            if not student.released
        }
        assert enrolled == school.enrolled()
        assert account.spent.requests == len(atoms) + 2 == client.spent.requests


@pytest.mark.parametrize("pages", ["rendered", "embedded"])
def test_public_pages_of_either_generation_tell_the_same_truth(
    serve: Serve, pages: Literal["rendered", "embedded"]
) -> None:
    school = small_school(pages=pages)
    week = Week(school)
    with client_at(served(serve, school)) as client:
        lists = client.public_lists()
        assert [(c.id, c.abbrev, c.name) for c in lists.classes] == [
            (c.id, one_line(c.abbrev), None) for c in school.classes
        ]
        assert [(t.id, t.abbrev, t.name) for t in lists.teachers] == [
            (t.id, None, t.name) for t in school.teachers
        ]
        assert [(r.id, r.name) for r in lists.rooms] == [(r.id, r.abbrev) for r in school.rooms]
        for class_ in lists.classes:
            assert list(client.public_lessons("class", class_.id, "permanent")) == [
                shown(school, lesson) for lesson in week.of_class(class_.id)
            ]
        for teacher in lists.teachers:
            assert len(client.public_lessons("teacher", teacher.id, "actual")) == len(
                week.of(school.atoms_of_teacher(teacher.id))
            )


def test_a_school_that_publishes_nothing_says_so(serve: Serve) -> None:
    with client_at(served(serve, small_school(pages="none"))) as client:
        with pytest.raises(AccessRefused, match="publishes no timetable"):
            client.public_lists()
        with pytest.raises(AccessRefused, match="publishes no timetable"):
            client.public_lessons("class", "XL")


@pytest.mark.parametrize(("style", "version"), [("new", "3.23.0"), ("old", "3.8.0")])
def test_a_server_says_its_version_to_whoever_asks(serve: Serve, style: Style, version: str) -> None:
    school = small_school(style=style)
    url = served(serve, school)
    with SchoolClient(f"{url}/") as client:
        assert client.info() == Info(version, client.info().app_version)
        school.down = "unavailable"
        before = client.spent.requests
        with pytest.raises(SourceUnavailable):
            client.info()
        assert client.spent.requests == before + 2


def test_in_summer_there_is_nothing_and_that_is_no_error(serve: Serve) -> None:
    school = small_school(summer=True)
    with client_at(served(serve, school)) as client:
        student = client.account(account_of(school.account_of(school.pupils[0])), Vault())
        teacher = client.account(account_of(school.account_of(school.teachers[0])), Vault())
        assert student.user().semester is None
        assert student.subjects().items == ()
        assert (student.timetable().has_lessons, student.timetable().work_days) == (False, 0)
        assert teacher.atoms().items == ()


def test_a_holiday_has_no_work_days(serve: Serve) -> None:
    school = small_school(holiday=True)
    with client_at(served(serve, school)) as client:
        student = client.account(account_of(school.account_of(school.pupils[0])), Vault())
        assert student.timetable("actual", date(2026, 11, 17)).work_days == 0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("rotates", [True, False])
def test_a_session_outlives_its_tokens_in_every_style(serve: Serve, style: Style, rotates: bool) -> None:
    school = small_school(style=style, rotates=rotates)
    teacher = school.account_of(school.teachers[0])
    vault = Vault()
    with client_at(served(serve, school)) as client:
        account = client.account(account_of(teacher), vault)
        for _ in range(4):
            account.user()
            for token in school.access_tokens.values():
                token.expires = 0
        assert (teacher.password_logins, teacher.refreshes) == (1, 3)
        school.lost_refreshes = 2
        account.user()
        assert (teacher.password_logins, teacher.refreshes) == (1, 6)
        kept = vault.kept[teacher.username].tokens
        assert isinstance(kept, Tokens)
        assert kept.access in school.access_tokens


@pytest.mark.parametrize("style", STYLES)
def test_a_wrong_password_costs_one_attempt_for_ever(serve: Serve, style: Style) -> None:
    school = small_school(style=style)
    teacher = school.account_of(school.teachers[0])
    vault = Vault()
    with client_at(served(serve, school)) as client:
        for _ in range(7):
            with pytest.raises(NeedsLogin):
                client.account(account_of(teacher, "wrong"), vault).user()
        assert teacher.failed_logins == 1
        assert client.account(account_of(teacher), vault).user().code == teacher.code


@pytest.mark.parametrize("style", STYLES)
def test_a_dead_refresh_token_costs_one_login(serve: Serve, style: Style) -> None:
    school = small_school(style=style)
    teacher = school.account_of(school.teachers[0])
    vault = Vault()
    with client_at(served(serve, school)) as client:
        client.account(account_of(teacher), vault).user()
        school.access_tokens.clear()
        for token in school.refresh_tokens.values():
            token.uses = school.refresh_reuses
        assert client.account(account_of(teacher), vault).user().code == teacher.code
        assert teacher.password_logins == 2


def test_the_public_dummy_server_can_be_read(serve: Serve) -> None:
    school = small_school(dummy=True)
    with client_at(served(serve, school)) as client:
        account = client.account(account_of(school.account_of(school.pupils[0]), "1.A"), Vault())
        assert account.user().uid == "1234/the_id"
        school_class = account.user().school_class
        assert school_class
        assert school_class.id == "XL"
        assert client.info().api_version
