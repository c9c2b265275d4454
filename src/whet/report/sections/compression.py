"""Models that were made smaller: a figure of the metric against time and size, and a table."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from whet.core.language import tr, translated
from whet.core.run_folder import RunFolder
from whet.report.figures import ACCENT, INK, MUTED, WARN, draw, name_points

_WIDTH, _HEIGHT = 10.5, 4.2


def context(folder: RunFolder) -> dict[str, Any]:
    story = folder.read_json(folder.path / "compress.json")
    rows = story["models"]
    return {
        "name": story["name"],
        "story": story,
        "rows": rows,
        "chosen": next((row for row in rows if row["name"] == story["chosen"]), None),
        "run": next(row for row in rows if row["name"] == "run"),
        "figure": draw(_WIDTH, _HEIGHT, lambda figure: _plot(figure, story), tr("Metric against time and size")),
    }


def _plot(figure: Figure, story: dict[str, Any]) -> None:
    rows, target = story["models"], story["target"]
    panels = figure.subplots(1, 2, sharey=True)
    values = [row["value"] for row in rows]
    pad = max(0.08 * (max(values) - min(values)), 0.005)
    shares = FuncFormatter(lambda value, place: f"{100 * value:.1f} %" if story["is_share"] else f"{value:.3f}")
    for axes, what, title, unit, scale in (
        (panels[0], "latency", tr("ms for one sample"), "milliseconds", 1.0),
        (panels[1], "size", tr("size in MB"), "bytes", 1e-6),
    ):
        costs = [row[unit] * scale for row in rows]
        reach = (max(costs) / min(costs)) ** 0.15 + 0.05
        axes.set(
            title=title, xscale="log", xlim=(min(costs) / reach, max(costs) * reach),
            ylim=(min(values) - pad, max(values) + pad),
        )  # fmt: skip
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axes.tick_params(axis="x", which="minor", labelsize=8)
        axes.yaxis.set_major_formatter(shares)
        if target is not None and target["what"] == what:
            axes.axvline(target["limit"] * scale, color=WARN, linewidth=1, linestyle="--")
        for row, cost in zip(rows, costs):
            colour = ACCENT if row["best"] else MUTED
            chosen = row["name"] == story["chosen"]
            axes.plot(
                cost, row["value"], "o", markersize=9 if chosen else 6, color=colour,
                markerfacecolor=colour if row["best"] else "white", markeredgecolor=WARN if chosen else colour,
            )  # fmt: skip
        named = [(row, cost) for row, cost in zip(rows, costs) if row["best"] or row["name"] == "run"]
        name_points(
            axes, [row["name"] for row, _ in named], [(cost, row["value"]) for row, cost in named],
            [INK for _ in named], (_WIDTH / 2, _HEIGHT),
        )  # fmt: skip
    panels[0].set_ylabel(translated(story["metric"]))
