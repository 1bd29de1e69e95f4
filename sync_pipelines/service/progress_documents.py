"""The shapes of the progress API. They describe, and read nothing: `progress.wire` does, lesson by lesson."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from sync_pipelines.progress import wire
from sync_pipelines.progress.merge import MAX_TIME_MS
from sync_pipelines.service.documents import described

__all__ = ["ImportAnswer", "ImportBody", "LessonBody", "LessonNotFound", "LessonRow"]

_WHEN = "2026-01-12T10:20:30.000Z"
_AT = "2026-01-12T10:20:30.000000Z"
# Without a null: the framework leaves those out of examples.
_LESSON = {"seen": True, "completed": False, "percent": 40, "time_ms": 120_000, "score_best": 80}
_LESSON |= {"score_last": 60, "updated_at": _WHEN, "last_seen_at": _WHEN}
_ROW = {"lesson_id": 123, **_LESSON, "updated_at": _AT, "last_seen_at": _AT}
_DEVICE = "0b8e5c2e-7f3c-4a51-9a1e-0d5a6a1f2b3c"

Percent = Annotated[int, Field(ge=0, le=100)]
Score = Annotated[int | None, Field(ge=0, le=100)]
TimeMs = Annotated[int, Field(ge=0, le=MAX_TIME_MS)]


class Lesson(BaseModel):
    """What a device says of a lesson. Fields that are left out say nothing; others are ignored."""

    model_config = described(_LESSON)

    updated_at: datetime = Field(
        description="When the device last changed the lesson. With a zone. The later stamp wins; one in the "
        "future counts as the server's now."
    )
    seen: bool = Field(default=False)
    completed: bool = Field(default=False, description="May go back to false.")
    percent: Percent = Field(default=0)
    time_ms: TimeMs = Field(
        default=0, description="This device's own time, ever, in milliseconds; never that of other devices."
    )
    score_best: Score = Field(default=None, description="The highest that was ever sent is kept.")
    score_last: Score = Field(default=None, description="Null clears it.")
    last_seen_at: datetime | None = Field(default=None, description="With a zone. Null clears it.")


_DeviceId = Annotated[
    str | None,
    Field(
        max_length=wire.DEVICE_ID_LENGTH,
        description="Tells the learner's devices apart, so that their times add up: a random UUID that the device "
        "keeps. No control characters. Left out, null or blank: the one anonymous device.",
    ),
]


class LessonBody(Lesson):
    """One lesson of a device."""

    model_config = described({"device_id": _DEVICE, **_LESSON})

    device_id: _DeviceId = Field(default=None)


class ImportBody(BaseModel):
    """Lessons of a device. One that is wrong is refused by itself."""

    model_config = described({"device_id": _DEVICE, "lessons": {"123": _LESSON}})

    device_id: _DeviceId = Field(default=None)
    lessons: dict[str, Lesson] = Field(
        max_length=wire.LESSONS_AT_ONCE,
        description="By lesson id: digits, without a leading zero.",
    )


class LessonRow(BaseModel):
    """What is known of a lesson of the learner, over all devices. Times have six digits, and Z."""

    model_config = described(_ROW)

    lesson_id: int = Field(ge=1, le=MAX_TIME_MS)
    seen: bool
    completed: bool
    percent: Percent
    time_ms: TimeMs = Field(description="The sum of what each device has spent by itself.")
    score_best: Score
    score_last: Score
    updated_at: datetime = Field(description="When a device last changed it; never in the future.")
    last_seen_at: datetime | None
    device_time_ms: TimeMs = Field(
        default=0, description="Of `time_ms`, that of the device asked about. Only where one was."
    )


class RefusedLesson(BaseModel):
    """A lesson that was not taken. The others were."""

    lesson_id: str = Field(description="As it was sent; cut where it is long.")
    code: str = Field(description="invalid, unknown_lesson or duplicate.")
    field: str | None = Field(description="What is wrong with it; null where it is the whole lesson.")
    reason: str


class ImportAnswer(BaseModel):
    """What became of an import."""

    model_config = described(
        {
            "imported": 1,
            "updated": 1,
            "rejected": [
                {"lesson_id": "7", "code": "invalid", "field": "percent", "reason": "a whole number is expected"}
            ],
        }
    )

    imported: int = Field(ge=0, description="Lessons that were taken.")
    updated: int = Field(ge=0, description="Of these, the new ones and those whose updated_at moved forward.")
    rejected: list[RefusedLesson]


class LessonNotFound(BaseModel):
    """No lesson has this id."""

    detail: str = Field(examples=["Lesson not found."])
