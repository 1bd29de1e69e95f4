"""Which lesson belongs to which course: seen by all, changed by operators. Each change is one intent, one request.

The page's script asks for the board, the part that changes; without it forms go there and back.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, field_validator
from starlette.responses import RedirectResponse, Response

from sync_pipelines.postgres import mapping, mapping_lists
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.service.access import Store
from sync_pipelines.service.admin.person import Form, LoggedIn, OperatorPerson, Person
from sync_pipelines.service.admin.shell import HEADERS, page
from sync_pipelines.service.refusals import Refused

__all__ = ["router"]

_COURSES = 40
_LESSONS = 30
_LONGEST_SEARCH = 200
_MOST = 10**6

Intent = Literal["pin", "move", "require", "unpin"]
Outcome = Literal[
    "pinned", "already", "moved", "displaced", "required", "optional", "unpinned", "absent", "accepted"
]

router = APIRouter(prefix="/admin/mapping", include_in_schema=False)


class _View(BaseModel):
    """What an address says of a page: the search, the page of what it finds, and what was just done.

    `position` counts from 1. `before` and `required` put a lesson that was taken out back as it was. `version` is
    that of the board which whoever asks has.
    """

    q: str = ""
    page: int = Field(1, ge=1, le=_MOST)
    version: str = ""
    said: Outcome | None = None
    lesson: UUID | None = None
    position: int = Field(0, ge=0, le=_MOST)
    count: int = Field(0, ge=0, le=_MOST)
    before: UUID | None = None
    required: bool = False

    @field_validator("q")
    @classmethod
    def _searchable(cls, q: str) -> str:
        return q.replace("\0", " ").strip()[:_LONGEST_SEARCH]

    @property
    def search(self) -> str:
        """The search and its page, as an address says them."""
        return self.query("q", "page")

    def query(self, *names: str, **others: Any) -> str:
        """All that differs from what is usual, or what has these names, as an address says it."""
        view = self.model_copy(update=others)
        said = view.model_dump(mode="json", exclude_defaults=True, include={*names} if names else None)
        return f"?{urlencode(said)}" if said else ""


View = Annotated[_View, Query()]


@router.get("")
def show_courses(request: Request, database: Store, person: Person, view: View) -> Response:
    """The courses, each with the number of its lessons."""
    with database.session() as session:
        found, total = mapping_lists.find_courses(
            session, view.q, limit=_COURSES, offset=(view.page - 1) * _COURSES
        )
    pages = _pages(total, _COURSES)
    return page(request, "mapping.html", person=person, view=view, found=found, total=total, pages=pages)


@router.get("/{course:uuid}")
def show_course(request: Request, database: Store, person: Person, course: UUID, view: View) -> Response:
    """A course's lessons, and others to choose from."""
    return _show(request, database, person, course, view)


@router.post("/{course:uuid}/lessons/{lesson:uuid}/{intent}")
def change(
    request: Request,
    database: Store,
    person: OperatorPerson,
    course: UUID,
    lesson: UUID,
    intent: Intent,
    view: View,
    form: Form,
) -> Response:
    """Do what a person asks of one lesson, and show what came of it."""
    with database.session() as session:
        done = _do(session, intent, str(course), str(lesson), form)
    if done is None:
        raise _nothing_there()
    return _answer(request, database, person, course, view.model_copy(update=_outcome(intent, lesson, done)))


@router.post("/{course:uuid}/suggestions")
def accept(request: Request, database: Store, person: OperatorPerson, course: UUID, view: View) -> Response:
    """Put all that is suggested into the course."""
    with database.session() as session:
        count = mapping.accept_suggestions(session, str(course))
    if count is None:
        raise _nothing_there()
    view = view.model_copy(update={"said": "accepted", "count": count})
    return _answer(request, database, person, course, view)


def _do(session: Session, intent: Intent, course: str, lesson: str, form: dict[str, str]) -> mapping.Done | None:
    required = form.get("required") == "yes"
    match intent:
        case "pin":
            return mapping.pin(session, course, lesson, _before(form), required=required)
        case "move":
            return mapping.move(session, course, lesson, _before(form))
        case "require":
            return mapping.set_required(session, course, lesson, required)
        case "unpin":
            return mapping.unpin(session, course, lesson)


def _before(form: dict[str, str]) -> str | None:
    given = form.get("before", "")
    try:
        return str(UUID(given)) if given else None
    except ValueError:
        raise Refused(422, "invalid", "`before` is no lesson's id.") from None


def _outcome(intent: Intent, lesson: UUID, done: mapping.Done) -> dict[str, Any]:
    """What is said of it."""
    if done.position is None:
        return {"said": "absent", "lesson": lesson}
    said: Outcome
    match intent:
        case "pin":
            said = "pinned" if done.changed else "already"
        case "move":
            said = "moved"
        case "require":
            said = "required" if done.required else "optional"
        case "unpin":
            said = "unpinned"
    place = {"lesson": lesson, "position": done.position + 1, "count": done.lessons}
    outcome = {"said": "displaced" if done.displaced else said, **place}
    if intent == "unpin":
        outcome |= {"before": done.following and UUID(done.following), "required": done.required}
    return outcome


def _answer(request: Request, database: Database, person: LoggedIn, course: UUID, view: _View) -> Response:
    if _by_script(request):
        return _show(request, database, person, course, view)
    return RedirectResponse(f"/admin/mapping/{course}{view.query()}", 303, HEADERS)


def _show(request: Request, database: Database, person: LoggedIn, course: UUID, view: _View) -> Response:
    """The page, or for its script the board alone: 204 where that is the one which is shown."""
    with database.session() as session:
        board = _board(session, str(course), view)
        # Of the lists alone: what was done is told once, and does not make them other ones.
        version = hashlib.sha256(repr(board).encode()).hexdigest()[:32]
        if version == view.version and view.said is None:
            return Response(status_code=204, headers=HEADERS)
        title = None if view.lesson is None else mapping_lists.one_lesson(session, str(view.lesson))
    name = "mapping_board.html" if _by_script(request) else "mapping_course.html"
    return page(request, name, person=person, view=view, version=version, said_of=title, **board)


def _board(session: Session, course: str, view: _View) -> dict[str, Any]:
    known = mapping_lists.one_course(session, course)
    if known is None:
        raise _nothing_there()
    offset = (view.page - 1) * _LESSONS
    suggested = mapping_lists.suggested_lessons(session, course)
    found, total = mapping_lists.find_lessons(session, course, view.q, limit=_LESSONS, offset=offset)
    return {
        "course": known,
        "mapped": mapping_lists.mapped_lessons(session, course),
        "suggested": suggested,
        "found": found,
        "total": total,
        "pages": _pages(total, _LESSONS),
    }


def _by_script(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def _pages(total: int, each: int) -> int:
    return max(-(-total // each), 1)


def _nothing_there() -> Refused:
    return Refused(404, "not_found", "There is no such course or lesson.")
