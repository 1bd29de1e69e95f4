"""The shapes of the trigger API."""

from __future__ import annotations

from pydantic import BaseModel

__all__ = ["SyncBody"]


class SyncBody(BaseModel):
    """What to sync: everything, or some of it."""
