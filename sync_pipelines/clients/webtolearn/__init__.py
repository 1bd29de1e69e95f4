"""WebToLearn (Polish LMS)."""

from sync_pipelines.clients.webtolearn.client import Probe, WebToLearnClient
from sync_pipelines.clients.webtolearn.records import Course, Grant, Lesson, User, WtlRecord, wtl_id
from sync_pipelines.clients.webtolearn.relation import Relation
from sync_pipelines.clients.webtolearn.rows import Records, RefusedRow

__all__ = [
    "Course",
    "Grant",
    "Lesson",
    "Probe",
    "Records",
    "RefusedRow",
    "Relation",
    "User",
    "WebToLearnClient",
    "WtlRecord",
    "wtl_id",
]
