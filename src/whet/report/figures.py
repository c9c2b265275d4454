"""Figures as inline SVG: text stays text, sizes follow the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

INK, MUTED, GRID, ACCENT, SECOND, WARN = "#1c2a26", "#66756f", "#e3e9e6", "#0b7a5e", "#2f5fb3", "#c2512f"

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "whet",
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


def draw(width: float, height: float, paint: Callable[[Figure], Any], title: str) -> Markup:
    """An SVG of the given size (inches set its proportions only; it fills its place), with `title` for screen readers."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # The fixed size goes, the view box stays: the figure is as wide as its column.
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{Markup.escape(title)}" class="figure"', 1)
    svg = re.sub(r"font: ([^;\"]*?)'?[\w ]*'?, [^;\"]*sans-serif", r"font: \1 inherit", svg)
    return Markup(svg)
