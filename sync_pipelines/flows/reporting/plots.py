"""A history as pictures: how long runs took, how they ended, and what they changed. Imports matplotlib.

Colours are Okabe and Ito's, which the colour-blind tell apart; what is bad is hatched too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from PIL import Image, ImageOps

from sync_pipelines.flows.reporting.figures import Frame, lasting, runs_frame, written_frame
from sync_pipelines.flows.reporting.history import FLOW_NAMES, History
from sync_pipelines.flows.reporting.page import Picture

__all__ = ["draw"]

_BLUE, _VERMILION, _GREEN, _SKY, _GREY, _ORANGE = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#B8BEC6", "#E69F00"
_INK, _FAINT = "#1F2933", "#6B7785"
_OF_FLOW = dict(zip(FLOW_NAMES, (_BLUE, _ORANGE, _GREEN, _VERMILION, _SKY), strict=False))
_OUTCOMES = {"succeeded": (_BLUE, ""), "failed": (_VERMILION, "////"), "canceled": (_GREY, "")}
_CHANGES = {"created": (_GREEN, ""), "updated": (_SKY, ""), "deleted": (_VERMILION, "////")}
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": "#CBD2D9",
    "axes.labelcolor": _FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#E8ECF0",
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "legend.frameon": False,
    "hatch.color": "white",
    "hatch.linewidth": 1.2,
}
_WIDTH, _DPI, _COLOURS = 9.0, 130, 128
_MOST_BARS = 60
_TICKS = (0.01, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 36000)
_DAY_AND_TIME = ["%Y", "%b %Y", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
_STEPS = [
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12, 24)),
]


def draw(history: History) -> list[Picture]:
    """How runs ended, how long they took, what they changed. Where nothing was synced they say so."""
    return [
        Picture("outcomes", "Runs by outcome", _outcomes(history)),
        Picture("durations", "Run duration", _durations(history)),
        Picture("changes", "Rows changed", _changes(history)),
    ]


def _durations(history: History) -> bytes:
    """The median of each flow's good runs as a line, up to the 95th percentile as a band, failures as crosses."""
    runs = runs_frame(history)
    runs = runs[runs["seconds"].notna() & runs["outcome"].isin(["succeeded", "failed"])]
    if runs.empty:
        return _nothing("Run duration")
    step = _step(history, runs["began_at"].min())
    with mpl.rc_context(_STYLE):
        figure = _figure(3.3)
        axes: Any = figure.subplots()
        for flow, mine in _by_flow(runs):
            colour = _OF_FLOW[flow]
            good, bad = mine[mine["outcome"] == "succeeded"], mine[mine["outcome"] == "failed"]
            axes.plot([], [], color=colour, linewidth=1.8, marker="o", markersize=3, label=flow)
            axes.scatter(bad["began_at"], bad["seconds"].astype(float), marker="x", s=26, color=colour, zorder=3)
            if not good.empty:
                seconds = good["seconds"].astype(float).groupby(good["began_at"].dt.floor(step))
                median, high = seconds.quantile(0.5), seconds.quantile(0.95)
                middle = median.index + step / 2
                axes.fill_between(middle, median, high, color=colour, alpha=0.15, linewidth=0)
                axes.plot(middle, median, color=colour, linewidth=1.8, marker="o", markersize=3)
        axes.set_yscale("log")
        low, high = runs["seconds"].min() * 0.7, runs["seconds"].max() * 1.4
        axes.set_ylim(low, high)
        axes.set_yticks([tick for tick in _TICKS if low <= tick <= high] or [low])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: lasting(value)))
        axes.yaxis.set_minor_locator(NullLocator())
        _time_axis(axes, history, runs["began_at"].min(), step)
        _titled(figure, axes, "Run duration", f"median and 95th percentile, per {_named(step)}; × failed")
        return _png(figure)


def _outcomes(history: History) -> bytes:
    """How each flow's runs ended, as stacked bars."""
    runs = runs_frame(history)
    runs = runs[runs["outcome"].isin(list(_OUTCOMES))]
    if runs.empty:
        return _nothing("Runs by outcome")
    step = _step(history, runs["began_at"].min())
    counted = runs.assign(**{name: (runs["outcome"] == name).astype(int) for name in _OUTCOMES})
    said = f"number of runs, per {_named(step)}"
    return _bars(history, counted, "began_at", _OUTCOMES, "Runs by outcome", said, step)


def _changes(history: History) -> bytes:
    """What each flow's runs changed, as stacked bars."""
    written = written_frame(history)
    if written.empty:
        return _nothing("Rows changed")
    long = history.until - written["at"].min().to_pydatetime() > timedelta(days=2)
    step = timedelta(days=1) if long else _step(history, written["at"].min())
    said = f"number of rows, per {_named(step)}"
    return _bars(history, written, "at", _CHANGES, "Rows changed", said, step)


def _bars(
    history: History,
    frame: Frame,
    time: str,
    shown: Mapping[str, tuple[str, str]],
    title: str,
    said: str,
    step: timedelta,
) -> bytes:
    """One panel a flow, each with a scale of its own: the columns that are `shown`, added up and stacked."""
    flows = list(_by_flow(frame))
    with mpl.rc_context(_STYLE):
        figure = _figure(0.9 + 1.15 * len(flows))
        panels: Any = figure.subplots(len(flows), sharex=True, squeeze=False)[:, 0]
        for axes, (flow, mine) in zip(panels, flows, strict=True):
            sums = mine.groupby(mine[time].dt.floor(step))[list(shown)].sum()
            bottom = sums[next(iter(shown))] * 0
            for name, (colour, hatch) in shown.items():
                axes.bar(
                    sums.index + step / 2, sums[name], width=step * 0.82, bottom=bottom, label=name,
                    color=colour, hatch=hatch, linewidth=0,
                )  # fmt: skip
                bottom = bottom + sums[name]
            axes.set_ylabel(flow.replace("_", "\n"), rotation=0, ha="right", va="center", color=_INK)
            axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.set_ylim(0, max(1.0, float(bottom.max()) * 1.1))
            axes.grid(visible=False, axis="x")
        _time_axis(panels[-1], history, frame[time].min(), step)
        _titled(figure, panels[0], title, said)
        return _png(figure)


def _by_flow(frame: Frame) -> Sequence[tuple[str, Frame]]:
    there = set(frame["flow"])
    return [(flow, frame[frame["flow"] == flow]) for flow in FLOW_NAMES if flow in there]


def _step(history: History, first: Any) -> timedelta:
    """The width of a bar: the shortest of which not too many are needed."""
    span = history.until - first.to_pydatetime()
    return next((step for step in _STEPS if span / step <= _MOST_BARS), _STEPS[-1])


def _named(step: timedelta) -> str:
    minutes = int(step.total_seconds() // 60)
    number, unit = (minutes, "minute") if minutes < 60 else (minutes // 60, "hour")
    number, unit = (number // 24, "day") if unit == "hour" and number >= 24 else (number, unit)
    return unit if number == 1 else f"{number} {unit}s"


def _figure(height: float) -> Figure:
    return Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")


def _titled(figure: Figure, axes: Axes, title: str, said: str) -> None:
    """What is shown, how it is counted, and what the colours stand for; `axes` is the uppermost panel."""
    figure.suptitle(title, x=0.012, ha="left", fontsize=12.5, fontweight="bold", color=_INK)
    axes.set_title(said, loc="left", fontsize=9, color=_FAINT, pad=8)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), fontsize=9, handlelength=1.2)


def _time_axis(axes: Any, history: History, first: Any, step: timedelta) -> None:
    axes.set_xlim(first.floor(step), pd.Timestamp(history.until).floor(step) + step)
    locator = AutoDateLocator(minticks=4, maxticks=9)
    formats = {"formats": _DAY_AND_TIME, "zero_formats": ["", *_DAY_AND_TIME[:-1]], "show_offset": False}
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, **formats))
    axes.set_xlabel("time in UTC", loc="right")


def _nothing(title: str) -> bytes:
    with mpl.rc_context(_STYLE):
        figure = _figure(1.2)
        figure.suptitle(title, x=0.012, ha="left", fontsize=12.5, fontweight="bold", color=_INK)
        figure.text(0.5, 0.4, "nothing yet", ha="center", fontsize=11, color=_FAINT)
        return _png(figure)


def _png(figure: Figure) -> bytes:
    """With few colours: a report is kept of every quarter of an hour."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    small = io.BytesIO()
    with Image.open(drawn) as image:
        # Room above: what comes before a picture may stand close to it.
        whole = ImageOps.expand(image.convert("RGB"), border=(0, 14, 0, 4), fill="white")
        whole.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()
