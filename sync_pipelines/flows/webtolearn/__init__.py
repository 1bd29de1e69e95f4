"""WebToLearn's flows: the platform's whole lists, and what is read a course at a time."""

from sync_pipelines.flows.webtolearn.by_course import COURSE_LESSONS, COURSE_USERS, WTL_COURSES
from sync_pipelines.flows.webtolearn.lists import COURSES, LESSON_CATALOG, USERS
from sync_pipelines.flows.webtolearn.platform import WEBTOLEARN

__all__ = [
    "COURSES",
    "COURSE_LESSONS",
    "COURSE_USERS",
    "LESSON_CATALOG",
    "USERS",
    "WEBTOLEARN",
    "WTL_COURSES",
]
