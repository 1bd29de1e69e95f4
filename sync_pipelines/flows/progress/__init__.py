"""Learning progress as flows: devices' state files are taken in, merged, and summed up by course."""

from sync_pipelines.flows.progress.flow import COURSE_SUMMARY, IMPORTS, LESSON_PROGRESS, PROGRESS

__all__ = ["COURSE_SUMMARY", "IMPORTS", "LESSON_PROGRESS", "PROGRESS"]
