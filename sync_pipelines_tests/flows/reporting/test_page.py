"""What people see of a history: pictures that are small and whole, and a page that needs nothing else."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from PIL import Image

from sync_pipelines.flows.drawing import Picture
from sync_pipelines.flows.reporting import page
from sync_pipelines.flows.reporting.figures import figures
from sync_pipelines.flows.reporting.history import FlowRun, History
from sync_pipelines.flows.reporting.plots import draw
from sync_pipelines_tests.flows.reporting.histories import SINCE, UNTIL, histories, history

DATA_URI = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


def made(past: History) -> tuple[str, str, list[Picture]]:
    found, pictures = figures(past), draw(past)
    return page.markdown(past, found, pictures), page.page(past, found, pictures), pictures


# Pictures take a second: a history that fails is told as it is.
@settings(max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(past=histories)
def test_every_history_has_pictures_that_are_whole_and_small(past: History) -> None:
    for picture in draw(past):
        assert len(picture.png) < 60_000
        with Image.open(io.BytesIO(picture.png)) as image:
            image.load()
            assert (image.format, image.width) == ("PNG", 1170)


def test_an_empty_history_has_a_report_that_says_so() -> None:
    markdown, text, pictures = made(history())
    assert "No sync ran in the last 7 days." in markdown
    assert "No sync ran in the last 7 days." in text
    assert len(pictures) == 3


@settings(max_examples=5, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(past=histories)
def test_the_page_and_the_markdown_hold_the_pictures_themselves(past: History) -> None:
    markdown, text, pictures = made(past)
    for said in (markdown, text):
        assert [base64.b64decode(found) for found in DATA_URI.findall(said)] == [p.png for p in pictures]
    assert not re.search(r"(src|href)=[\"'](?!data:)", text)
    assert "$" not in text


def test_the_page_is_written_whole_and_again(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "reports"
    for text in ("first", "second"):
        path = page.write(folder, text, [Picture("outcomes", "Runs", text.encode())])
        assert path.read_text() == text
        assert (folder / "outcomes.png").read_text() == text
    assert sorted(file.name for file in folder.iterdir()) == ["outcomes.png", "sync_report.html"]


def test_a_page_that_cannot_be_written_leaves_the_last_one_and_no_rest(tmp_path: Path) -> None:
    page.write(tmp_path, "first", [])
    (tmp_path / "outcomes.png").mkdir()
    with pytest.raises(OSError, match=r"outcomes\.png"):
        page.write(tmp_path, "second", [Picture("outcomes", "Runs", b"png")])
    assert (tmp_path / "sync_report.html").read_text() == "first"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["outcomes.png", "sync_report.html"]


def test_what_is_not_counted_is_said() -> None:
    runs = [FlowRun("wtl", None, "succeeded", UNTIL, 5.0)]
    past = history(runs=runs, runs_since=SINCE.replace(day=26))
    assert "1 sync in the last 7 days, none failed. Runs are counted since 26 Nov 07:12 UTC" in made(past)[0]


def test_no_rate_of_success_is_whole_where_anything_failed() -> None:
    runs = [FlowRun("wtl", None, "succeeded", UNTIL, 5.0)] * 5000 + [FlowRun("wtl", None, "failed", UNTIL, 5.0)]
    (line,) = figures(history(runs=runs)).flows
    assert page.cells(line)["success"] == "99.9 %"
