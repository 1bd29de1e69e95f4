"""A class's year of study, from what students' accounts say or from how the class is called. Source:
contracts/bakalari.md D7, with names as found in the wild."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["grade_of"]

_YEARS = range(1, 14)
_DIGITS = re.compile(r"[0-9]+")
_ROMAN = re.compile(r"\b([IVX]+)\.")
_ROMANS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII")
# The eight years of a long gymnasium, without their accents.
_OCTAVE = ("prima", "sekunda", "tercie", "kvarta", "kvinta", "sexta", "septima", "oktava")


def grade_of(abbrev: str | None, study_year: int | None) -> int | None:
    """The year, 1 to 13; None where nothing says it.

    A student's StudyYear; else the first number of one or two digits in the abbreviation; else a Roman one before
    a dot; else the name of an octave's year. "X.A" is the tenth year or a placeholder: it says nothing.
    """
    if study_year in _YEARS:
        return study_year
    text = unicodedata.normalize("NFKC", abbrev or "").strip()
    for digits in _DIGITS.findall(text):
        if len(digits) <= 2 and int(digits) in _YEARS:
            return int(digits)
    roman = _ROMAN.search(text.upper())
    if roman and roman[1] in _ROMANS and roman[1] != "X":
        return _ROMANS.index(roman[1]) + 1
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return next((year for year, name in enumerate(_OCTAVE, 1) if plain.startswith(name)), None)
