"""What is known of a school: classes, subjects, people and who learns what, and which sources list each.

Plain data, and its JSON. Which reading changes it how is in `merging`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

__all__ = ["KINDS", "Fact", "Kind", "Seen", "Snapshot", "Value", "enrollment_key", "user_key"]

Kind = Literal["class", "subject", "user", "enrollment"]
KINDS: tuple[Kind, ...] = ("class", "subject", "user", "enrollment")
#: now: the last reading saw it · before: it did not, and nothing proves that it is gone · gone: that is proven.
Seen = Literal["now", "before", "gone"]
Value: TypeAlias = str | int | None


class Fact(NamedTuple):
    """One thing: what is known of it, and the sources that list it, as of when each was last read to its end."""

    fields: Mapping[str, Value]
    by: frozenset[str] = frozenset()
    seen: Seen = "now"


def user_key(user_type: str, code: str) -> str:
    """A person's key: "student:GTU4V", "teacher:U  12". The same code in two types is two people."""
    return f"{user_type}:{code}"


def enrollment_key(user: str, subject: str) -> str:
    """An enrollment's key, from which both can be read again, whatever is in them."""
    return json.dumps([user, subject], ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Snapshot:
    """Facts by kind and key; keys are upstream's ids exactly, or made by the two functions above."""

    facts: dict[Kind, dict[str, Fact]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def of(self, kind: Kind) -> Mapping[str, Fact]:
        """The facts of one kind, those that are gone included."""
        return self.facts[kind]

    def there(self, kind: Kind) -> Iterator[tuple[str, Fact]]:
        """Those that are not gone."""
        return ((key, fact) for key, fact in self.facts[kind].items() if fact.seen != "gone")

    def to_json(self) -> str:
        """Sorted, so that equal snapshots are equal texts."""
        plain = {
            kind: [[key, dict(sorted(f.fields.items())), sorted(f.by), f.seen] for key, f in sorted(facts.items())]
            for kind, facts in sorted(self.facts.items())
        }
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Snapshot:
        """The inverse of `to_json`, as the database gives it."""
        return cls(
            {
                kind: {key: Fact(fields, frozenset(by), seen) for key, fields, by, seen in plain.get(kind, ())}
                for kind in KINDS
            }
        )
