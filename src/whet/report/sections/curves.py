"""Learning curves: smoothed loss per step, validation metrics, learning rate and input size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from whet.core.language import tr, translated
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.report.figures import ACCENT, MUTED, SECOND, WARN, Drawing, draw

_MARGINS = {"left": 0.05, "right": 0.935, "bottom": 0.165, "top": 0.83, "wspace": 0.22}


def steps_per_epoch(steps: Sequence[Mapping[str, Any]]) -> float:
    """From the recorded steps: the last epoch may be cut short."""
    last = steps[-1]["epoch"]
    before = [record["step"] for record in steps if record["epoch"] < last]
    return max(before) / last if before else float(steps[-1]["step"])


def context(folder: RunFolder) -> dict[str, Any] | None:
    records = folder.log_records()
    drawing = learning_curves(folder, records)
    if drawing is None:
        return None
    tests = [r for r in records if r["event"] == "range_test"]
    return {
        "figure": drawing.svg(),
        "range_tests": [{**test, "figure": _range_test(test)} for test in tests],
    }


def learning_curves(folder: RunFolder, records: Sequence[Mapping[str, Any]]) -> Drawing | None:
    """records: of the log. None if no step was trained."""
    steps = [r for r in records if r["event"] == "step"]
    checks = [r for r in records if r["event"] == "validation"]
    if not steps:
        return None
    step = np.array([r["step"] for r in steps])
    loss = np.array([r["loss"] for r in steps])
    per_epoch = steps_per_epoch(steps)
    unit = Recipe.load(folder.recipe).shown.split(maxsplit=1)[1]
    task, num_classes = folder.task, len(folder.read_json(folder.data)["classes"])
    loss_of = [task.validation_loss(check, num_classes) for check in checks]
    x, seen = step / per_epoch, np.array([r["step"] for r in checks]) / per_epoch

    def plot(figure: Figure) -> None:
        left, middle, right = figure.subplots(1, 3)
        left.plot(x, loss, color=MUTED, alpha=0.25, linewidth=0.8)
        left.plot(x, _smooth(loss), color=ACCENT, label=tr("training"))
        if None not in loss_of and checks:
            left.plot(
                seen,
                loss_of,
                color=SECOND,
                marker="o",
                markersize=3,
                label=tr("validation"),
            )
        low, high = min(0.0, 1.05 * float(loss.min())), float(np.quantile(loss, 0.98))
        left.set(title=tr("Loss"), xlabel=tr("epoch"), ylim=(low, max(1.15 * high, 0.0) or 1))
        left.legend()
        known = [key for key in task.followed if all(key in check for check in checks)]
        shares = [key for key in known if task.metric(key).is_share and not task.metric(key).smaller_is_better]
        for key, colour in zip(shares, (SECOND, ACCENT), strict=False):
            label = translated(task.metric(key).title)
            middle.plot(seen, [r[key] for r in checks], color=colour, marker="o", markersize=3, label=label)
        if shares:
            middle.legend()
            middle.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        middle.set(title=tr("Validation"), xlabel=tr("epoch"))
        right.plot(x, [r["lr"] for r in steps], color=WARN)
        right.set(title=tr("Learning rate and size"), xlabel=tr("epoch"))
        right.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
        size = right.twinx()
        size.step(x, [r["size"] for r in steps], color=MUTED, linewidth=1.2, where="post")
        size.set_ylim(0, 1.15 * max(r["size"] for r in steps))
        size.grid(False)
        size.set_ylabel(translated(unit))
        for axes in (left, middle, right):
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    return Drawing(10.5, 3.0, plot, tr("Learning curves"), _MARGINS)


def _range_test(test: dict[str, Any]) -> Markup:
    loss = np.array(test["loss"])

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(test["lr"], loss, color=MUTED, alpha=0.35, linewidth=0.8)
        axes.plot(test["lr"], _smooth(loss), color=ACCENT)
        axes.axvline(test["chosen"], color=WARN, linestyle="--", linewidth=1.2)
        axes.annotate(
            f"{test['chosen']:.2g}", (test["chosen"], 1), xycoords=("data", "axes fraction"), xytext=(5, -12),
            textcoords="offset points", color=WARN,
        )  # fmt: skip
        axes.set(
            xscale="log",
            xlabel=tr("learning rate"),
            ylabel=tr("loss"),
            ylim=(0, 1.6 * float(loss[: max(5, len(loss) // 5)].mean())),
        )

    return draw(7.5, 2.8, plot, tr("Learning rate range test"))


def _smooth(values: np.ndarray) -> np.ndarray:
    """A centred moving average over about 1/15 of the curve."""
    width = max(1, len(values) // 30) * 2 + 1
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")
