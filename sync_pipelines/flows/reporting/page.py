"""The figures and pictures as text that people read: Markdown, and a page of its own with everything in it."""

from __future__ import annotations

import html
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from string import Template

from sync_pipelines.flows.drawing import Picture
from sync_pipelines.flows.reporting.figures import Figures, Line, lasting
from sync_pipelines.flows.reporting.history import History

__all__ = ["COLUMNS", "cells", "headline", "markdown", "page", "write"]

#: The columns of a line, as people call them.
COLUMNS = (
    *("flow", "runs", "failed runs", "success", "median", "95th percentile", "last complete sync"),
    *("rows read", "created", "updated", "deleted", "refused"),
)


def cells(line: Line) -> dict[str, str | int]:
    """A line as people read it, by COLUMNS, of which the first is what it is a line of."""
    values = (
        line.site or line.flow,
        line.runs,
        line.failures,
        "–" if line.success_rate is None else _percent(line.success_rate),
        "–" if line.p50 is None else lasting(line.p50),
        "–" if line.p95 is None else lasting(line.p95),
        "never" if line.age is None else f"{lasting(line.age.total_seconds())} ago",
        *(line.fetched, line.created, line.updated, line.deleted, line.failed),
    )
    return dict(zip(_headers(line), values, strict=True))


def headline(history: History, figures: Figures) -> str:
    """The one sentence of a report."""
    days = round((history.until - history.since).total_seconds() / 86400)
    if not figures.runs:
        return f"No sync ran in the last {days} days."
    failures = f"{figures.failures:,} failed" if figures.failures else "none failed"
    syncs = "1 sync" if figures.runs == 1 else f"{figures.runs:,} syncs"
    said = f"{syncs} in the last {days} days, {failures}."
    for what, since in (("Runs", history.runs_since), ("Rows", history.written_since)):
        if since > history.since:
            said += f" {what} are counted since {since:%d %b %H:%M} UTC: there are too many to read."
    return said


def markdown(history: History, figures: Figures, pictures: Sequence[Picture]) -> str:
    """For Dagster's metadata: the headline, the figures, and the pictures as data URIs."""
    parts = [f"**{headline(history, figures)}**", _table(figures.flows)]
    parts += [f"![{picture.title}]({picture.data_uri})" for picture in pictures]
    if figures.sites:
        parts.append(_table(figures.sites))
    return "\n\n".join(part for part in parts if part)


def _table(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    rows = [_headers(lines[0]), ["---", *["---:"] * (len(COLUMNS) - 1)], *(_shown(line) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _headers(line: Line) -> list[str]:
    return ["school" if line.site else COLUMNS[0], *COLUMNS[1:]]


def _shown(line: Line) -> list[str]:
    return [f"{value:,}" if isinstance(value, int) else value for value in cells(line).values()]


def _percent(share: float) -> str:
    """Not 100 % where anything failed."""
    return f"{min(share, 0.999) if share < 1 else 1:.1%}".replace(".0%", "%").replace("%", " %")


def page(history: History, figures: Figures, pictures: Sequence[Picture]) -> str:
    """The report as an HTML page that needs no other file."""
    return _PAGE.substitute(
        headline=html.escape(headline(history, figures)),
        made=f"{history.until:%d %B %Y, %H:%M} UTC",
        flows=_html_table(figures.flows),
        pictures="".join(
            f'<figure><img alt="{html.escape(picture.title)}" src="{picture.data_uri}"></figure>'
            for picture in pictures
        ),
        sites=f"<h2>By school</h2>{_html_table(figures.sites)}" if figures.sites else "",
    )


def _html_table(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    head = "".join(f"<th>{html.escape(column)}</th>" for column in _headers(lines[0]))
    rows = "".join(
        f'<tr class="{"bad" if line.failures else "good"}">'
        + "".join(f"<td>{html.escape(value)}</td>" for value in _shown(line))
        + "</tr>"
        for line in lines
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def write(folder: Path, text: str, pictures: Sequence[Picture]) -> Path:
    """Put the page and the pictures into a folder, each whole or not at all; gives the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        _replace(folder / f"{picture.name}.png", picture.png)
    path = folder / "sync_report.html"
    _replace(path, text.encode())
    return path.resolve()


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sync report</title>
<style>
body { margin: 0; background: #f5f7f9; color: #1f2933; font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 56px }
h1 { font-size: 26px; margin: 0 }
h2 { font-size: 18px; margin: 40px 0 12px }
p { margin: 4px 0 24px; color: #52606d }
.wide, figure { background: #fff; border: 1px solid #e4e9ee; border-radius: 10px; overflow-x: auto }
figure { margin: 20px 0 0; padding: 16px 20px }
img { display: block; width: 100%; height: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: 10px 12px; text-align: right; white-space: nowrap }
th { font-size: 12px; font-weight: 600; color: #6b7785; white-space: normal; vertical-align: bottom }
td { border-top: 1px solid #e4e9ee }
th:first-child, td:first-child { text-align: left; padding-left: 20px; font-weight: 600 }
.bad td:nth-child(3), .bad td:nth-child(4) { color: #b04300; font-weight: 600 }
footer { margin-top: 32px; font-size: 13px; color: #6b7785 }
</style>
</head>
<body>
<main>
<h1>Sync report</h1>
<p>$headline</p>
$flows
$pictures
$sites
<footer>Made on $made. Durations are of runs that succeeded. Rows that were refused are kept aside.</footer>
</main>
</body>
</html>
""")
