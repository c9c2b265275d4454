"""The result of tuning: all trials, the importance of the settings, the recommended recipe, and its confirmation with new seeds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from whet.core.language import english, tr, translated
from whet.core.task import metric_named
from whet.evaluate.compare import Metric
from whet.report.figures import ACCENT, GRID, INK, MUTED, SECOND, WARN, Drawing, draw
from whet.report.text import axis_of, unit_of

_COLUMNS, _MAX_SLICES = 3, 12


def context(story: dict[str, Any]) -> dict[str, Any]:
    chosen = metric_named(story["metric"])
    trials = story["trials"]
    finished = [trial for trial in trials if trial["state"] == "finished"]
    best = next(trial for trial in trials if trial["trial"] == story["best"])
    first = next((trial for trial in finished if trial["trial"] == 0), None)
    important = sorted(story["space"], key=lambda setting: -story["importances"].get(setting["key"], 0.0))
    varied = [s for s in important if len({repr(trial["values"][s["key"]]) for trial in finished}) > 1][:_MAX_SLICES]
    confirmed = story["confirmed"]
    return {
        "story": story,
        "title": chosen.title,
        "text": chosen.text,
        "share": " %" if chosen.is_share else "",
        "unit": english(" percentage points") if chosen.is_share else "",
        "best": best,
        "first": first,
        "counts": {state: sum(trial["state"] == state for trial in trials) for state in ("finished", "pruned", "failed")},
        "settings": [
            {
                "key": s["key"], "range": s["text"], "was": shown(s["was"]), "best": shown(best["values"][s["key"]]),
                "importance": story["importances"].get(s["key"]), "changed": shown(s["was"]) != shown(best["values"][s["key"]]),
            }
            for s in important
        ],
        "history": history(story).svg(),
        "curves": draw(5.2, 3.4, lambda figure: _curves(figure, story), tr("Validation over the training of every trial")),
        "importances": drawn.svg() if (drawn := importances(story)) is not None else None,
        "slices": _slices(finished, varied, best, chosen),
        "forest": draw(8.4, 1.9, lambda figure: _forest(figure, confirmed, chosen), tr("Tuned minus original"))
        if confirmed else None,
    }  # fmt: skip


def shown(value: Any) -> str:
    """Format a value: 0.0123, 16, true."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _scaled(chosen: Metric, value: float) -> float:
    return 100 * value if chosen.is_share else value


def history(story: dict[str, Any]) -> Drawing:
    """The score of every trial and the best so far."""
    chosen, title = metric_named(story["metric"]), tr("Score of every trial and the best so far")
    return Drawing(8.4, 3.4, lambda figure: _history(figure, story, chosen), title)


def _history(figure: Figure, story: dict[str, Any], chosen: Metric) -> None:
    axes = figure.subplots()
    best_of = np.minimum.accumulate if chosen.smaller_is_better else np.maximum.accumulate
    finished = [trial for trial in story["trials"] if trial["state"] == "finished"]
    number = np.array([trial["trial"] for trial in finished])
    score = np.array([_scaled(chosen, trial["score"]) for trial in finished])
    if story["spread"] is not None and number[0] == 0:
        reach = 2 * _scaled(chosen, story["spread"])
        axes.axhspan(score[0] - reach, score[0] + reach, color=GRID, alpha=0.7, linewidth=0, label=tr("seed variance"))
    axes.step(number, best_of(score), where="post", color=ACCENT, linewidth=1.6, label=tr("best so far"))
    axes.plot(number, score, "o", color=SECOND, markersize=5, label=tr("trial"))
    bottom = score.max() if chosen.smaller_is_better else score.min()
    for state, marker, colour in ((english("pruned"), "x", MUTED), (english("failed"), "X", WARN)):
        numbers = [trial["trial"] for trial in story["trials"] if trial["state"] == state]
        if numbers:
            axes.plot(numbers, [bottom] * len(numbers), marker, color=colour, markersize=5, label=translated(state))
    axes.set(xlabel=tr("trial"), ylabel=axis_of(chosen))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8, ncols=2)


def _curves(figure: Figure, story: dict[str, Any]) -> None:
    axes = figure.subplots()
    for trial in story["trials"]:
        if trial["curve"]:
            colour, width = (ACCENT, 2.2) if trial["trial"] == story["best"] else (SECOND, 0.8)
            if trial["state"] == "pruned":
                colour = MUTED
            ends = [*zip(*trial["curve"])]
            axes.plot(*ends, color=colour, linewidth=width, alpha=1.0 if width > 1 else 0.55)
            if trial["state"] == "pruned":
                axes.plot(ends[0][-1], ends[1][-1], "x", color=MUTED, markersize=5)
    axes.set(xlabel=tr("% of training"), ylabel=tr("validation"))


def importances(story: dict[str, Any]) -> Drawing | None:
    """The importance of each setting; None if too few trials finished."""
    found = sorted(story["importances"].items(), key=lambda item: item[1])
    if not found:
        return None

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        axes.barh([key for key, _ in found], [100 * share for _, share in found], color=ACCENT, height=0.6)
        axes.set(xlabel=tr("importance, %"))
        axes.tick_params(axis="y", labelcolor=INK)
        axes.grid(axis="y", visible=False)

    return Drawing(5.2, 0.9 + 0.3 * len(found), plot, tr("Importance of every setting"))


def _slices(
    finished: list[dict[str, Any]], settings: list[dict[str, Any]], best: dict[str, Any], chosen: Metric
) -> Markup | None:
    """The scores of the trials over the values of each setting, in descending order of importance."""
    if not settings:
        return None
    columns = min(_COLUMNS, len(settings))
    rows = math.ceil(len(settings) / columns)

    def plot(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes, setting in zip(grid.flat, settings):
            key, names = setting["key"], [shown(choice) for choice in setting["choices"]]

            def position(value: Any, names: list[str] = names) -> float:
                return names.index(shown(value)) if names else value

            for trial in sorted(finished, key=lambda trial: trial is best):
                colour, size = (ACCENT, 9) if trial is best else (SECOND, 4.5)
                alpha = 1.0 if trial is best else 0.65
                axes.plot(
                    position(trial["values"][key]),
                    _scaled(chosen, trial["score"]),
                    "o",
                    color=colour,
                    markersize=size,
                    alpha=alpha,
                )
            if names:
                axes.set_xticks(range(len(names)), names)
                axes.set_xlim(-0.6, len(names) - 0.4)
            elif setting["log"]:
                axes.set_xscale("log")
            if shown(setting["was"]) in names or (not names and isinstance(setting["was"], int | float)):
                axes.axvline(position(setting["was"]), color=MUTED, linewidth=0.9, linestyle=":")
            axes.set_title(key, fontsize=9)
        for axes in list(grid.flat)[len(settings) :]:
            axes.set_visible(False)
        for row in grid:
            row[0].set_ylabel(axis_of(chosen), fontsize=8)

    return draw(8.4, 2.2 * rows, plot, tr("Scores over the values of every setting"))


def _forest(figure: Figure, confirmed: dict[str, Any], chosen: Metric) -> None:
    axes = figure.subplots()
    rows = [(tr("validation, new seeds"), confirmed["validation"])]
    if confirmed["part"] == "test":
        rows.append((tr("test, new seeds"), confirmed))
    axes.axvline(0, color=INK, linewidth=0.8)
    for y, (_, found) in enumerate(reversed(rows)):
        colour = {"helps": ACCENT, "hurts": WARN}.get(found["verdict"], MUTED)
        ends = [_scaled(chosen, found["low"]), _scaled(chosen, found["high"])]
        axes.plot(ends, [y, y], color=colour, linewidth=2.4, solid_capstyle="round")
        axes.plot(_scaled(chosen, found["mean"]), y, "o", color=colour, markersize=6)
    axes.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)], color=INK)
    axes.set(
        xlabel=tr("tuned minus original: {unit}, 95 % interval", unit=unit_of(chosen)), ylim=(-0.6, len(rows) - 0.4)
    )
    axes.grid(axis="y", visible=False)
