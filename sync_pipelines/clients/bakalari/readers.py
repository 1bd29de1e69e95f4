"""Bakalari's JSON bodies as records. One bad row stops no other: it is refused, with its id alone.

Source of the shapes: contracts/bakalari.md C9–C12 and "Rosters from teacher accounts".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import TypeVar, cast

from sync_pipelines.clients.bakalari.fields import (
    Row,
    boolean,
    day,
    exact_id,
    inner,
    item,
    row_of,
    text,
    year_of_study,
)
from sync_pipelines.clients.bakalari.records import (
    Atom,
    Info,
    Item,
    Refused,
    Rows,
    Sheet,
    SheetStudent,
    Taught,
    Timetable,
    User,
)
from sync_pipelines.clients.json_bodies import kind_of, raise_if_no_objects
from sync_pipelines.errors import SourceError, UnexpectedAnswer

__all__ = ["atoms_of", "info_of", "read_rows", "rows_of", "sheet_of", "subjects_of", "timetable_of", "user_of"]

R = TypeVar("R")


def rows_of(body: Row, name: str) -> list[object]:
    """The list that the body must have under this name. Raises UnexpectedAnswer."""
    rows = body.get(name)
    if not isinstance(rows, list):
        raise UnexpectedAnswer(f"the answer has no list {name} ({kind_of(rows)})")
    rows = cast("list[object]", rows)
    raise_if_no_objects(rows, name)
    return rows


def read_rows(rows: Iterable[object], what: str, read: Callable[[Row], R | None], id_name: str = "Id") -> Rows[R]:
    """Each row read, or refused as a `what`; those that `read` gives None for are no rows at all."""
    items: list[R] = []
    refused: list[Refused] = []
    for row in rows:
        try:
            found = read(row_of(row))
        except SourceError as error:
            refused.append(Refused(what, _id_or_none(row, id_name), str(error)))
        else:
            items += [] if found is None else [found]
    return Rows(tuple(items), tuple(refused))


def _id_or_none(row: object, id_name: str) -> str | None:
    try:
        return exact_id(row_of(row), id_name)
    except SourceError:
        return None


def info_of(body: Row) -> Info:
    """GET api/3 (C2)."""
    return _whole(lambda: Info(text(body, "ApiVersion"), text(body, "ApplicationVersion")), "api/3")


def _whole(read: Callable[[], R], what: str) -> R:
    """Of a body that is one record, a bad field spoils all. Raises UnexpectedAnswer."""
    try:
        return read()
    except SourceError as error:
        raise UnexpectedAnswer(f"{what} cannot be read: {error}") from None


def user_of(body: Row) -> User:
    """GET api/3/user (C9). Raises UnexpectedAnswer."""
    return _whole(lambda: _user(body), "the account's own record")


def _user(body: Row) -> User:
    uid = exact_id(body, "UserUID") or exact_id(body, "UserId")
    code = uid.rpartition("/")[2] if uid else ""
    if not uid or not code.strip():
        raise SourceError("UserUID is missing, or ends before the user's code")
    school_class = item(inner(body, "Class") or {})
    own, shown = text(body, "FullUserName"), text(body, "FullName")
    user_type = text(body, "UserType") or ""
    # A parent's FullName is the child's.
    name = own or (None if user_type.casefold() == "parents" else shown)
    return User(
        uid=uid,
        code=code,
        name=name and _without_class(name, school_class),
        type=user_type,
        school_class=school_class,
        study_year=year_of_study(body, "StudyYear"),
        semester=_semester(body),
        school_name=text(body, "SchoolOrganizationName"),
    )


def _without_class(name: str, school_class: Item | None) -> str:
    """ "Surname Given, 1.A" of class 1.A; what stands after another comma is a part of the name."""
    before, comma, after = name.rpartition(",")
    if comma and school_class and school_class.abbrev and _bare(after) == _bare(school_class.abbrev):
        return before.strip() or name
    return name


def _bare(abbrev: str) -> str:
    return "".join(abbrev.split()).casefold()


def _semester(body: Row) -> tuple[date, date] | None:
    """Its first and last day, as far as the settings tell: they come and go with the season."""
    try:
        common = inner(inner(body, "SettingModules") or {}, "Common") or {}
        semester = inner(common, "ActualSemester") or {}
    except SourceError:
        return None
    first, last = day(semester, "From"), day(semester, "To")
    return (first, last) if first and last else None


def subjects_of(body: Row) -> Rows[Taught]:
    """GET api/3/subjects (C10). Raises UnexpectedAnswer."""
    return read_rows(rows_of(body, "Subjects"), "subject", _taught, "SubjectID")


def _taught(row: Row) -> Taught | None:
    subject = item(row, "SubjectID", "SubjectAbbrev", "SubjectName")
    teacher = item(row, "TeacherID", "TeacherAbbrev", "TeacherName")
    return subject and Taught(subject, teacher, text(row, "TeacherEmail") if teacher else None)


def timetable_of(body: Row) -> Timetable:
    """GET api/3/timetable/… (C11). Raises UnexpectedAnswer."""
    classes = read_rows(rows_of(body, "Classes"), "class", item)
    subjects = read_rows(rows_of(body, "Subjects"), "subject", item)
    teachers = read_rows(rows_of(body, "Teachers"), "teacher", item)
    days = read_rows(rows_of(body, "Days"), "day", _day)
    lessons = [lesson for _, lessons in days.items for lesson in lessons]
    taught = read_rows(lessons, "lesson", lambda row: exact_id(row, "SubjectId"), "SubjectId")
    return Timetable(
        classes=classes.items,
        subjects=subjects.items,
        teachers=teachers.items,
        taught=frozenset(taught.items),
        has_lessons=bool(taught.items),
        work_days=sum(is_work_day for is_work_day, _ in days.items),
        refused=classes.refused + subjects.refused + teachers.refused + days.refused + taught.refused,
    )


def _day(row: Row) -> tuple[bool, list[object]]:
    """Whether it is a work day, and its lessons."""
    lessons = row.get("Atoms")
    if lessons is not None and not isinstance(lessons, list):
        raise SourceError(f"Atoms is not a list ({kind_of(lessons)})")
    return row.get("DayType") == "WorkDay", cast("list[object]", lessons or [])


def atoms_of(body: Row) -> Rows[Atom]:
    """GET api/3/marking/atoms. Raises UnexpectedAnswer."""
    return read_rows(rows_of(body, "Atoms"), "atom", _atom)


def _atom(row: Row) -> Atom | None:
    atom_id = exact_id(row, "Id")
    if atom_id is None:
        return None
    subject = item(inner(row, "Subject") or {})
    if subject is None:
        raise SourceError("it names no subject")
    return Atom(atom_id, text(row, "Name"), subject, boolean(row, "Disabled"))


def sheet_of(body: Row) -> Sheet:
    """GET api/3/marking/marks/{atom}, of which marks are not looked at. Raises UnexpectedAnswer."""
    rows_of(body, "Marks")
    students = _rows_if_any(body, "Students", "student", _student)
    teachers = _rows_if_any(body, "Teachers", "teacher", item)
    return Sheet(
        students=students and students.items,
        teachers=teachers and teachers.items,
        refused=tuple(refused for rows in (students, teachers) if rows for refused in rows.refused),
    )


def _rows_if_any(body: Row, name: str, what: str, read: Callable[[Row], R | None]) -> Rows[R] | None:
    return None if body.get(name) is None else read_rows(rows_of(body, name), what, read)


def _student(row: Row) -> SheetStudent:
    student_id = exact_id(row, "Id")
    if student_id is None:
        # Not a blank row of the summer: somebody is taught here, and nobody can say who.
        raise SourceError("the student has no Id")
    parts = (text(row, name) for name in ("LastName", "FirstName", "MiddleName"))
    name = text(row, "DisplayName") or " ".join(filter(None, parts)) or None
    return SheetStudent(student_id, name, exact_id(row, "ClassId"), boolean(row, "ReleasedOfSubject"))
