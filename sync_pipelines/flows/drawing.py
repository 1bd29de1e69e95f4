"""How our pictures look, whatever they show. Imports matplotlib.

Colours are Okabe and Ito's, which the colour-blind tell apart; what is bad is hatched too.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageOps

__all__ = [
    "BLUE",
    "FAINT",
    "GREEN",
    "GREY",
    "INK",
    "ORANGE",
    "SKY",
    "STYLE",
    "VERMILION",
    "Picture",
    "blank",
    "nothing",
    "png",
    "titled",
]

BLUE, VERMILION, GREEN, SKY, GREY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#B8BEC6", "#E69F00"
INK, FAINT = "#1F2933", "#6B7785"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": "#CBD2D9",
    "axes.labelcolor": FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#E8ECF0",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "legend.frameon": False,
    "hatch.color": "white",
    "hatch.linewidth": 1.2,
}
_WIDTH, _DPI, _COLOURS = 9.0, 130, 128


@dataclass(frozen=True)
class Picture:
    """A PNG; `name` is its file's, without an ending."""

    name: str
    title: str
    png: bytes

    @property
    def data_uri(self) -> str:
        """The picture as an address, for text that must hold it."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def blank(height: float) -> Figure:
    return Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")


def titled(figure: Figure, axes: Axes, title: str, said: str) -> None:
    """What is shown, how it is counted, and what the colours stand for; `axes` is the uppermost panel."""
    figure.suptitle(title, x=0.012, ha="left", fontsize=12.5, fontweight="bold", color=INK)
    axes.set_title(said, loc="left", fontsize=9, color=FAINT, pad=8)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), fontsize=9, handlelength=1.2)


def nothing(title: str) -> bytes:
    with mpl.rc_context(STYLE):
        figure = blank(1.2)
        figure.suptitle(title, x=0.012, ha="left", fontsize=12.5, fontweight="bold", color=INK)
        figure.text(0.5, 0.4, "nothing yet", ha="center", fontsize=11, color=FAINT)
        return png(figure)


def png(figure: Figure) -> bytes:
    """With few colours: a report is kept of every quarter of an hour."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    small = io.BytesIO()
    with Image.open(drawn) as image:
        # Room above: what comes before a picture may stand close to it.
        whole = ImageOps.expand(image.convert("RGB"), border=(0, 14, 0, 4), fill="white")
        whole.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()
