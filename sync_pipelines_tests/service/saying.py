"""What devices may say of a lesson, rightly and wrongly, as strategies."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

__all__ = ["bad_lessons", "lessons"]

_PAST = st.integers(1_500_000_000, 1_760_000_000).map(lambda s: datetime.fromtimestamp(s, UTC).isoformat())
_PERCENT = st.integers(0, 100)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "seen": st.booleans(),
    "completed": st.booleans(),
    "percent": _PERCENT,
    "time_ms": st.integers(0, 2**63 - 1),
    "score_best": st.none() | _PERCENT,
    "score_last": st.none() | _PERCENT,
    "last_seen_at": st.none() | _PAST,
    "more": st.text(),
}
_NO_NUMBER = [-1, 101, 40.5, 40.0, "40", True, float("nan"), float("inf"), 2**63, 10**400, [], {}, "\ud800"]
_NO_TIME = ["2026-01-12T10:20:30", "2026-13-12T10:20:30Z", "2026-01-12", "yesterday", 1768213230, True, "", {}]
_WRONG: dict[str, list[Any]] = {
    "seen": ["true", 1, 0, None, []],
    "completed": ["false", 1, None, {}],
    "percent": [*_NO_NUMBER, None],
    "time_ms": [-1, 1.5, "90000", 2**63, None, float("nan"), True],
    "score_best": _NO_NUMBER,
    "score_last": _NO_NUMBER,
    "updated_at": [*_NO_TIME, None],
    "last_seen_at": _NO_TIME,
}


def lessons() -> st.SearchStrategy[dict[str, Any]]:
    """A lesson that is taken: any of the fields, and always a stamp of the past."""
    return st.fixed_dictionaries({"updated_at": _PAST}, optional=_FIELDS)


def bad_lessons() -> st.SearchStrategy[tuple[str | None, Any]]:
    """What is no lesson, and the one field that is wrong with it; None where it is the whole."""
    wrong = st.sampled_from([(name, value) for name, values in _WRONG.items() for value in values])
    spoilt = st.builds(lambda good, bad: (bad[0], {**good, bad[0]: bad[1]}), lessons(), wrong)
    unstamped = lessons().map(lambda good: ("updated_at", {k: v for k, v in good.items() if k != "updated_at"}))
    return spoilt | unstamped
