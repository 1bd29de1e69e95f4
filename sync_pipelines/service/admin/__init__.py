"""The pages for operators: what is going on, a button for each sync, and which lesson belongs to which course."""

from __future__ import annotations

from fastapi import FastAPI

from sync_pipelines.service.admin import debug, login, mapping, overview, rejects, shell, syncs

__all__ = ["mount"]


def mount(app: FastAPI) -> None:
    """Serve the pages under /admin/."""
    shell.mount(app)
    for part in (login, overview, syncs, mapping, rejects, debug):
        app.include_router(part.router)
