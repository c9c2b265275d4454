"""A study's answer: what every factor does, with its interval, its price, and class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from whet.report.figures import ACCENT, GRID, INK, MUTED, WARN, draw

_COLOURS = {"helps": ACCENT, "hurts": WARN, "no evidence": MUTED}


def context(study: dict[str, Any]) -> dict[str, Any]:
    effects = study["effects"]
    classes = sorted({name for effect in effects for name in effect["per_class"]})
    reach = max([0.01, *(abs(one["mean"]) for effect in effects for one in effect["per_class"].values())])
    return {
        "study": study,
        "effects": effects,
        "classes": classes,
        "reach": reach,
        "forest": draw(
            8.4, 0.9 + 0.36 * len(effects), lambda figure: _forest(figure, effects), "Effects with intervals"
        ),
        "price": draw(5.2, 3.4, lambda figure: _price(figure, effects), "Gain against cost"),
        "heat": _heat(study),
    }


def _forest(figure: Figure, effects: list[dict[str, Any]]) -> None:
    axes = figure.subplots()
    place = np.arange(len(effects))[::-1]
    axes.axvline(0, color=INK, linewidth=0.8)
    for y, effect in zip(place, effects):
        colour = _COLOURS[effect["verdict"]]
        axes.plot(
            [100 * effect["low"], 100 * effect["high"]], [y, y], color=colour, linewidth=2.4, solid_capstyle="round"
        )
        axes.plot(100 * effect["effect"], y, marker="o", markersize=6, color=colour)
    axes.set_yticks(place, [effect["factor"] for effect in effects], color=INK)
    axes.set(xlabel="points of accuracy, 95 % interval", ylim=(-0.7, len(effects) - 0.3))
    axes.grid(axis="y", color=GRID, linewidth=0.5)


def _price(figure: Figure, effects: list[dict[str, Any]]) -> None:
    axes = figure.subplots()
    axes.axhline(0, color=INK, linewidth=0.8)
    for effect in effects:
        x, y, colour = 100 * (effect["cost"] - 1), 100 * effect["effect"], _COLOURS[effect["verdict"]]
        axes.plot(x, y, marker="o", color=colour)
        axes.annotate(effect["factor"], (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8, color=colour)
    axes.set(xlabel="% more training time", ylabel="points of accuracy")
    axes.margins(0.18)


def _heat(study: dict[str, Any]) -> Any:
    """How much two factors do together beyond what each does alone; of a full factorial."""
    pairs = study["interactions"]
    if not pairs:
        return None
    names = [effect["factor"] for effect in study["effects"]]
    table = np.full((len(names), len(names)), np.nan)
    for pair in pairs:
        a, b = (names.index(name) for name in pair["factors"])
        table[a, b] = table[b, a] = 100 * pair["mean"]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        most = max(float(np.nanmax(np.abs(table))), 0.1)
        image = axes.imshow(table, cmap="RdYlGn", vmin=-most, vmax=most)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.grid(False)
        for i, j in zip(*np.nonzero(~np.isnan(table))):
            axes.text(j, i, f"{table[i, j]:+.1f}", ha="center", va="center", fontsize=8)
        figure.colorbar(image, ax=axes, label="points")

    return draw(5.2, 3.8, paint, "Interactions of two factors")
