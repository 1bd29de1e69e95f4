"""The trigger API: ask for a sync, and look what became of it."""

from __future__ import annotations

from fastapi import APIRouter

__all__ = ["router"]

router = APIRouter(prefix="/api/sync", tags=["sync"])
