"""The course summary as a picture: how far the learners are, course by course. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sync_pipelines.flows.drawing import BLUE, FAINT, GREEN, INK, SKY, STYLE, Picture, blank, nothing, png, titled

__all__ = ["draw", "markdown"]

_TITLE = "Learning progress by course"
_MOST_COURSES = 20
_LONGEST_TITLE = 40


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the summary's rows say, in a sentence and a picture."""
    begun = [row for row in rows if row["learners"]]
    said = f"{len(begun)} of {len(rows)} courses have been begun" if rows else "There are no courses yet"
    said += f"; these are the {_MOST_COURSES} with the most learners." if len(begun) > _MOST_COURSES else "."
    return f"{said}\n\n![{_TITLE}]({draw(begun).data_uri})\n"


def draw(rows: Sequence[Mapping[str, Any]]) -> Picture:
    """The courses that most learners have begun, in that order: average percent, lessons seen and completed."""
    if not rows:
        return Picture("course_summary", _TITLE, nothing(_TITLE))
    shown = list(rows[:_MOST_COURSES])
    places = range(len(shown))
    with mpl.rc_context(STYLE):
        figure = blank(1.3 + 0.3 * len(shown))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        axes: Any = left
        averages = [row["average_percent"] for row in shown]
        axes.barh(places, averages, height=0.62, color=BLUE)
        for place, average in zip(places, averages, strict=True):
            axes.annotate(f"{average:.0f} %", (average, place), (4, 0), textcoords="offset points", va="center")
        axes.set_xlim(0, 112)
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
        axes.set_yticks(places, [_label(row) for row in shown], color=INK)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        counts: Any = right
        counts.barh(
            [p - 0.17 for p in places], [row["seen"] for row in shown], height=0.32, color=SKY, label="seen"
        )
        completed = [row["completed"] for row in shown]
        counts.barh([p + 0.17 for p in places], completed, height=0.32, color=GREEN, label="completed")
        counts.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        counts.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        counts.grid(visible=False, axis="y")
        titled(figure, counts, _TITLE, "lessons, over all learners")
        axes.set_title("average percent of what was begun; (learners)", loc="left", fontsize=9, color=FAINT, pad=8)
        return Picture("course_summary", _TITLE, png(figure))


def _label(row: Mapping[str, Any]) -> str:
    title = str(row["title"])
    short = title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + "…"
    return f"{short} ({row['learners']:,})"
