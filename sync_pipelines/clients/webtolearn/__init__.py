"""WebToLearn (Polish LMS)."""

from sync_pipelines.clients.webtolearn.client import Probe, Records, RefusedRow, WebToLearnClient
from sync_pipelines.clients.webtolearn.records import Course, Lesson, User

__all__ = ["Course", "Lesson", "Probe", "Records", "RefusedRow", "User", "WebToLearnClient"]
