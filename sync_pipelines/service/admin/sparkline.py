"""The last runs of a flow as a small picture: a bar a run, as high as it took long, shaped by how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sync_pipelines.service.orchestrator import Run

__all__ = ["BARS", "HEIGHT", "STEP", "Bar", "bars"]

#: How many runs are shown, and the picture's measures.
BARS: Final = 50
STEP: Final = 6
HEIGHT: Final = 40
_LOWEST = 5


@dataclass(frozen=True)
class Bar:
    """One run. `x` and `height` are of the picture: the newest run stands on the right."""

    run: Run
    x: int
    height: float


def bars(runs: Sequence[Run]) -> Sequence[Bar]:
    """The bars of runs that come newest first; one that has not ended is as high as the highest."""
    shown = runs[:BARS]
    longest = max((run.seconds or 0 for run in shown), default=0) or 1
    return [
        Bar(run, (BARS - 1 - place) * STEP, _height(run, longest)) for place, run in reversed([*enumerate(shown)])
    ]


def _height(run: Run, longest: float) -> float:
    share = 1 if not run.ended else (run.seconds or 0) / longest
    return round(_LOWEST + share * (HEIGHT - _LOWEST), 1)
