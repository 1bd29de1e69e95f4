"""Bakalari as a server: many schools, each with its logins, JSON endpoints and public timetable as they are known
(contracts/bakalari.md), over invented data."""

from sync_pipelines.sandbox.bakalari.app import bakalari_app
from sync_pipelines.sandbox.bakalari.faults import FAULTS
from sync_pipelines.sandbox.bakalari.records import (
    Account,
    Atom,
    Kind,
    Pupil,
    Room,
    SchoolClass,
    Subject,
    Teacher,
    Token,
)
from sync_pipelines.sandbox.bakalari.school import School

__all__ = [
    "FAULTS",
    "Account",
    "Atom",
    "Kind",
    "Pupil",
    "Room",
    "School",
    "SchoolClass",
    "Subject",
    "Teacher",
    "Token",
    "bakalari_app",
]
