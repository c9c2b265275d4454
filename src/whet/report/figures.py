"""Figures: for a page as inline SVG with real text, scaled to its width; for Python as matplotlib figures."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whet.core.language import in_language, language

INK, MUTED, GRID, ACCENT, SECOND, WARN = "#1c2a26", "#66756f", "#e3e9e6", "#005a48", "#3f6fd1", "#c4530c"
# In the page they are its variables, which are lighter on a dark screen.
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "line", ACCENT: "accent", SECOND: "blue", WARN: "warn"}

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


# Fonts with Chinese characters, for figures whose text is drawn as pixels.
_CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "SimHei",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
)  # fmt: skip


class Picture(Figure):
    """A figure that a notebook shows as an image, with or without `%matplotlib inline`."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with matplotlib.rc_context(_STYLE):
            self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn. width, height: in inches. title: for screen readers. margins: of a figure whose labels have known
    sizes (`Figure.subplots_adjust`), which takes half the time of computing them."""

    width: float
    height: float
    plot: Callable[[Figure], Any]
    title: str
    margins: dict[str, float] | None = None

    def svg(self) -> Markup:
        """An SVG with this aspect ratio; it fills its container."""
        with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
            # The page draws the letters, so matplotlib's font need not have them.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            buffer = io.StringIO()
            figure = Figure(figsize=(self.width, self.height), layout="constrained" if self.margins is None else None)
            self.plot(figure)
            if self.margins is not None:
                figure.subplots_adjust(**self.margins)
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        svg = buffer.getvalue()
        svg = svg[svg.index("<svg") :]
        # Without width and height, the view box makes the figure as wide as its column.
        svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
        svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
        svg = svg.replace("<svg", f'<svg role="img" aria-label="{Markup.escape(self.title)}" class="figure"', 1)
        svg = re.sub(r"font: ([^;\"]*?)'?[\w ]*'?, [^;\"]*sans-serif", r"font: \1 inherit", svg)
        for colour, name in _VARIABLES.items():
            svg = svg.replace(colour, f"var(--{name})")
        return Markup(svg)

    def figure(self) -> Picture:
        """A matplotlib figure. Its text is English where no installed font has the characters of the current language."""
        known = [name for name in _CHINESE_FONTS if name in font_manager.get_font_names()] if language() == "zh" else []
        style = {**_STYLE, "font.family": [*known, "sans-serif"]} if known else _STYLE
        with matplotlib.rc_context(style), in_language("en" if language() == "zh" and not known else None):
            figure = Picture(figsize=(self.width, self.height), layout="constrained")
            self.plot(figure)
        return figure


def draw(
    width: float, height: float, plot: Callable[[Figure], Any], title: str, *, margins: dict[str, float] | None = None
) -> Markup:
    """The SVG of a `Drawing`."""
    return Drawing(width, height, plot, title, margins).svg()


# Sizes of point labels in inches: the width of a letter, the height of a line, the radius of a point.
_LETTER, _LINE, _POINT = 0.085, 0.18, 0.065
_Box = tuple[float, float, float, float]


def name_points(
    axes: Axes, names: Sequence[str], points: Sequence[tuple[float, float]], colours: Sequence[str], size: tuple[float, float]
) -> None:  # fmt: skip
    """Write each point's name next to it. If that position is occupied, the name is moved up or down and connected to the point by
    a thin line. The limits of the axes must be set. size: their approximate width and height in inches."""
    width, height = size
    letter, line, rim = _LETTER / width, _LINE / height, (_POINT / width, _POINT / height)
    places = (axes.transScale + axes.transLimits).transform(points)
    taken = [_box(x, y, *rim) for x, y in places]
    for name, point, (x, y), colour in zip(names, points, places, colours):
        half = letter * len(name) / 2
        lines = [step * sign * line for step in range(8) for sign in (1, -1)]
        sides = [(x + 2 * rim[0] + half, "left"), (x - 2 * rim[0] - half, "right")]
        boxes = [(_box(middle, y + dy, half, line / 2), side, dy) for dy in lines for middle, side in sides]
        box, side, dy = next((one for one in boxes if _is_free(one[0], taken)), boxes[0])
        taken.append(box)
        axes.annotate(
            name, point, (box[0] if side == "left" else box[1], y + dy), textcoords="axes fraction", ha=side, va="center",
            fontsize=9, color=colour,
            arrowprops={"arrowstyle": "-", "color": GRID, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 4} if dy else None,
        )  # fmt: skip


def _box(x: float, y: float, half_width: float, half_height: float) -> _Box:
    return x - half_width, x + half_width, y - half_height, y + half_height


def _is_free(box: _Box, taken: list[_Box]) -> bool:
    inside = box[0] >= 0 and box[1] <= 1 and box[2] >= 0 and box[3] <= 1
    return inside and not any(
        box[0] < other[1] and other[0] < box[1] and box[2] < other[3] and other[2] < box[3] for other in taken
    )
