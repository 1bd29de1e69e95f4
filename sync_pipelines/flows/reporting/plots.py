"""A history as pictures: how long runs took, how they ended, and what they changed. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from sync_pipelines.flows.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    SKY,
    STYLE,
    VERMILION,
    Picture,
    blank,
    nothing,
    png,
    titled,
)
from sync_pipelines.flows.reporting.figures import Frame, lasting, runs_frame, written_frame
from sync_pipelines.flows.reporting.history import FLOW_NAMES, History

__all__ = ["draw"]

_OF_FLOW = dict(zip(FLOW_NAMES, (BLUE, ORANGE, GREEN, VERMILION, SKY), strict=False))
_OUTCOMES = {"succeeded": (BLUE, ""), "failed": (VERMILION, "////"), "canceled": (GREY, "")}
_CHANGES = {"created": (GREEN, ""), "updated": (SKY, ""), "deleted": (VERMILION, "////")}
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
        return nothing("Run duration")
    step = _step(history, runs["began_at"].min())
    with mpl.rc_context(STYLE):
        figure = blank(3.3)
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
        titled(figure, axes, "Run duration", f"median and 95th percentile, per {_named(step)}; × failed")
        return png(figure)


def _outcomes(history: History) -> bytes:
    """How each flow's runs ended, as stacked bars."""
    runs = runs_frame(history)
    runs = runs[runs["outcome"].isin(list(_OUTCOMES))]
    if runs.empty:
        return nothing("Runs by outcome")
    step = _step(history, runs["began_at"].min())
    counted = runs.assign(**{name: (runs["outcome"] == name).astype(int) for name in _OUTCOMES})
    said = f"number of runs, per {_named(step)}"
    return _bars(history, counted, "began_at", _OUTCOMES, "Runs by outcome", said, step)


def _changes(history: History) -> bytes:
    """What each flow's runs changed, as stacked bars."""
    written = written_frame(history)
    if written.empty:
        return nothing("Rows changed")
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
    with mpl.rc_context(STYLE):
        figure = blank(0.9 + 1.15 * len(flows))
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
            axes.set_ylabel(flow.replace("_", "\n"), rotation=0, ha="right", va="center", color=INK)
            axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.set_ylim(0, max(1.0, float(bottom.max()) * 1.1))
            axes.grid(visible=False, axis="x")
        _time_axis(panels[-1], history, frame[time].min(), step)
        titled(figure, panels[0], title, said)
        return png(figure)


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


def _time_axis(axes: Any, history: History, first: Any, step: timedelta) -> None:
    axes.set_xlim(first.floor(step), pd.Timestamp(history.until).floor(step) + step)
    locator = AutoDateLocator(minticks=4, maxticks=9)
    formats = {"formats": _DAY_AND_TIME, "zero_formats": ["", *_DAY_AND_TIME[:-1]], "show_offset": False}
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, **formats))
    axes.set_xlabel("time in UTC", loc="right")
