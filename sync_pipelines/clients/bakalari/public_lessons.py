"""The lessons of one public timetable page, of either generation. Source: contracts/bakalari.md C13.

Newer servers put them into a script as `timetableData = {…}`, older ones into each cell's `data-detail`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any, cast

from selectolax.lexbor import LexborHTMLParser, LexborNode

from sync_pipelines.clients.bakalari.public import unknown_page
from sync_pipelines.errors import UnexpectedAnswer

__all__ = ["PublicLesson", "public_lessons"]

_DAYS = "po", "út", "st", "čt", "pá", "so", "ne"
_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PublicLesson:
    """A lesson of a public page. `day` counts from 1 for Monday, `hour` is as captioned; None where not said."""

    day: int | None
    hour: str | None
    subject_name: str
    subject_abbrev: str | None
    teacher_name: str | None = field(repr=False)
    teacher_abbrev: str | None
    room: str | None
    group: str | None


def public_lessons(html: str) -> tuple[PublicLesson, ...]:
    """What is taught on this page: guards, absences, events and removed lessons are not. Raises SourceError."""
    page = LexborHTMLParser(html)
    data = _timetable_data(page)
    if data is not None:
        return tuple(_of_data(data))
    if page.css_first(".bk-timetable-row") is None:
        raise unknown_page(page, "no lessons, nor days that could have some")
    return tuple(_of_rows(page.css(".bk-timetable-row")))


# --- newer servers --------------------------------------------------------------------------------------------


def _timetable_data(page: LexborHTMLParser) -> _Object | None:
    for script in page.css("script"):
        code = script.text()
        for match in re.finditer(r"\btimetableData\s*=\s*", code):
            try:
                data, _ = json.JSONDecoder().raw_decode(code, match.end())
            except (ValueError, RecursionError):
                continue
            if isinstance(data, dict):
                return cast("_Object", data)
    return None


def _of_data(data: _Object) -> Iterator[PublicLesson]:
    if not isinstance(data.get("Days"), list):
        raise UnexpectedAnswer("the public timetable's data has no list of days: it is not as it used to be")
    captions = {_minutes(hour.get("BeginTime")): _line(hour.get("Caption")) for hour in _objects(data, "Hours")}
    for day in _objects(data, "Days"):
        for hour in _objects(day, "Hours"):
            for atom in _objects(hour, "Atoms"):
                tip = _json_object(atom.get("TooltipDetails"))
                name = _line(atom.get("SubjectText")) or _line(tip.get("subjecttext"))
                if not name or _line(atom.get("Type")) not in (None, "atom"):
                    continue
                begin = _minutes(atom.get("Begin")) or _minutes(hour.get("Begin"))
                yield PublicLesson(
                    day=_weekday(day.get("DayAbbrev")),
                    hour=_caption(tip.get("time")) or captions.get(begin),
                    subject_name=name,
                    subject_abbrev=_line(atom.get("SubjectAbbrev")),
                    teacher_name=_line(atom.get("TeacherFullname")) or _line(tip.get("teacher")),
                    teacher_abbrev=_line(atom.get("Teacher")),
                    room=_line(atom.get("Room")) or _line(tip.get("room")),
                    group=_groups(atom.get("GroupsNames")) or _line(tip.get("group")),
                )


def _objects(within: _Object, name: str) -> Iterator[_Object]:
    rows = within.get(name)
    if isinstance(rows, list):
        yield from (cast("_Object", row) for row in cast("list[object]", rows) if isinstance(row, dict))


def _groups(value: object) -> str | None:
    """Several stand one below the other."""
    return _line(re.sub(r"(?i)<br\s*/?>", ", ", value)) if type(value) is str else None


# --- older servers --------------------------------------------------------------------------------------------


def _of_rows(rows: Iterable[LexborNode]) -> Iterator[PublicLesson]:
    for row in rows:
        day = _shown(row, ".bk-day-day")
        for cell in row.css(".day-item-hover[data-detail]"):
            detail = _json_object(cell.attributes.get("data-detail"))
            name, when, at, *_ = [*map(_line, f"{detail.get('subjecttext') or ''}".split("|")), None, None]
            if not name or _line(detail.get("type")) not in (None, "atom"):
                continue
            yield PublicLesson(
                day=_weekday(day) or _weekday(when),
                hour=_caption(detail.get("time")) or _caption(at),
                subject_name=name,
                subject_abbrev=_shown(cell, ".middle"),
                teacher_name=_line(detail.get("teacher")),
                teacher_abbrev=_shown(cell, ".teacher-name") or _shown(cell, ".bottom"),
                room=_shown(cell, ".first") or _line(detail.get("room")),
                group=_groups(detail.get("group")),
            )


def _shown(node: LexborNode, what: str) -> str | None:
    found = node.css_first(what)
    return None if found is None else " ".join(found.text().split()) or None


# --- both -----------------------------------------------------------------------------------------------------


def _json_object(value: object) -> _Object:
    """An object, or one written out as JSON; an empty one for anything else, as guards and absences carry."""
    if type(value) is str:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return cast("_Object", value) if isinstance(value, dict) else {}


def _line(value: object) -> str | None:
    """A text on one line. Some servers encode entities twice: once for the page, which is undone, once here."""
    return " ".join(unescape(value).split()) or None if type(value) is str else None


def _weekday(value: object) -> int | None:
    """1 for "po" or "po 10.11."."""
    word = value.casefold().split()[:1] if type(value) is str else []
    return _DAYS.index(word[0]) + 1 if word and word[0] in _DAYS else None


def _caption(value: object) -> str | None:
    """The 2 of "2 (8:55 - 9:40)"."""
    found = re.match(r"\s*([^\s(]+)\s*\(", value) if type(value) is str else None
    return found[1] if found else None


def _minutes(value: object) -> int | None:
    """Of "8:55", or of "08:55:00", since midnight."""
    found = re.match(r"\s*([0-9]{1,2}):([0-9]{2})", value) if type(value) is str else None
    return int(found[1]) * 60 + int(found[2]) if found else None
