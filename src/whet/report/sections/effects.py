"""The result of a study: the effect of each factor with its interval, its cost, and its effect per class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from whet.core.language import english, tr, translated
from whet.core.task import metric_named
from whet.report.figures import ACCENT, GRID, INK, MUTED, WARN, Drawing, draw, name_points
from whet.report.text import axis_of, unit_of

_PRICE = (5.2, 3.4)  # inches
_COLOURS = {"helps": ACCENT, "hurts": WARN}


def context(study: dict[str, Any]) -> dict[str, Any]:
    measured = [effect for effect in study["effects"] if effect["seeds"]]
    classes = sorted({name for effect in measured for name in effect["per_class"]})
    reach = max([0.01, *(abs(one["mean"]) for effect in measured for one in effect["per_class"].values())])
    chosen = metric_named(study["metric"])
    confirmed = study["confirmed"]
    return {
        "study": study,
        "effects": study["effects"],
        "measured": measured,
        "classes": classes,
        "reach": reach,
        "text": chosen.text,
        "title": chosen.title,
        "unit": english(" percentage points") if chosen.is_share else "",
        "forest": forest(measured, study["metric"]).svg(),
        "price": price(measured, study["metric"]).svg(),
        "heat": _heat(study, _scale(study["metric"])),
        "curves": draw(
            5.2,
            3.2,
            lambda figure: _curves(figure, confirmed["curves"], confirmed["curve_of"]),
            tr("Validation over training"),
        )
        if confirmed
        else None,
    }


def forest(effects: list[dict[str, Any]], metric: str) -> Drawing:
    """Each effect with its interval. effects: rows with `factor`, `effect`, `low`, `high` and `verdict`."""
    height = 0.9 + 0.36 * len(effects)
    return Drawing(8.4, height, lambda figure: _forest(figure, effects, _scale(metric)), tr("Effects with intervals"))


def price(effects: list[dict[str, Any]], metric: str) -> Drawing:
    """Each effect against the training time, `time`, that it costs."""
    return Drawing(*_PRICE, lambda figure: _price(figure, effects, _scale(metric)), tr("Gain against cost"))


def _scale(metric: str) -> tuple[str, int]:
    """The unit of a difference, and the factor that gives it."""
    chosen = metric_named(metric)
    return unit_of(chosen), 100 if chosen.is_share else 1


def _forest(figure: Figure, effects: list[dict[str, Any]], scale: tuple[str, int]) -> None:
    axes, (unit, factor) = figure.subplots(), scale
    position = np.arange(len(effects))[::-1]
    axes.axvline(0, color=INK, linewidth=0.8)
    for y, effect in zip(position, effects, strict=True):
        colour = _COLOURS.get(effect["verdict"], MUTED)
        ends = [factor * effect["low"], factor * effect["high"]]
        axes.plot(ends, [y, y], color=colour, linewidth=2.4, solid_capstyle="round")
        axes.plot(factor * effect["effect"], y, marker="o", markersize=6, color=colour)
    axes.set_yticks(position, [translated(effect["factor"]) for effect in effects], color=INK)
    axes.set(xlabel=tr("{unit}, 95 % interval", unit=unit), ylim=(-0.7, len(effects) - 0.3))
    axes.grid(axis="y", color=GRID, linewidth=0.5)


def _price(figure: Figure, effects: list[dict[str, Any]], scale: tuple[str, int]) -> None:
    axes, (unit, factor) = figure.subplots(), scale
    axes.axhline(0, color=INK, linewidth=0.8)
    points = [(100 * (effect["time"] - 1), factor * effect["effect"]) for effect in effects]
    colours = [_COLOURS.get(effect["verdict"], MUTED) for effect in effects]
    for (x, y), colour in zip(points, colours, strict=True):
        axes.plot(x, y, marker="o", color=colour)
    axes.set(xlabel=tr("change of training time, %"), ylabel=unit)
    axes.margins(0.25)
    axes.autoscale_view()
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    name_points(axes, [translated(effect["factor"]) for effect in effects], points, colours, _PRICE)


def _curves(figure: Figure, curves: dict[str, list[list[tuple[float, float]]]], metric: str) -> None:
    """Plot each seed as a thin line and the mean as a thick line."""
    axes, chosen = figure.subplots(), metric_named(metric)
    factor = 100 if chosen.is_share else 1
    for (name, runs), colour in zip(curves.items(), (MUTED, ACCENT), strict=True):
        for run in runs:
            axes.plot(*zip(*[(epoch, factor * value) for epoch, value in run]), color=colour, linewidth=0.7, alpha=0.6)
        shortest = min(len(run) for run in runs)
        points = np.mean([run[-shortest:] for run in runs], axis=0)
        axes.plot(points[:, 0], factor * points[:, 1], color=colour, linewidth=2.2, label=translated(name))
    axes.set(xlabel=tr("epoch"), ylabel=tr("{metric}, validation", metric=axis_of(chosen)))
    axes.legend()


def _heat(study: dict[str, Any], scale: tuple[str, int]) -> Any:
    """The interactions of pairs of factors in a full factorial design."""
    pairs = study["interactions"]
    if not pairs:
        return None
    names = [effect["factor"] for effect in study["effects"]]
    table = np.full((len(names), len(names)), np.nan)
    for pair in pairs:
        a, b = (names.index(name) for name in pair["factors"])
        table[a, b] = table[b, a] = scale[1] * pair["mean"]

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        most = max(float(np.nanmax(np.abs(table))), 0.1)
        image = axes.imshow(table, cmap="RdYlGn", vmin=-most, vmax=most)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.grid(False)
        for i, j in zip(*np.nonzero(~np.isnan(table))):
            axes.text(j, i, f"{table[i, j]:+.1f}", ha="center", va="center", fontsize=8)
        figure.colorbar(image, ax=axes, label=scale[0])

    return draw(5.2, 3.8, plot, tr("Interactions of two factors"))
