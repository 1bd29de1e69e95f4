"""Secrets in files, as container platforms hand them out: NAME_FILE is the path of what NAME would hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sync_pipelines.errors import SettingsError

__all__ = ["secret_in_file"]


def secret_in_file(name: str, environment: Mapping[str, str | None]) -> str | None:
    """What the file of NAME_FILE holds; None where that is not set, or the file is empty. Raises SettingsError."""
    path = environment.get(f"{name}_FILE")
    if not path:
        return None
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE ({path}) cannot be read: {error}") from error
    if text and environment.get(name):
        raise SettingsError(f"{name} and {name}_FILE are both set: leave one out")
    return text or None
