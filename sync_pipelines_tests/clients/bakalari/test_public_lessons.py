"""The lessons of public pages, of both generations."""

import json
from html import escape
from typing import Any

import pytest

from sync_pipelines.clients.bakalari.public_lessons import PublicLesson, public_lessons
from sync_pipelines.errors import UnexpectedAnswer

LESSON = PublicLesson(
    day=1,
    hour="2",
    subject_name="Čeština & literatura",
    subject_abbrev="ČJL",
    teacher_name="Novák Jan",
    teacher_abbrev="Nov",
    room="101",
    group="Z8.C sk1, Z9.C sk1",
)
DETAIL: dict[str, Any] = {
    "type": "atom",
    "subjecttext": "Čeština &amp; literatura | po 10.11. | 2 (8:55 - 9:40)",
    "teacher": "Novák Jan",
    "room": "učebna",
    "group": "Z8.C sk1<br/>Z9.C sk1",
    "hasAbsent": False,
    "homeworks": None,
}
ATOM: dict[str, Any] = {
    "Type": "atom",
    "Begin": "08:55:00",
    "SubjectText": "Čeština &amp; literatura",
    "SubjectAbbrev": "ČJL ",
    "TeacherFullname": "Novák Jan",
    "Teacher": "Nov",
    "Room": "101",
    "GroupsNames": "Z8.C sk1<br/>Z9.C sk1",
    "TooltipDetails": json.dumps({"time": "2 (8:55 - 9:40)"}),
}
# What stands among lessons and is none.
GUARD = {"type": "guard", "day": "st", "place": "chodba", "teachers": ["Dozor"]}
OTHERS: list[Any] = [
    *(GUARD, {}, None, [], 5, "x", {"subjecttext": None}, {"subjecttext": " | po | 1 (8:00 - 8:45)"}),
    {"type": "removed", "subjecttext": "st 12.11. | 2 (8:55 - 9:40)", "removedinfo": "x"},
    {"type": "absent", "subjecttext": "x | po | 1"},
]


def rendered(*details: object, day: str = "po") -> str:
    cells = "".join(
        f'<div class="day-item-hover" data-detail="{escape(json.dumps(detail))}"><div class="right">'
        '<div class="first">101</div></div><div class="middle"> ČJL </div>'
        '<div class="bottom"><span>Nov</span></div></div>'
        for detail in details
    )
    return f'<div class="bk-timetable-row"><span class="bk-day-day">{day}</span>{cells}</div>'


def embedded(*atoms: object, before: str = "", day: str = "po") -> str:
    data = {
        "Hours": [{"Caption": "1", "BeginTime": "8:00"}, {"Caption": "2", "BeginTime": "8:55"}],
        "Days": [{"DayAbbrev": day, "Hours": [{"Index": 4, "Begin": "08:55:00", "Atoms": atoms}]}],
    }
    return f"<script>{before}const timetableData = {json.dumps(data)};\nconst x = {{}};</script>"


def test_a_cell_of_an_older_page_is_a_lesson() -> None:
    assert public_lessons(rendered(DETAIL)) == (LESSON,)
    assert public_lessons(rendered(DETAIL, day="")) == (LESSON,)


def test_an_atom_of_a_newer_page_is_a_lesson() -> None:
    assert public_lessons(embedded(ATOM)) == (LESSON,)


def test_the_hour_is_found_by_the_time_where_nothing_captions_it() -> None:
    (lesson,) = public_lessons(embedded(ATOM | {"TooltipDetails": None}))
    assert lesson == LESSON
    (lesson,) = public_lessons(embedded(ATOM | {"TooltipDetails": "{", "Begin": "9:50"}))
    assert lesson.hour is None


def test_data_is_found_behind_code_that_looks_like_it() -> None:
    page = embedded(ATOM, before="var timetableData = {}}; timetableData = null; timetableData = {x: 1};")
    assert public_lessons(page.replace("timetableData = {}}", "timetableData = {,}")) == (LESSON,)


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_lesson_hides_none(other: Any) -> None:
    assert public_lessons(rendered(other, DETAIL, other)) == (LESSON,)
    atom = {"Type": other.get("type"), "TooltipDetails": json.dumps(other)} if isinstance(other, dict) else other
    if not isinstance(other, dict) or other.get("type") or not other.get("subjecttext"):
        assert public_lessons(embedded(atom, ATOM, atom)) == (LESSON,)


@pytest.mark.parametrize("day", ["", "xx", "12.11."])
def test_a_day_that_nothing_names_is_not_guessed(day: str) -> None:
    detail = DETAIL | {"subjecttext": "Čeština"}
    assert [lesson.day for lesson in public_lessons(rendered(detail, day=day))] == [None]
    assert [lesson.day for lesson in public_lessons(embedded(ATOM, day=day))] == [None]


def test_a_week_without_lessons_is_one() -> None:
    assert public_lessons(rendered()) == ()
    assert public_lessons(embedded()) == ()


def test_data_without_days_is_not_a_week_without_lessons() -> None:
    with pytest.raises(UnexpectedAnswer):
        public_lessons('<script>timetableData = {"Hours": []}</script>')


def test_no_repr_shows_a_teacher() -> None:
    assert "Novák" not in repr(public_lessons(embedded(ATOM)))
