"""Bakalari's flow: a school is read once, lands, and is synced into classes, subjects, users and enrollments."""

from sync_pipelines.flows.bakalari.flow import ROSTERS
from sync_pipelines.flows.bakalari.schools import BAKALARI, SCHOOLS

__all__ = ["BAKALARI", "ROSTERS", "SCHOOLS"]
