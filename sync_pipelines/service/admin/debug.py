"""What a platform really does with the lessons of a course, asked from a page: `debug wtl lessons` for people."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sync_pipelines.clients.webtolearn import wtl_id
from sync_pipelines.clients.webtolearn.diagnosis import diagnose_lessons
from sync_pipelines.clients.webtolearn.findings import Diagnosis
from sync_pipelines.errors import SettingsError, SourceError
from sync_pipelines.log import redact
from sync_pipelines.service.access import Store
from sync_pipelines.service.admin.overview import courses_to_choose
from sync_pipelines.service.admin.person import Form, LoggedIn, OperatorPerson, Person
from sync_pipelines.service.admin.shell import page
from sync_pipelines.settings import Settings

__all__ = ["router"]

router = APIRouter(prefix="/admin/debug", include_in_schema=False)


@router.get("")
def show_debug(request: Request, person: Person, database: Store) -> Response:
    """Where a course is chosen."""
    return _show(request, person, courses_to_choose(database))


@router.post("/lessons")
async def debug_lessons(request: Request, person: OperatorPerson, database: Store, form: Form) -> Response:
    """Ask about a course. It sends some 15 requests, and writes nothing."""
    course = form.get("course", "").strip()
    courses = await run_in_threadpool(courses_to_choose, database)
    found, wrong, said = None, None, ""
    try:
        found = await run_in_threadpool(_diagnose, request.app.state.settings, course)
    except ValueError:
        wrong = "debug.no_id"
    except SettingsError:
        wrong = "debug.not_set_up"
    except SourceError as error:
        wrong, said = "debug.no_answer", redact(str(error))
    return _show(request, person, courses, course, found, wrong, said)


def _diagnose(settings: Settings, course: str) -> Diagnosis:
    """Raises ValueError for what is no course's id, SettingsError, or SourceError."""
    try:
        course = wtl_id(course)
    except SourceError as error:
        raise ValueError(str(error)) from None
    return diagnose_lessons(*settings.webtolearn(), course)


def _show(
    request: Request,
    person: LoggedIn,
    courses: dict[str, str],
    course: str = "",
    found: Diagnosis | None = None,
    wrong: str | None = None,
    said: str = "",
) -> Response:
    return page(
        request,
        "debug.html",
        person=person,
        courses=courses,
        course=course,
        found=found,
        facts=_facts(found) if found else [],
        wrong=wrong,
        said=said,
    )


def _facts(found: Diagnosis) -> list[tuple[str, str, str]]:
    """What was found out, a line each: what of, a word for it, and a sentence."""
    observed = {
        "course": found.course,
        "relation": found.relation,
        "range": found.range,
        "sort_by_id": found.sort_by_id,
        "sort_by_order": found.sort_by_order,
        "content_range": found.content_range,
    }
    return [(name, seen.state.replace("_", " "), seen.why) for name, seen in observed.items()]
