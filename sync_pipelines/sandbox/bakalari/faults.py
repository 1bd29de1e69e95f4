"""What can go wrong at a school, by name: answers that the server gives in place of doing anything, and
answers that are spoilt on their way."""

from __future__ import annotations

import json

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.faults import (
    CONNECTIONS,
    ENCODINGS,
    SERVER_ERRORS,
    becomes,
    from_elsewhere,
    rewrites,
    says,
)
from sync_pipelines.sandbox.switching import Act, Fault, SwitchedOn

__all__ = ["DENIED", "FAULTS", "LOGIN_PAGE", "REFUSALS", "SPOILT", "UNAVAILABLE", "message"]

LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Přihlášení</title></head><body><form method='post' action='login'>"
    "<input name='username'><input type='password' name='password'></form></body></html>"
)
UNAVAILABLE = (
    "<html><head><title>Service Unavailable</title></head><body><h2>Service Unavailable</h2></body></html>"
)


def message(text: str) -> str:
    """The body of a resource's error (contracts/bakalari.md C6)."""
    return json.dumps({"Message": text}, ensure_ascii=False)


DENIED = message("Authorization has been denied for this request.")


def _retry_after(answer: Answer, on: SwitchedOn) -> None:
    answer.say(429, message("Too many requests."))
    answer.headers["Retry-After"] = f"{on.seconds:g}"


def _without(field: str) -> Act:
    def act(answer: Answer, on: SwitchedOn) -> None:
        if isinstance(answer.value, dict):
            answer.value.pop(field, None)

    return act


def _odd_expiry(answer: Answer, on: SwitchedOn) -> None:
    if isinstance(answer.value, dict):
        answer.value["expires_in"] = ("3599", 0, -1, None)[(on.used - 1) % 4]


def _begins(text: bytes) -> Act:
    """The first object of the body begins with this."""
    return rewrites(lambda body: body.replace(b"{", b"{" + text, 1))


REFUSALS: dict[str, Fault] = {
    **SERVER_ERRORS,
    "unavailable": Fault("503 with a web server's HTML page.", from_elsewhere(503, UNAVAILABLE)),
    "rate-limit": Fault("429 without Retry-After.", says(429, message("Too many requests."))),
    "rate-limit-retry-after": Fault("429 with Retry-After: `seconds`.", _retry_after),
    "denied": Fault("401 without a usable header, however good the token is.", says(401, DENIED)),
    "forbidden": Fault("403: a privilege is missing.", says(403, message("Some privilege is missing (CanRead)"))),
    "not-found": Fault("404 with a web server's HTML page.", from_elsewhere(404, "<h1>404 Not Found</h1>")),
    "login-page": Fault("200 with the HTML of the login page.", from_elsewhere(200, LOGIN_PAGE)),
}
SPOILT: dict[str, Fault] = {
    **CONNECTIONS,
    **ENCODINGS,
    "empty-body": Fault("200 and not a byte of a body.", says(200, "")),
    "null": Fault("null in place of the value.", becomes(value=None, text=None)),
    "no-refresh-token": Fault("A login's answer has no refresh_token.", _without("refresh_token")),
    "odd-expires-in": Fault(
        'A login\'s answer has an expires_in that is none: "3599", 0, -1, null, in turn.', _odd_expiry
    ),
    "no-expires-in": Fault("A login's answer has no expires_in.", _without("expires_in")),
    "nan": Fault("The first object has NaN.", _begins(b'"order":NaN,')),
    "duplicate-keys": Fault("The first object has a key twice.", _begins(b'"x":1,"x":2,')),
    "deep-nesting": Fault(
        "The first object has lists in lists, 100,000 deep.",
        _begins(b'"meta":' + b"[" * 100_000 + b"]" * 100_000 + b","),
    ),
}
FAULTS: dict[str, Fault] = REFUSALS | SPOILT
