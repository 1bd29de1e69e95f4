"""Calls of upstreams that say what has changed: each is written down, and a run for many of them follows."""

from __future__ import annotations

from fastapi import APIRouter

__all__ = ["router"]

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])
