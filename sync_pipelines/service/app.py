"""The service put together. Each part of it is a router of its own; what they share is around all of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from sync_pipelines import __version__
from sync_pipelines.flows.database import open_database
from sync_pipelines.service import admin, demo_page, documents, health, progress, trigger, webhooks
from sync_pipelines.service.envelope import Envelope
from sync_pipelines.service.orchestrator import Orchestrator
from sync_pipelines.service.progress_documents import ImportBody, LessonBody
from sync_pipelines.service.refusals import answer_refusals
from sync_pipelines.service.runs import Runs
from sync_pipelines.service.throttle import Throttle
from sync_pipelines.service.trigger_documents import SyncBody
from sync_pipelines.settings import Settings

__all__ = ["make_app"]

_CONNECTIONS = 10


def make_app(settings: Settings) -> FastAPI:
    """The service. It connects to nothing before it is asked. Raises SettingsError where no database is set."""
    webhooks.require_good_secrets(settings)
    database = open_database(settings, "serve", pool_size=_CONNECTIONS)

    @asynccontextmanager
    async def until_it_ends(app: FastAPI) -> AsyncGenerator[None, None]:
        async with (
            Orchestrator(settings.dagster_api) as orchestrator,
            Runs(orchestrator, database) as app.state.runs,
        ):
            yield
        database.engine.dispose()

    app = FastAPI(
        title="sync-pipelines",
        version=__version__,
        description="Asking for a sync, and learners' progress: docs/service.md, docs/progress-api.md.",
        openapi_url="/api/openapi.json",
        # The framework's pages of the document load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        lifespan=until_it_ends,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.throttle = Throttle()
    app.state.readiness = health.Readiness(settings, database)
    app.add_middleware(Envelope)
    answer_refusals(app)
    app.include_router(health.router)
    app.include_router(trigger.router)
    app.include_router(webhooks.router)
    app.include_router(progress.router)
    admin.mount(app)
    demo_page.mount(app)
    documents.complete(app, [SyncBody, LessonBody, ImportBody])
    return app
