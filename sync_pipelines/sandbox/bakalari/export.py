"""GET {base}/export: the whole school in one JSON, which some schools offer beside the API (contracts/bakalari.md
C17.6). Parents are not in it."""

from __future__ import annotations

from typing import Any

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari.asking import Asked, refused

__all__ = ["export"]


def export(asked: Asked) -> Answer:
    """404 where the school offers none; with a `bulk_token` it wants that as the bearer's."""
    school = asked.school
    if not school.bulk:
        return refused(404, "Nenalezeno.")
    if school.bulk_token is not None and asked.headers.get("authorization") != f"Bearer {school.bulk_token}":
        return refused(401, "Authorization has been denied for this request.")
    class_of = {pupil.code: pupil.class_id for pupil in school.pupils}
    return Answer(
        {
            "complete": school.bulk_complete,
            "classes": [
                {"id": c.id, "abbrev": c.abbrev, "name": c.name, "study_year": c.study_year}
                for c in school.classes
            ],
            "subjects": [{"id": s.id, "abbrev": s.abbrev, "name": s.name} for s in school.subjects],
            "users": [
                *(_user(p.code, "student", p.name, p.class_id, None) for p in school.pupils),
                *(_user(t.id, "teacher", t.name, None, t.email or None) for t in school.teachers),
            ],
            "enrollments": [
                {"user_id": code, "subject_id": subject_id, "class_id": class_of[code]}
                for code, subject_id in sorted(school.enrolled())
            ],
        }
    )


def _user(key: str, kind: str, name: str, class_id: str | None, email: str | None) -> dict[str, Any]:
    return {"id": key, "type": kind, "full_name": name, "class_id": class_id, "email": email}
