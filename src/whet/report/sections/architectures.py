"""Comparison of architectures: a table and a figure of their metric, difference from the best, and cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from whet.core.language import english, tr, translated
from whet.core.run_folder import RunFolder
from whet.report import text
from whet.report.figures import ACCENT, GRID, INK, MUTED, Drawing, name_points

_WIDTH, _HEIGHT = 10.5, 6.6  # inches, for 2 x 2 panels
_DECADES = [digit * 10.0**power for power in range(-6, 12) for digit in (1, 3)]
_TIMES = [tick for tick in _DECADES if tick < 60] + [60.0, 120, 300, 600, 1800, 3600, 3 * 3600, 10 * 3600, 30 * 3600]
_DOUBLES = [part * 2.0**power for power in range(4, 21) for part in (1, 1.5)]
_COSTS: tuple[tuple[str, str, Callable[[float], str], list[float]], ...] = (
    ("parameters", english("parameters"), text.amount, _DECADES),
    ("train_seconds", english("training"), text.seconds, _TIMES),
    ("seconds_per_sample", english("inference per sample"), text.seconds, _TIMES),
    ("peak_memory_mib", english("peak memory"), text.memory, _DOUBLES),
)
"""Key, title, value formatter, possible tick positions."""
_MAX_TICKS = 5


def context(folder: RunFolder, story: dict[str, Any]) -> dict[str, Any]:
    rows = sorted((row for row in story["architectures"] if row["runs"]), key=lambda row: -row["value"])
    low, high = min((row["low"] for row in rows), default=0.0), max((row["high"] for row in rows), default=1.0)
    environment = None
    if story["best_run"] is not None:
        run = RunFolder(folder.path / story["best_run"])
        environment = run.read_json(run.environment)
    return {
        "name": story["name"],
        "story": story,
        "budget": text.duration(story["budget"]),
        "part": text.part_name(story["part"] or "test"),
        "rows": rows,
        "best": next((row for row in rows if row["name"] == story["best"]), None),
        "failed": [row for row in story["architectures"] if row["failed"]],
        "bounds": (low, max(high, low + 1e-6)),
        "environment": environment,
        "figure": metric_against_cost(rows, story["metric"]).svg() if rows else None,
    }


def metric_against_cost(rows: list[dict[str, Any]], metric: str) -> Drawing:
    """rows: of the architectures that were trained."""
    return Drawing(_WIDTH, _HEIGHT, lambda figure: _plot(figure, rows, metric), tr("Metric against cost"))


def _plot(figure: Figure, rows: list[dict[str, Any]], metric: str) -> None:
    figure.set_layout_engine("constrained", hspace=0.1)
    panels = figure.subplots(2, 2, sharey=True)
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    pad = max(0.05 * (high - low), 0.005)
    for axes, (cost, title, format_value, ticks) in zip(panels.flat, _COSTS):
        values = [max(row[cost], 1e-9) for row in rows]
        axes.set(
            title=translated(title), xscale="log", ylim=(low - pad, high + pad), xlim=_limits(min(values), max(values))
        )
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        _set_ticks(axes, ticks, format_value)
        pareto = _is_pareto_optimal(values, [row["value"] for row in rows])
        for row, value, leads in zip(rows, values, pareto):
            error = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
            axes.errorbar(
                value, row["value"], yerr=error, fmt="o", markersize=6, elinewidth=1, color=ACCENT if leads else MUTED,
                markerfacecolor=ACCENT if leads else "white", ecolor=ACCENT if leads else GRID, alpha=1.0,
            )  # fmt: skip
        points = [(value, row["value"]) for row, value in zip(rows, values)]
        colours = [INK if leads else MUTED for leads in pareto]
        name_points(axes, [row["name"] for row in rows], points, colours, (_WIDTH / 2, _HEIGHT / 2))
    for axes in panels[:, 0]:
        axes.set_ylabel(translated(metric))


def _is_pareto_optimal(cost_N: list[float], value_N: list[float]) -> list[bool]:
    """True if no other architecture is at least as cheap and better, or cheaper and at least as good."""
    pairs = list(zip(cost_N, value_N))
    return [not any((c <= cost and v > value) or (c < cost and v >= value) for c, v in pairs) for cost, value in pairs]


def _limits(least: float, most: float) -> tuple[float, float]:
    """Axis limits with a margin for labels, wide enough for several ticks."""
    reach = max(most / least, 3.0) ** 0.12
    middle, half = math.sqrt(least * most), max(math.sqrt(most / least), math.sqrt(3.0)) * reach
    return middle / half, middle * half


def _set_ticks(axes: Axes, ticks: list[float], format_value: Callable[[float], str]) -> None:
    """Show at most `_MAX_TICKS` of these ticks, formatted."""
    left, right = axes.get_xlim()
    inside = [tick for tick in ticks if left <= tick <= right]
    axes.xaxis.set_major_locator(FixedLocator(inside[:: -(-len(inside) // _MAX_TICKS) or 1]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: format_value(value)))
