"""What is known of a school in the tables' terms: schools, classes, subjects, users, enrollments.

Source of the rules: contracts/bakalari.md D3 (metadata), D5 (roles), D6 (e-mail), D7 (grades), D13 (codes).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sync_pipelines.core import ExternalKey, MappingError, Payload, Projection
from sync_pipelines.flows.bakalari.grades import grade_of
from sync_pipelines.flows.bakalari.observing import ROLES
from sync_pipelines.flows.bakalari.snapshot import Value
from sync_pipelines.flows.spec import Lookup

__all__ = [
    "Fields",
    "SchoolMapper",
    "class_mapper",
    "enrollment_mapper",
    "school_mapper",
    "subject_mapper",
    "user_mapper",
]

Fields = Mapping[str, Value]


@dataclass(frozen=True)
class SchoolMapper:
    """Maps one kind of a school's things: `columns` are its row, `note` stands beside its binding."""

    kind: str
    school: str
    lookup: Lookup
    columns: Callable[[str, Fields, Lookup], dict[str, Any]]
    note: Callable[[str, Fields], dict[str, Any]]
    version: str = "1"

    def validate(self, key: ExternalKey, payload: Payload[Fields]) -> None:
        """The rules are those of `columns`, which raises MappingError."""

    def map(self, key: ExternalKey, payload: Payload[Fields]) -> Projection:
        return Projection(self.kind, self.columns(self.school, payload.data, self.lookup))

    def metadata(self, key: ExternalKey, payload: Payload[Fields]) -> Mapping[str, Any]:
        return self.note(self.school, payload.data)


def school_mapper(lookup: Lookup, school: str) -> SchoolMapper:
    """Into bakalari.schools."""

    def columns(school: str, fields: Fields, lookup: Lookup) -> dict[str, Any]:
        return {"id": school, "name": fields["name"], "base_url": fields["base_url"]}

    return SchoolMapper("bakalari.schools", school, lookup, columns, lambda school, fields: {"school": school})


def class_mapper(lookup: Lookup, school: str) -> SchoolMapper:
    """Into bakalari.classes. A grade that nobody says is not written: what is there stays, and else it is 1."""

    def columns(school: str, fields: Fields, lookup: Lookup) -> dict[str, Any]:
        abbrev, grade = _text(fields.get("abbrev")), _grade(fields)
        name = _text(fields.get("name")) or abbrev
        row = {"school_id": school, "external_id": fields["id"], "abbrev": abbrev, "name": name}
        return {**row, "grade_guessed": grade is None, **({} if grade is None else {"grade": grade})}

    def note(school: str, fields: Fields) -> dict[str, Any]:
        known = {"bakalariClassId": fields["id"], "bakalariClassAbbrev": _text(fields.get("abbrev"))}
        return known if _grade(fields) else {**known, "gradeGuessed": True}

    return SchoolMapper("bakalari.classes", school, lookup, columns, note)


def subject_mapper(lookup: Lookup, school: str) -> SchoolMapper:
    """Into bakalari.subjects."""

    def columns(school: str, fields: Fields, lookup: Lookup) -> dict[str, Any]:
        name = _text(fields.get("name")) or _text(fields.get("abbrev")) or fields["id"]
        return {"school_id": school, "external_id": fields["id"], "code": fields["code"], "name": name}

    def note(school: str, fields: Fields) -> dict[str, Any]:
        return {"bakalariSubjectId": fields["id"], "bakalariSubjectCode": fields["code"]}

    return SchoolMapper("bakalari.subjects", school, lookup, columns, note)


def user_mapper(lookup: Lookup, school: str) -> SchoolMapper:
    """Into bakalari.users."""

    def columns(school: str, fields: Fields, lookup: Lookup) -> dict[str, Any]:
        user_type, code, name = str(fields["type"]), str(fields["code"]), _text(fields.get("name"))
        if name is None:
            raise MappingError("nobody says a name")
        of_class = fields.get("class_id")
        if user_type == "student" and of_class is None:
            raise MappingError("a student without a class: it is taken once the class is known")
        return {
            "school_id": school,
            "external_id": code,
            "user_type": user_type,
            "user_uid": fields.get("uid"),
            "full_name": name,
            "email": _text(fields.get("email")) or _made_address(school, user_type, code),
            "role": ROLES[user_type],
            "class_id": of_class and lookup.internal_id(f"bakalari:{school}:class", str(of_class)),
        }

    def note(school: str, fields: Fields) -> dict[str, Any]:
        return {"bakalariUserId": fields.get("uid") or fields["code"], "bakalariUserType": fields["type"]}

    return SchoolMapper("bakalari.users", school, lookup, columns, note)


def enrollment_mapper(lookup: Lookup, school: str) -> SchoolMapper:
    """Into bakalari.enrollments."""

    def columns(school: str, fields: Fields, lookup: Lookup) -> dict[str, Any]:
        if fields["class_id"] is None:
            raise MappingError("the student's class is not known")
        return {
            "school_id": school,
            "external_id": fields["key"],
            "user_id": lookup.internal_id(f"bakalari:{school}:user", str(fields["user"])),
            "subject_id": lookup.internal_id(f"bakalari:{school}:subject", str(fields["subject"])),
            "class_id": lookup.internal_id(f"bakalari:{school}:class", str(fields["class_id"])),
        }

    def note(school: str, fields: Fields) -> dict[str, Any]:
        return {"userId": fields["user"], "subjectId": fields["subject"], "classId": fields["class_id"]}

    return SchoolMapper("bakalari.enrollments", school, lookup, columns, note)


def _grade(fields: Fields) -> int | None:
    abbrev, study_year = fields.get("abbrev"), fields.get("study_year")
    return grade_of(_text(abbrev), study_year if isinstance(study_year, int) else None)


def _text(value: Value) -> str | None:
    return str(value) if value is not None and str(value).strip() else None


def _made_address(school: str, user_type: str, code: str) -> str:
    """An address that nobody has: readable, the same whenever it is made, and no two people's (D6)."""
    plain = unicodedata.normalize("NFKD", code).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:30].strip("-") or user_type
    digest = hashlib.sha256(ascii((school, user_type, code)).encode()).hexdigest()
    return f"{slug}-{digest[:10]}@bakalari.local"
