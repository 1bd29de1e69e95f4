"""WebToLearn (Polish LMS)."""

from sync_pipelines.clients.webtolearn.client import Records, RefusedRow, WebToLearnClient
from sync_pipelines.clients.webtolearn.records import Course, Lesson, User

__all__ = ["Course", "Lesson", "Records", "RefusedRow", "User", "WebToLearnClient"]
