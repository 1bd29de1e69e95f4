"""The pages' words, in the person's language: sentences of texts/<area>.<language>.toml, numbers, dates, spans.

What a sentence says of a number is chosen by the language's plural rules. A page holds no words of its own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import negotiate_locale
from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

__all__ = ["LANGUAGES", "Texts", "negotiated", "sentences"]

#: By code, what each calls itself.
LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "cs": "Čeština", "pl": "Polski"}
#: Where the people are who read a language here; the clocks of both show the same.
_ZONES = {"en": "Europe/Warsaw", "cs": "Europe/Prague", "pl": "Europe/Warsaw"}
_PLURALS = frozenset({"zero", "one", "two", "few", "many", "other"})

#: A sentence, or one for each of the language's plural forms, chosen by the value `count`.
Sentence = str | Mapping[str, str]


def negotiated(accept_language: str) -> str:
    """The language that an Accept-Language header likes best of ours; English where it likes none."""
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        name, _, quality = part.partition(";q=")
        try:
            wanted.append((-float(quality or 1), name.strip()))
        except ValueError:
            continue
    liked = [name for weight, name in sorted(wanted, key=lambda one: one[0]) if weight < 0]
    return negotiate_locale(liked, LANGUAGES, sep="-") or "en"


@cache
def sentences(language: str) -> Mapping[str, Sentence]:
    """All of a language, by "area.key"."""
    found: dict[str, Sentence] = {}
    for file in (files("sync_pipelines.service.admin") / "texts").iterdir():
        area, spoken, _ = file.name.split(".")
        if spoken == language:
            found.update(_flat(area, tomllib.loads(file.read_text("utf-8"))))
    return found


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Sentence]]:
    for name, value in table.items():
        key = f"{prefix}.{name}"
        if isinstance(value, Mapping) and not value.keys() <= _PLURALS:
            yield from _flat(key, value)
        else:
            yield key, value


@dataclass(frozen=True)
class Texts:
    """What is said in one language."""

    language: str

    @property
    def locale(self) -> Locale:
        """Babel's."""
        return Locale.parse(self.language)

    def t(self, key: str, **values: Any) -> str:
        """The sentence "area.key" with its values; numbers are written as the language writes them."""
        sentence = sentences(self.language)[key]
        if not isinstance(sentence, str):
            form = self.locale.plural_form(values["count"])
            sentence = sentence.get(form) or sentence["other"]
        return sentence.format_map({name: self._shown(value) for name, value in values.items()})

    def knows(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in sentences(self.language)

    def _shown(self, value: Any) -> str:
        return self.number(value) if isinstance(value, (int, float)) else str(value)

    def number(self, value: float) -> str:
        """ "1,234"."""
        return format_decimal(value, locale=self.locale)

    def percent(self, share: float) -> str:
        """ "12.5%", of a share of 1."""
        return format_percent(share, decimal_quantization=False, locale=self.locale)

    def moment(self, at: datetime, zone: str | None = None, *, full: bool = False) -> str:
        """ "27 Nov, 14:05", as clocks show it there; in `full` with the year, the seconds and the zone."""
        there = at.astimezone(ZoneInfo(zone or _ZONES[self.language]))
        if full:
            return f"{format_datetime(there, 'd MMM y, HH:mm:ss', locale=self.locale)} {there:%Z}"
        return format_datetime(there, "d MMM, HH:mm", locale=self.locale)

    def ago(self, at: datetime, now: datetime | None = None) -> str:
        """ "3 minutes ago"."""
        since = at - (now or datetime.now(UTC))
        return format_timedelta(min(since, timedelta()), add_direction=True, threshold=1.5, locale=self.locale)

    def lasted(self, seconds: float) -> str:
        """ "42 sec", "3 min 20 sec", "2 hr 5 min"."""
        left, parts = max(round(seconds), 1), list[str]()
        for unit, size in (("hour", 3600), ("minute", 60), ("second", 1)):
            number, left = divmod(left, size)
            if number:
                parts.append(format_unit(number, f"duration-{unit}", length="short", locale=self.locale))
        return " ".join(parts[:2])
