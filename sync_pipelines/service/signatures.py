"""Signed calls, as standardwebhooks.com has them: who knows the secret, and when, says this; nobody else could.

It knows neither the framework nor the database.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from typing import Final

from pydantic import SecretStr

from sync_pipelines.errors import SettingsError
from sync_pipelines.log import hide

__all__ = ["TOLERANCE_SECONDS", "NotSigned", "check", "secrets_of", "sign"]

#: How far a call's timestamp may be from the service's clock.
TOLERANCE_SECONDS: Final = 300
_SHORTEST: Final = 16
_ENCODED: Final = "whsec_"
# Without a full stop, which divides what is signed.
_ID = re.compile(r"[!-\-/-~]{1,255}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,15}", re.ASCII)


class NotSigned(ValueError):
    """A call is not signed as it should be. The message says why, without what was sent."""


def secrets_of(variable: str, text: SecretStr | None) -> tuple[bytes, ...]:
    """The secrets that a variable holds, each good by itself; none where it is unset.

    Raises SettingsError, which quotes none, where one is too short to be a secret.
    """
    given = re.split(r"[\s,]+", text.get_secret_value().strip(", \t\r\n")) if text else []
    secrets = []
    for one in given:
        hide(one)
        try:
            secret = _decoded(one.removeprefix(_ENCODED)) if one.startswith(_ENCODED) else one.encode()
        except ValueError:
            raise SettingsError(f"{variable}: what follows {_ENCODED} is not base64") from None
        if len(secret) < _SHORTEST:
            raise SettingsError(f"{variable}: a secret has at least {_SHORTEST} characters: openssl rand -hex 32")
        secrets.append(secret)
    return tuple(secrets)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def sign(secret: bytes, call_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a call, as it stands in its header."""
    signed = b".".join((call_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def check(
    secrets: Sequence[bytes],
    call_id: Sequence[str],
    timestamp: Sequence[str],
    signature: Sequence[str],
    body: bytes,
    now: float,
) -> str:
    """The id of a call that is signed with one of the secrets, not long ago, by the values of its three headers.

    Raises NotSigned. How long it takes says nothing of the right signature.
    """
    if not (len(call_id) == len(timestamp) == len(signature) == 1):
        raise NotSigned("webhook-id, webhook-timestamp and webhook-signature are needed, each once")
    if not _ID.fullmatch(call_id[0]):
        raise NotSigned("webhook-id is not taken: 1 to 255 visible ASCII characters without a full stop")
    if not _TIMESTAMP.fullmatch(timestamp[0]):
        raise NotSigned("webhook-timestamp is not taken: whole seconds since 1970")
    if abs(now - int(timestamp[0])) > TOLERANCE_SECONDS:
        raise NotSigned(f"webhook-timestamp is more than {TOLERANCE_SECONDS} s off the service's clock")
    good = [sign(secret, call_id[0], timestamp[0], body).encode() for secret in secrets]
    shown = [one.encode("utf-8", "replace") for one in signature[0].split()]
    # Each with each, whether one fits or not.
    fits = [hmac.compare_digest(one, right) for one in shown for right in good]
    if True not in fits:
        raise NotSigned("webhook-signature does not fit")
    return call_id[0]
