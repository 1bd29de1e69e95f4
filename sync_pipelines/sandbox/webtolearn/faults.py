"""What can go wrong on the way to a list, by name: error bodies as recorded (contracts/wtl.md A9, A10),
wrong shapes and wrong bytes. Defects of single rows are in row_defects.py."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from email.utils import formatdate

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
from sync_pipelines.sandbox.webtolearn.invention import is_row
from sync_pipelines.sandbox.webtolearn.row_defects import ROW_DEFECTS, text_field

__all__ = ["API_LIMIT", "FAULTS", "LOGIN", "NOT_AUTHENTICATED"]

NOT_AUTHENTICATED = '{"Status":{"message":"Not authenticated"},"Code":403}'
# Two bodies that are not JSON, as the vendor shows them (A9 c, d).
API_LIMIT = '{\n  "Status": [ "message": "You have reached your API call limit"],\n  "Code" 429\n}'
_USER_LIMIT = '{\n    "Status": [{"message":"The user limit has been reached"}]\n    "Code": 402\n}'
_NOT_UNIQUE = "The email field must contain a unique value.\nThe username field must contain a unique value.\n"
LOGIN = '<!DOCTYPE html><html><body><form action="/login" method="post"><input name="email"></form></body></html>'


def _error(status: int, message: str) -> Act:
    return says(status, json.dumps({"success": False, "message": message}, separators=(",", ":")))


def _retry_after(answer: Answer, on: SwitchedOn) -> None:
    answer.say(429, API_LIMIT)
    answer.headers |= {"X-RateLimit-Remaining-Minute": "0", "Retry-After": f"{on.seconds:g}"}


def _retry_date(answer: Answer, on: SwitchedOn) -> None:
    answer.say(429, API_LIMIT)
    when = formatdate(answer.now + on.seconds, usegmt=True)
    answer.headers |= {"X-RateLimit-Remaining-Minute": "0", "Retry-After": when}


def _licence(answer: Answer, on: SwitchedOn) -> None:
    answer.say(402, '{"Status":[{"message":"The user limit has been reached"}],"Code":402}')


def _first_row(text: bytes) -> Act:
    """The first row of the page begins with this."""
    return rewrites(lambda body: body.replace(b"[{", b"[{" + text, 1))


def _shape(made: Callable[[list[object]], object]) -> Act:
    def act(answer: Answer, on: SwitchedOn) -> None:
        answer.value = made(answer.listing.rows)

    return act


def _no_range(answer: Answer, on: SwitchedOn) -> None:
    answer.headers.pop("Content-Range", None)


def _bad_range(answer: Answer, on: SwitchedOn) -> None:
    page = answer.listing
    forms = "*/0", f"{page.resource} x", page.content_range(end=page.total + 1000)
    answer.headers["Content-Range"] = forms[(on.used - 1) % 3]


def _small_total(answer: Answer, on: SwitchedOn) -> None:
    page = answer.listing
    answer.headers["Content-Range"] = page.content_range(total=max(len(page.rows) - 1, 0))


def _empty(answer: Answer, on: SwitchedOn) -> None:
    answer.listing.rows.clear()
    answer.headers["Content-Range"] = answer.listing.content_range(total=0)


def _empty_first_page(answer: Answer, on: SwitchedOn) -> None:
    if answer.listing.first == 0:
        answer.listing.rows.clear()


def _repeated_id(answer: Answer, on: SwitchedOn) -> None:
    rows = answer.listing.rows
    if len(rows) > 1 and is_row(rows[0]) and is_row(rows[1]):
        rows[1] = {**rows[1], "id": rows[0]["id"]}


def _latin(answer: Answer, on: SwitchedOn) -> None:
    rows = answer.listing.rows
    if rows and is_row(rows[0]):
        rows[0] = {**rows[0], text_field(rows[0]): "Café"}  # one letter at least that is not ASCII
    answer.rewrites.append(
        lambda body: json.dumps(json.loads(body), ensure_ascii=False).encode("latin-1", "replace")
    )


def _list(sentence: str, act: Act) -> Fault:
    return Fault(sentence, act, about_rows=True)


_ANSWERS = {
    "bad-token": Fault("403, as for a wrong token.", says(403, NOT_AUTHENTICATED)),
    "not-found": Fault(
        "404 with the English message for an unknown id.", _error(404, "Entity training with id 2999 not found\n")
    ),
    "not-found-polish": Fault("404 with a Polish message.", _error(404, "Nie znaleziono żądanego zasobu\n")),
    "bad-request": Fault("400 with a message of two lines.", _error(400, _NOT_UNIQUE)),
    "rate-limit": Fault(
        "429 with the recorded body, which is not JSON, and without Retry-After.",
        says(429, API_LIMIT, X_RateLimit_Remaining_Minute="0"),
    ),
    "rate-limit-retry-after": Fault("429 with Retry-After: `seconds`.", _retry_after),
    "rate-limit-retry-date": Fault("429 with Retry-After as a date, in `seconds`.", _retry_date),
    "hour-used-up": Fault(
        "429, and no request is left in this hour.", says(429, API_LIMIT, X_RateLimit_Remaining_Hour="0")
    ),
    "licence": Fault("402: the licence has run out, or its users have.", _licence),
    "licence-as-400": Fault("400 whose text, which is not JSON, says Code 402.", says(400, _USER_LIMIT)),
    "unknown-route": Fault(
        "404 with an empty body.", lambda answer, on: answer.say(404, "", "text/html", bare=True)
    ),
    "status-201": Fault("201 in place of 200, with the same body.", becomes(status=201)),
    **SERVER_ERRORS,
    "login-page": Fault("200 with the HTML of a login page.", from_elsewhere(200, LOGIN)),
    "redirect": Fault("302 to /login, where the login page is.", from_elsewhere(302, "", Location="/login")),
}
_SHAPES = {
    "object": _list(
        "An object with a number for each row, in place of the list.",
        _shape(lambda rows: {str(i): row for i, row in enumerate(rows)}),
    ),
    "wrapper": _list('The list inside {"data": …}.', _shape(lambda rows: {"data": rows})),
    "null": _list("null in place of the list.", _shape(lambda rows: None)),
    "single-object": _list(
        "The first row alone, in place of the list.", _shape(lambda rows: rows[0] if rows else {})
    ),
    "error-object-200": _list(
        "200 with the platform's error object, in place of the list.",
        _shape(lambda rows: {"success": False, "message": "Entity training with id 2999 not found\n"}),
    ),
    "no-content-range": _list("No Content-Range.", _no_range),
    "bad-content-range": _list(
        "Content-Range is `*/0`, then without numbers, then ends far behind its total, in turn.", _bad_range
    ),
    "total-too-small": _list("The page has one row more than Content-Range's total.", _small_total),
    "empty": _list("200 with an empty list and a total of 0.", _empty),
    "empty-first-page": _list("The first page has no rows; its total stays.", _empty_first_page),
    "repeated-id": _list("The second row of the page has the id of its first.", _repeated_id),
    "unsorted": _list("The rows of the page come backwards.", lambda answer, on: answer.listing.rows.reverse()),
}
_BYTES = {
    **ENCODINGS,
    "wrong-charset": _list("The text is Latin-1, not UTF-8; the first row is a “Café”.", _latin),
    "nan": _list("The first row has NaN.", _first_row(b'"order":NaN,')),
    "duplicate-keys": _list("The first row has an id twice.", _first_row(b'"id":"987654321",')),
    "deep-nesting": _list(
        "The first row has lists in lists, 100,000 deep.",
        _first_row(b'"meta":' + b"[" * 100_000 + b"]" * 100_000 + b","),
    ),
    "giant-number": _list(
        "The first row's id is a number of 5,000 digits.",
        rewrites(lambda body: re.sub(rb'"id":[^,}]*', b'"id":' + b"9" * 5000, body, count=1)),
    ),
}
FAULTS: dict[str, Fault] = _ANSWERS | CONNECTIONS | _SHAPES | _BYTES | ROW_DEFECTS
