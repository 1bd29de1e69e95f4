"""The three flows: files → landed lessons → merged rows → a summary by course."""

from __future__ import annotations

from collections.abc import Iterator

from sync_pipelines.errors import NotSetUp
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.progress.inbox import Inbox
from sync_pipelines.flows.progress.landing import REFUSED, land_files
from sync_pipelines.flows.progress.summary import show_summary, summarise
from sync_pipelines.flows.spec import Finding, LocalFlow, LocalRun, Upstream
from sync_pipelines.postgres import tables
from sync_pipelines.postgres.progress_bulk import count_landed, merge_landed
from sync_pipelines.settings import Settings

__all__ = ["COURSE_SUMMARY", "IMPORTS", "LESSON_PROGRESS", "PROGRESS"]


def _origin(settings: Settings) -> str:
    inbox = Inbox.of(settings).folder
    if not inbox.is_dir():
        raise NotSetUp(
            f"there is no inbox for learning progress: `sync-pipelines run progress` or `serve` makes {inbox}"
        )
    return str(inbox)


def _probe(settings: Settings) -> Iterator[Finding]:
    inbox = Inbox(Inbox.of(settings).folder)
    where = _origin(settings)
    waiting, aside = sum(1 for _ in inbox.waiting()), inbox.set_aside_count()
    yield Finding("inbox", "ok", f"{where}: {waiting} files to import")
    if aside:
        yield Finding("inbox", "warning", f"{aside} files set aside in {where}/_set_aside, each with its reason")
    with open_database(settings).session() as session:
        landed = count_landed(session)
    yield Finding("landed lessons", "ok", f"{landed} to merge, those of lessons that no platform has included")


PROGRESS = Upstream(
    "progress",
    "progress",
    "UTC",
    origin=_origin,
    probe=_probe,
    set_up=lambda settings: Inbox.of(settings).make(),
)


def _merge(run: LocalRun) -> None:
    """Merge what has landed. A plan only says how much that is."""
    if run.plan:
        run.facts["landed"] = count_landed(run.session)
    else:
        for merged in merge_landed(run.session):
            run.tally.created += merged.created
            run.tally.updated += merged.updated
            run.tally.skipped += merged.skipped
            run.on_read(run.tally.created + run.tally.updated + run.tally.skipped, None)
        if waiting := count_landed(run.session):
            lessons = "1 lesson waits" if waiting == 1 else f"{waiting} lessons wait"
            run.tally.error(f"{lessons} until a platform has such a lesson")
        run.facts["waiting"] = waiting
    run.tally.complete = True


IMPORTS = LocalFlow(
    stream="progress/imports",
    upstream=PROGRESS,
    description=(
        "Takes in the state files that devices exported offline, dropped into `SYNC_HOME/inbox/`: each is "
        "claimed, its lessons land in the database, and it is archived, or set aside with the reason beside it."
        "\n\n"
        "A file says whose it is by `user_id`, or lies in a folder of that name. `created` counts files, "
        "`skipped` those that came before, `failed` those that were set aside."
    ),
    table=tables.learning.device_states,
    work=land_files,
    system=REFUSED,
)

LESSON_PROGRESS = LocalFlow(
    stream="progress/lesson_progress",
    upstream=PROGRESS,
    description=(
        "What each learner did in each lesson, merged without loss: the newest change wins, the best score stays, "
        "and each device's own time counts once.\n\n"
        "The API writes the same rows by the same rules. `waiting` are lessons that no platform has yet: they are "
        "merged once it does."
    ),
    table=tables.learning.lesson_progress,
    work=_merge,
    after=(IMPORTS.stream,),
)

COURSE_SUMMARY = LocalFlow(
    stream="progress/course_summary",
    upstream=PROGRESS,
    description=(
        "What the learners have done in each course: lessons seen and completed, average percent, time.\n\n"
        "A course has the lessons of the local mapping (`wtl.course_lessons`), or else those that the platform "
        "shows it with (`wtl.remote_course_lessons`)."
    ),
    table=tables.learning.course_summary,
    work=summarise,
    after=(LESSON_PROGRESS.stream,),
    show=show_summary,
)
