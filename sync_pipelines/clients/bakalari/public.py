"""The public timetable, web pages that need no login: which classes, teachers and rooms a school has.

Source: contracts/bakalari.md C13. A page that lists nothing is an error, never a school without classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote, unquote

from selectolax.lexbor import LexborHTMLParser

from sync_pipelines.clients.bakalari.answers import raise_for_status
from sync_pipelines.clients.bakalari.fields import exact_id
from sync_pipelines.clients.bakalari.records import Item
from sync_pipelines.clients.http import Answer
from sync_pipelines.errors import AccessRefused, SourceError, SourceUnavailable, UnexpectedAnswer

__all__ = ["LISTS_PATH", "Kind", "PublicLists", "Week", "lessons_path", "lists_of", "page_of", "unknown_page"]

Kind = Literal["class", "teacher", "room"]
Week = Literal["actual", "permanent", "next"]
LISTS_PATH = "Timetable/Public"
_UNPUBLISHED = "the school publishes no timetable"


@dataclass(frozen=True, slots=True)
class PublicLists:
    """What the school publishes, in page order: of a class its abbreviation, of a teacher and a room the name.

    One of the lists may be empty: then that one is not published.
    """

    classes: tuple[Item, ...]
    teachers: tuple[Item, ...]
    rooms: tuple[Item, ...]


def lessons_path(kind: Kind, item_id: str, week: Week) -> str:
    """Where one of them shows its lessons."""
    return f"{LISTS_PATH}/{week.capitalize()}/{kind.capitalize()}/{quote(item_id, safe='')}"


def page_of(answer: Answer, now: datetime) -> str:
    """The page's text, in the charset of its header, else of its <meta>, else UTF-8. What is garbled stays so.

    Raises AccessRefused where the school shows a login or an error in its place, and SourceUnavailable for a page
    without an end: a list that was cut looks like a shorter one.
    """
    where = re.split("[?#]", answer.headers.get("location", ""))[0].casefold().rstrip("/")
    to_a_refusal = 300 <= answer.status < 400 and where.endswith(("/login", "/errinfo.aspx"))
    if to_a_refusal or answer.status in (401, 403):
        raise AccessRefused(f"{_UNPUBLISHED} (status {answer.status})")
    raise_for_status(answer, now)
    if b"</html" not in answer.body[-4096:].lower():
        raise SourceUnavailable(f"{answer.path} answered {len(answer.body)} bytes that are not a whole page")
    said = re.search(r"charset=[\"']?([\w.-]+)", answer.headers.get("content-type", ""), re.I | re.A)
    meta = re.search(rb"<meta[^>]*charset=[\"']?([\w.-]+)", answer.body[:4096], re.I)
    charset = said[1] if said else meta[1].decode("ascii") if meta else "utf-8"
    try:
        return answer.body.decode(charset, "replace")
    except (LookupError, ValueError):
        return answer.body.decode("utf-8", "replace")


def lists_of(html: str) -> PublicLists:
    """The lists of one page: selects and off-canvas links, in page order, each id once. Raises SourceError."""
    page = LexborHTMLParser(html)
    classes, teachers, rooms = (_listed(page, kind) for kind in ("class", "teacher", "room"))
    if classes is None and teachers is None and rooms is None:
        raise unknown_page(page, "no list of classes, teachers or rooms")
    if not classes and not teachers and not rooms:
        raise AccessRefused(f"{_UNPUBLISHED}: its lists are empty")
    return PublicLists(
        classes=tuple(Item(item_id, label, None) for item_id, label in (classes or {}).items()),
        teachers=tuple(Item(item_id, None, label) for item_id, label in (teachers or {}).items()),
        rooms=tuple(Item(item_id, None, label) for item_id, label in (rooms or {}).items()),
    )


def unknown_page(page: LexborHTMLParser, lacking: str) -> SourceError:
    """Why there is nothing on this page: it is a login or an error, or not laid out as we know it."""
    is_error = any("errinfo.aspx" in (form.attributes.get("action") or "").casefold() for form in page.css("form"))
    if is_error or page.css_first("input[type=password]"):
        return AccessRefused(f"{_UNPUBLISHED}: a login or an error stands in its place")
    return UnexpectedAnswer(f"the public timetable has {lacking}: it is not laid out as it used to be")


def _listed(page: LexborHTMLParser, kind: str) -> dict[str, str | None] | None:
    """Ids and labels; None where the page has neither form of the list."""
    select, canvas = f"select#selected{kind.capitalize()}", f"div#{kind}_canvas"
    if page.css_first(f"{select}, {canvas}") is None:
        return None
    found: dict[str, str | None] = {}
    for value, label in [*_options(page, select), *_links(page, canvas, kind)]:
        item_id = _checked(value)
        if item_id is not None:
            found[item_id] = found.get(item_id) or " ".join(label.split()) or None
    return found


def _checked(value: str) -> str | None:
    try:
        return exact_id({"value": value}, "value")
    except SourceError as error:
        raise UnexpectedAnswer(f"the public timetable lists an id that cannot be: {error}") from None


def _options(page: LexborHTMLParser, select: str) -> Iterator[tuple[str, str]]:
    for option in page.css(f"{select} option"):
        yield option.attributes.get("value") or "", option.text()


def _links(page: LexborHTMLParser, canvas: str, kind: str) -> Iterator[tuple[str, str]]:
    for link in page.css(f"{canvas} a"):
        item_id = _linked(link.attributes.get("href") or "", kind)
        if item_id is not None:
            yield item_id, link.text()


def _linked(address: str, kind: str) -> str | None:
    """The id in …/timetable/public/<week>/<kind>/<id>; a week and a kind may be written in any case."""
    parts = re.split("[?#]", address)[0].split("/")
    for at, _ in enumerate(parts[:-4]):
        if _folded(parts[at : at + 2]) == ["timetable", "public"] and parts[at + 3].casefold() == kind:
            try:
                return unquote("/".join(parts[at + 4 :]), errors="strict")
            except UnicodeDecodeError:
                return None
    return None


def _folded(parts: Iterable[str]) -> list[str]:
    return [part.casefold() for part in parts]
