"""The records every loader reads: pages of JSON made from fixed seeds, encoded once and kept in a folder.

Each size has three variants: `base`, in the order of the ids, in which an upstream lists that is asked to sort;
`chg`, in which 1 % of the rows, scattered, have another class and a later time; and `shuffled`, `base` in no
order. The manifest's digest is what a table that holds the variant must answer to `CONTENT`.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

__all__ = ["CACHE", "CONTENT", "PAGE_SIZE", "VARIANTS", "Manifest", "Variant", "make", "read_manifest"]

Variant = Literal["base", "chg", "shuffled"]
VARIANTS: tuple[Variant, ...] = ("base", "chg", "shuffled")
PAGE_SIZE = 1000
CACHE = Path(__file__).parent / ".cache"

# A new format of the files needs a new number, so that nobody reads the old ones.
_FORMAT = 2
_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

#: Row count and digest of a relation with these five columns, whatever the loader called its own.
CONTENT = """
SELECT count(*), coalesce(sum(('x' || left(md5(concat_ws('|', external_id, user_id, subject_id, class_id,
  extract(epoch FROM source_updated_at)::bigint)), 8))::bit(32)::bigint), 0)::bigint FROM ({relation}) AS loaded
"""


@dataclass(frozen=True)
class Manifest:
    """Page i of the data file is the bytes from offsets[i] to offsets[i + 1]."""

    rows: int
    digest: int
    offsets: list[int]


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    user_id: str
    subject_id: str
    class_id: str
    second: int

    def encoded(self) -> str:
        time = (_YEAR + timedelta(seconds=self.second)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return (
            f'{{"id":"{self.id}","userId":"{self.user_id}","subjectId":"{self.subject_id}",'
            f'"classId":"{self.class_id}","updatedAt":"{time}"}}'
        )

    def digest(self) -> int:
        epoch = int(_YEAR.timestamp()) + self.second
        text = f"{self.id}|{self.user_id}|{self.subject_id}|{self.class_id}|{epoch}"
        return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8], 16)


def make(rows: int, folder: Path = CACHE) -> None:
    """Write the pages of all variants, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    for variant in VARIANTS:
        if not _manifest_path(folder, rows, variant).exists():
            _write(folder, rows, variant)


def read_manifest(rows: int, variant: Variant, folder: Path = CACHE) -> Manifest:
    """The manifest of a variant that was made."""
    return Manifest(**json.loads(_manifest_path(folder, rows, variant).read_text()))


def data_path(folder: Path, rows: int, variant: Variant) -> Path:
    """Where the pages of a variant are, one after the other."""
    return folder / f"v{_FORMAT}-{rows}-{variant}.pages"


def _manifest_path(folder: Path, rows: int, variant: Variant) -> Path:
    return data_path(folder, rows, variant).with_suffix(".json")


def _write(folder: Path, rows: int, variant: Variant) -> None:
    digest, offsets = 0, [0]
    page: list[str] = []
    with data_path(folder, rows, variant).open("wb") as file:
        for number, row in enumerate(_rows(rows, variant), start=1):
            page.append(row.encoded())
            digest += row.digest()
            if len(page) == PAGE_SIZE or number == rows:
                file.write(f"[{','.join(page)}]".encode())
                offsets.append(file.tell())
                page.clear()
    # Written last: a data file without a manifest is half made.
    _manifest_path(folder, rows, variant).write_text(json.dumps(asdict(Manifest(rows, digest, offsets))))


def _rows(rows: int, variant: Variant) -> Iterator[_Row]:
    draw = random.Random(42)

    def ids(count: int) -> list[str]:
        return [str(uuid.UUID(int=draw.getrandbits(128), version=4)) for _ in range(count)]

    users, subjects, classes = ids(max(1000, rows // 10)), ids(60), ids(3000)
    changed = frozenset(random.Random(7).sample(range(rows), rows // 100) if variant == "chg" else ())
    own = ids(rows)
    if variant != "shuffled":
        own.sort()
    for number in range(rows):
        joined = (draw.choice(users), draw.choice(subjects), draw.choice(classes))
        row = _Row(own[number], *joined, draw.randrange(20_000_000))
        if number in changed:
            other = classes[(classes.index(row.class_id) + 1) % len(classes)]
            row = _Row(row.id, row.user_id, row.subject_id, other, 25_000_000 + number % 1000)
        yield row
