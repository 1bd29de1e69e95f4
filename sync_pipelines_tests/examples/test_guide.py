"""docs/adding-a-flow.md says what is so: its code is the examples', its links lead somewhere."""

import re
import tomllib
from pathlib import Path

import pytest

from examples.rooms.source import RoomsFile
from examples.rooms.table import ROOMS
from sync_pipelines.postgres.spec import TableSpec

REPOSITORY = Path(__file__).parents[2]
GUIDE = REPOSITORY / "docs" / "adding-a-flow.md"
TEXT = GUIDE.read_text("utf-8")
NAMED = r"^\[((?:examples|benchmarks)/[\w/.]+)\]\(\.\./\1\)\n```python\n(.*?)^```$"
SNIPPETS = re.findall(NAMED, TEXT, re.M | re.S)
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.mark.parametrize(("file", "code"), SNIPPETS, ids=[f"{n} {file}" for n, (file, _) in enumerate(SNIPPETS)])
def test_a_snippet_stands_verbatim_in_the_file_that_it_names(file: str, code: str) -> None:
    assert code in (REPOSITORY / file).read_text("utf-8")


def test_every_part_of_the_example_is_shown_and_only_the_kits_use_names_no_file() -> None:
    parts = {"source.py", "changes.py", "room.py", "table.py", "one_by_one.py", "job.py", "flow.py"}
    assert {Path(file).name for file, _ in SNIPPETS if file.startswith("examples/")} == parts
    assert {file for file, _ in SNIPPETS if not file.startswith("examples/")} == {"benchmarks/enrollments.py"}
    shown = [code for _, code in SNIPPETS]
    (other,) = [code for language, code in BLOCKS if language == "python" and code not in shown]
    assert "core.testing" in other
    compile(other, str(GUIDE), "exec")


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) > 10
    assert [link for link in links if "://" not in link and not (GUIDE.parent / link).exists()] == []


def test_the_file_that_is_shown_is_one_that_the_example_reads(tmp_path: Path) -> None:
    (csv,) = [code for language, code in BLOCKS if not language]
    (tmp_path / "rooms.csv").write_text(csv, "utf-8")
    assert len([item for item in RoomsFile(tmp_path / "rooms.csv").fetch(None) if isinstance(item, tuple)]) == 2


def test_the_declaration_that_is_shown_is_one_of_the_examples_fields() -> None:
    (toml,) = [code for language, code in BLOCKS if language == "toml"]
    spec = TableSpec.from_dict(tomllib.loads(toml)["hradec/rooms"])
    assert set(spec.fields) <= set(ROOMS.fields)
