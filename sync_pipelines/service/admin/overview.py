"""The first page: how each flow stands, and what needs attention."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from sync_pipelines.service.admin.person import Person
from sync_pipelines.service.admin.shell import page

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/admin")
async def to_the_overview() -> Response:
    """The pages' address as people type it."""
    return RedirectResponse("/admin/", 308)


@router.get("/admin/")
def show_overview(request: Request, person: Person) -> Response:
    """How each flow stands."""
    return page(request, "overview.html", person=person)
