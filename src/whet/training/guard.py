"""The guard: of a run and the run that it follows, the network that is better on validation samples predicts.

Both networks predict the same validation samples, each finished and cross-fitted in its own run. The later one predicts if it is
better by more than `HYSTERESIS` standard errors of the paired difference, in the metric by which runs are chosen (log-loss; for
masks the mean IoU). Else the earlier one is handed over: its model, its predictions and its mistakes take the place of this run's
own. Test samples decide nothing. A round after a round that was handed over is not trained, as its labels would be the same.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

import numpy as np

from whet.core.language import Sentence, english
from whet.core.output import empty
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.stages import Guarded
from whet.evaluate.evidence import joined, read_evidence

HYSTERESIS = 0.5
_SHOWN = ("mistakes", "worst_images", "examples", "feature_map")
_MEASURED = ("val", "test", "inference_gain")


@dataclass(frozen=True)
class Verdict:
    """before: the run that was followed. hands_over: whether its network predicts. record: for the metrics. note: a sentence."""

    before: RunFolder
    hands_over: bool
    record: dict[str, Any]
    note: Sentence


def gave_up(folder: RunFolder, recipe: Recipe) -> bool:
    """Whether the run before this one was not better than the one before it."""
    return any(
        RunFolder(path).finished
        and RunFolder(path).read_json(RunFolder(path).metrics).get("guard", {}).get("hands_over")
        for path in _followed(folder, recipe)
    )


def judged(folder: RunFolder, recipe: Recipe, *, trained: bool) -> Verdict | None:
    """The comparison of this run, whose evidence is written, with the run that it follows; None where it follows none. trained:
    whether this run was trained at all."""
    for path in _followed(folder, recipe):
        before = RunFolder(path)
        both = joined([read_evidence(run, "val") for run in (before, folder)], [str(before.path), str(folder.path)])
        metric = both.evidence[0].task.chooser
        parts = [metric.parts(one) for one in both.evidence]
        gain_N = (parts[0] - parts[1]) if metric.smaller_is_better else (parts[1] - parts[0])
        error = float(gain_N.std(ddof=1) / np.sqrt(len(gain_N))) if len(gain_N) > 1 else 0.0
        hands_over = not trained or not float(gain_N.mean()) > HYSTERESIS * error
        values = [metric.value(one) for one in both.evidence]
        record = {
            "method": path.name, "metric": metric.title, "before": values[0], "after": values[1],
            "gain": float(gain_N.mean()), "standard_error": error, "hysteresis": HYSTERESIS,
            "samples": len(both.evidence[0]), "trained": trained, "hands_over": hands_over,
        }  # fmt: skip
        return Verdict(before, hands_over, record, _note(record))
    return None


def hand_over(before: RunFolder, folder: RunFolder) -> dict[str, Any]:
    """Put the model and the predictions of the earlier run in place of this run's own. Returns its metrics."""
    empty(folder.model)
    shutil.copytree(before.model, folder.model, dirs_exist_ok=True)
    for file in (before.evidence, before.predictions):
        shutil.copy(file, folder.path / file.name)
    for name in _SHOWN:
        if (before.path / name).is_dir():
            shutil.copytree(before.path / name, folder.path / name, dirs_exist_ok=True)
    metrics = before.read_json(before.metrics)
    return {key: metrics[key] for key in _MEASURED if key in metrics}


def _followed(folder: RunFolder, recipe: Recipe) -> list[Any]:
    paths = [folder.external_models / method.name for method in recipe.methods if isinstance(method, Guarded)]
    return [path for path in paths if RunFolder(path).finished]


def _note(record: dict[str, Any]) -> Sentence:
    if not record["trained"]:
        return english(
            "{method}: the round before was not better than the one before it, so no further round was trained",
            method=record["method"],
        )
    values = {key: record[key] for key in ("method", "metric", "before", "after", "samples", "hysteresis")}
    if record["hands_over"]:
        return english(
            "{method}: not better than the run before, whose network is handed over: {metric!t} {after:.3f} after {before:.3f} on "
            "{samples:,} validation samples (a gain must exceed {hysteresis} standard errors)",
            **values,
        )
    return english(
        "{method}: better than the run before: {metric!t} {after:.3f} after {before:.3f} on {samples:,} validation samples",
        **values,
    )
