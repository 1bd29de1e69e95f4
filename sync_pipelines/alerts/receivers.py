"""Who is told: apprise's addresses. Each may hold a secret, so here it is a fingerprint, a scheme and a host."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from sync_pipelines.errors import SettingsError, SourceUnavailable

__all__ = ["Receiver", "receivers"]

# A receiver that takes longer is asked again.
_LONGEST_SECONDS = 15
_WITH_HOST = {"http", "json", "xml", "form", "mailto"}
_loading = threading.Lock()
_HTTP_STATUS = re.compile(r"\berror=(\d{3})\b")


@dataclass(frozen=True)
class Receiver:
    """One address of SYNC_ALERT_URLS; `place` is its place there, from 1."""

    url: str = field(repr=False)
    place: int

    @property
    def fingerprint(self) -> str:
        """What it is remembered by."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """Scheme and host; what stands in the host's place in addresses of services is often a token."""
        scheme = self.url.partition("://")[0].lower()
        try:
            host = urlsplit(self.url).hostname if scheme.removesuffix("s") in _WITH_HOST else None
        except ValueError:
            host = None
        return f"{scheme}://{host or '…'}"

    def send(self, event: str | None, title: str, body: str) -> None:
        """Give it a message. Raises SettingsError where apprise does not know the address, SourceUnavailable where
        the message was not taken."""
        apprise = _apprise()
        kinds = {"start": "failure", "reminder": "warning", "end": "success"}
        service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="sync-pipelines", secure_logging=True))
        if not service.add(self.url):
            raise SettingsError(f"SYNC_ALERT_URLS: address {self.place} ({self}) is none that apprise understands")
        result = service.notify(
            title=title,
            body=body,
            body_format=apprise.NotifyFormat.TEXT,
            notify_type=apprise.NotifyType(kinds.get(event or "", "info")),
            timeout=_LONGEST_SECONDS,
        )
        if not result:
            raise SourceUnavailable(_why_not(result))


def receivers(urls: Iterable[str]) -> list[Receiver]:
    """Those of the settings, each once."""
    return [Receiver(url, place) for place, url in enumerate(dict.fromkeys(urls), start=1)]


@cache
def _apprise() -> Any:
    """Imported where it is used, for that takes long; what it logs may quote addresses."""
    with _loading, warnings.catch_warnings():
        # Its services are imported with the first address, and some use what Python gives up.
        warnings.simplefilter("ignore")
        import apprise

        logging.getLogger("apprise").propagate = False
        apprise.Apprise().add("json://localhost")
    return apprise


def _why_not(result: Any) -> str:
    """In our words: what apprise says may quote the address."""
    if result.status.name == "TIMEOUT":
        return "it did not answer in time"
    said = " ".join(str(entry.message) for entry in result.logs())
    if status := _HTTP_STATUS.search(said):
        return f"it answered {status[1]}"
    return "it cannot be reached" if "onnection" in said else "it did not take the message"
