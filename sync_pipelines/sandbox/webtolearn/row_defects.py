"""Rows as no row should be, by name. A defect goes by a row's place in its listing, so that a row looks the same
on every page that shows it: each tenth row from the first has it, the others stay good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.switching import Act, Fault, SwitchedOn
from sync_pipelines.sandbox.webtolearn.invention import Row, is_row

__all__ = ["ROW_DEFECTS", "text_field"]


def text_field(row: Row) -> str:
    """The field that holds a row's text: a title, or a user's address."""
    return "name" if "name" in row else "email"


def _each(change: Callable[[Row], Any], *others: Callable[[Row], Any], every: int = 10) -> Act:
    """Changes each tenth row; given several changes, by each of them in turn."""
    changes = (change, *others)

    def act(answer: Answer, on: SwitchedOn) -> None:
        page = answer.listing
        for i, row in enumerate(page.rows):
            turn, rest = divmod(page.first + i, every)
            if rest == 0 and is_row(row):
                page.rows[i] = changes[turn % len(changes)](row)

    return act


def _titled(text: str) -> Act:
    return _each(lambda row: {**row, text_field(row): text})


def _is(field: str, value: Any) -> Callable[[Row], Row]:
    return lambda row: {**row, field: value}


def _becomes(value: Any) -> Callable[[Row], Any]:
    return lambda row: value


def _numbered(row: Row) -> Row:
    return {**row, "id": int(row["id"])} if str(row["id"]).isdecimal() else row


def _alias(row: Row) -> Row:
    return {("title" if field == "name" else field): value for field, value in row.items()}


def _second_address(change: Callable[[str], str]) -> Act:
    """The listing's second row has the address of its first, changed."""

    def act(answer: Answer, on: SwitchedOn) -> None:
        page = answer.listing
        match page.rows:
            case [{"email": str(email)}, {"email": _} as second, *_] if page.first == 0:
                page.rows[1] = {**second, "email": change(email)}
            case _:
                pass

    return act


def _defect(sentence: str, act: Act) -> Fault:
    return Fault(sentence, act, about_rows=True)


ROW_DEFECTS = {
    "int-ids": _defect("Every id is a number.", _each(_numbered, every=1)),
    "odd-ids": _defect(
        'Each tenth row has an id that is none: "1.0", true, null, "", " 1", 1.0, in turn.',
        _each(*(_is("id", value) for value in ("1.0", True, None, "", " 1", 1.0))),
    ),
    "long-id": _defect("Each tenth row has an id of 300 digits.", _each(lambda row: {**row, "id": "9" * 300})),
    "nul-title": _defect("Each tenth row has a NUL in its title.", _titled("Lekcja\x00 1")),
    "lone-surrogate": _defect("Each tenth row has half a letter, \\ud83d alone.", _titled("Lekcja \ud83d")),
    "blank-title": _defect("Each tenth row has a title of blanks.", _titled("  \t ")),
    "null-title": _defect(
        "Each tenth row has null as its title.", _each(lambda row: {**row, text_field(row): None})
    ),
    "long-title": _defect("Each tenth row has a title of 600 letters.", _titled("Ż" * 600)),
    "html-title": _defect(
        "Each tenth row has a script in its title.", _titled('<script>alert("ż")</script> &amp; <b>1</b>')
    ),
    "literal-backslash-title": _defect(
        "Each tenth row has a backslash and an n in its title, as two letters.", _titled(r"Lekcja\n1 \\ C:\temp")
    ),
    "extra-fields": _defect(
        "Every row has fields that no document knows.",
        _each(lambda row: {**row, "created_at": "2021-08-13", "tags": ["x", None], "meta": {"id": 7}}, every=1),
    ),
    "missing-title": _defect(
        "Each tenth row has no title.", _each(lambda row: {k: v for k, v in row.items() if k != text_field(row)})
    ),
    "alias-titles": _defect("Every title is in a field named title, and none in name.", _each(_alias, every=1)),
    "disagreeing-aliases": _defect(
        "Each tenth row has a title that is not its name.", _each(lambda row: {**row, "title": "Inny tytuł"})
    ),
    "same-email-other-case": _defect(
        "The second user has the address of the first, in capitals.", _second_address(str.upper)
    ),
    "two-ids-one-email": _defect("The second user has the address of the first.", _second_address(str)),
    "unknown-expiry": _defect(
        "Each tenth grant runs out “kiedyś”, which is no date.",
        _each(lambda row: {**row, "expired_at": "kiedyś"} if "expired_at" in row else row),
    ),
    "null-rows": _defect(
        "Each tenth row is none: null, a text, a number, a list, in turn.",
        _each(*map(_becomes, (None, "Lekcja", 7, []))),
    ),
    "all-rows-null": _defect("Every row is null.", _each(_becomes(None), every=1)),
}
