"""Combine finished runs into one model that averages their probabilities, without training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.core import strict_json
from whet.core.errors import RunError
from whet.core.evidence import Evidence
from whet.core.language import Sentence, english
from whet.core.mask_task import MaskTask
from whet.core.output import put, work_folder
from whet.core.recipe import Recipe, parse_method
from whet.core.run_folder import RunFolder, write_whole
from whet.core.task import allowed
from whet.data.read import read_samples
from whet.data.table import Table
from whet.evaluate.compare import difference
from whet.evaluate.difference import Difference
from whet.evaluate.evidence import read_evidence, write_evidence
from whet.evaluate.inference import Keep, as_it_is, run_inference
from whet.explain import Explanation, explain
from whet.models.build import add_external_model, read_extra, write_extra
from whet.training.data_record import as_recorded
from whet.training.examples import write_examples
from whet.training.finish import FEW_POINTS, write_mistakes
from whet.training.resolve import make_fabric
from whet.training.saved import SavedModel
from whet.training.worst_images import write_worst_images

_METHOD = "stacking"
_ADDED = ("train_seconds", "total_seconds", "seconds_per_sample", "steps", "parameters", "trained_parameters")


def ensemble_runs(runs: Sequence[RunFolder], path: Path) -> RunFolder:
    """Write a run folder whose model averages the probabilities of these runs. Its predictions on the validation and test samples
    are computed from those of the runs, and no sample is read again; but of masks the runs keep counts only, so the combined model
    predicts these images anew. If the runs have different image sizes, it renders images for the first run and resizes them for the
    others, which is noted. Raises RunError if the runs predicted different samples, or if one of them is an ensemble itself.

    runs: at least two finished runs. What cannot be averaged (samples in the report, the splits) is taken from the first run.
    """
    made = RunFolder(path)
    if made.finished:
        return made
    recipes = [Recipe.load(run.requested) for run in runs]
    if not can_combine(runs[0]):
        raise RunError(
            f"{runs[0].path} is a run of {recipes[0].task}, whose predictions cannot be averaged; "
            "whet compare shows which run is better"
        )
    made.require_new(recipes[0].data.path)
    if any(_METHOD in recipe for recipe in recipes):
        raise RunError(f"{path}: a run that is an ensemble cannot be part of another ensemble")
    path.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(path) as work:
        _write_ensemble(runs, RunFolder.create(work))
        put(work, path)  # atomic: an interrupted call leaves nothing behind
    return made


def _write_ensemble(runs: Sequence[RunFolder], folder: RunFolder) -> None:
    first = runs[0]
    shutil.copytree(first.model, folder.model)
    stacking = parse_method({_METHOD: {"runs": [str(run.path) for run in runs[1:]], "how": "mean"}})
    for number, run in enumerate(runs[1:], start=1):
        add_external_model(folder.model, _METHOD, number, run.model)
    extra = read_extra(folder.model)
    # Last, because the calibration of the first run was fitted for its own predictions only.
    predict = [*extra["predict"], {_METHOD: stacking.settings_dict()}]
    write_extra(folder.model, {**extra, "predict": predict, "fitted": {**extra["fitted"], _METHOD: {}}})
    shutil.copytree(first.samples, folder.samples)
    for file in (first.environment, first.data, first.splits):
        shutil.copy(file, folder.path / file.name)
    for file in (first.requested, first.recipe):
        write_whole(folder.path / file.name, Recipe.load(file).with_methods(stacking).to_yaml())
    write_evidence(folder, _mean_predictions(runs, folder))
    strict_json.write(folder.metrics, _metrics(runs, folder))
    write_whole(folder.done, "")


def can_combine(run: RunFolder) -> bool:
    """Whether the predictions of runs of this task can be averaged."""
    return allowed(Recipe.load(run.requested).task, parse_method(_METHOD))


def ensemble_gain(ensemble: RunFolder, single: RunFolder) -> Difference:
    """The headline metric of the ensemble minus that of one of its runs, on the test split, or the validation split if there is
    no test split."""
    part = "test" if "test" in ensemble.read_json(ensemble.metrics) else "val"
    ours, alone = (read_evidence(run, part) for run in (ensemble, single))
    return difference(ours.task.metric(ours.task.headline), [alone], [ours])


def show_mistakes(run: RunFolder, table: Table) -> None:
    """Write mistakes/ or worst_images/ of an ensemble, as for a trained run. table: the predicted samples."""
    split = "test" if "test" in run.read_json(run.metrics) else "val"
    if "worst_images" in run.task.sections:
        write_worst_images(table.part(split), split, run, _Combined(run).predict)
        return
    saved = SavedModel(run.model, torch.device("cpu"))

    def why(part: Table, class_N: np.ndarray) -> Iterator[tuple[int, Explanation]]:
        return explain(saved.members, saved.loader(part.frame, 2), saved.size, class_N, most_points=FEW_POINTS)

    write_mistakes(table.part(split), split, run, why)
    if "examples" in run.task.sections:
        write_examples(table.part(split), split, run)


def _mean_predictions(runs: Sequence[RunFolder], folder: RunFolder) -> dict[str, Evidence]:
    parts: dict[str, Evidence] = {}
    combined = _Combined(folder) if isinstance(runs[0].task, MaskTask) else None
    for split in _parts(runs[0]):
        found = [read_evidence(run, split) for run in runs]
        for run, evidence in zip(runs, found, strict=True):
            same = evidence.classes == found[0].classes and np.array_equal(evidence.ids, found[0].ids)
            if not same or evidence.task.different_labels(evidence, found[0]):
                raise RunError(f"{run.path} and {runs[0].path} predicted different samples and cannot be combined")
        parts[split] = found[0].task.averaged(found) if combined is None else combined.evidence(found[0])
    return parts


class _Combined:
    """The model of an ensemble, for the samples of its data."""

    def __init__(self, folder: RunFolder) -> None:
        self.recipe = Recipe.load(folder.recipe)
        self.fabric = make_fabric(self.recipe.setting(device="auto"))
        self.saved = SavedModel(folder.model, self.fabric.device)
        self.table = as_recorded(
            folder, read_samples(self.recipe.data).for_problem(self.recipe.task, self.recipe.model.head)
        )

    def evidence(self, like: Evidence) -> Evidence:
        """The evidence for the samples of this evidence. RunError if one of them cannot be read any more."""
        rows = self.table.frame.set_index("id", drop=False)
        gone = [id_ for id_ in like.ids if id_ not in rows.index]
        if gone:
            raise RunError(
                f"{self.recipe.data.path}: {len(gone)} predicted images are missing or changed; first: {gone[0]}"
            )
        if self.table.classes != like.classes:
            raise RunError(f"{self.recipe.data.path} has other classes now: {', '.join(self.table.classes)}")
        part = self.table.with_frame(rows.loc[list(like.ids)].reset_index(drop=True))
        outputs, index = self.predict(part, self.saved.task.statistics)
        return part.evidence(index, outputs.double().numpy())

    def predict(self, part: Table, keep: Keep = as_it_is) -> tuple[Tensor, np.ndarray]:
        """(the outputs, or what is kept of them; the row numbers). RunError for an image that cannot be read."""

        def failed(index: int, reason: str) -> None:
            raise RunError(f"{part.frame['id'].iloc[index]} cannot be read any more: {reason}")

        saved, loader = self.saved, self.saved.loader(part.frame, 2)
        return run_inference(saved.net, saved.predictor, loader, saved.size, self.fabric.autocast, failed, None, keep)


def _parts(run: RunFolder) -> list[str]:
    return [split for split in ("val", "test") if split in run.read_json(run.metrics)]


def _metrics(runs: Sequence[RunFolder], folder: RunFolder) -> dict[str, Any]:
    """The metrics, as for a trained run. Times and sizes are sums over all runs."""
    each = [run.read_json(run.metrics) for run in runs]
    metrics: dict[str, Any] = {}
    for split in _parts(runs[0]):
        evidence = read_evidence(folder, split)
        metrics[split] = evidence.task.measure(evidence)
    costs = [found["cost"] for found in each]
    total = {key: sum(cost[key] for cost in costs) for key in _ADDED}
    metrics["cost"] = {key: total.get(key, float(np.mean([cost[key] for cost in costs]))) for key in costs[0]}
    metrics["cost"]["peak_memory_mib"] = max(cost["peak_memory_mib"] for cost in costs)
    names, hash_ = ", ".join(run.name for run in runs), Recipe.load(folder.requested).hash
    kept = ("best_validation", "left_out", "seed", "task")
    return {
        **{key: each[0][key] for key in kept if key in each[0]},
        **metrics,
        "notes": [english("the mean of {n} runs: {runs}", n=len(runs), runs=names), *_of_sizes(runs)],
        "recipe_hash": hash_,
        "requested_hash": hash_,
    }


def _of_sizes(runs: Sequence[RunFolder]) -> list[Sentence]:
    """A note if the networks have different input sizes, and the metrics come from the runs."""
    if isinstance(runs[0].task, MaskTask):
        return []
    sizes = [int(read_extra(run.model)["size"]) for run in runs]
    if len(set(sizes)) == 1 or Recipe.load(runs[0].requested).medium != "image":
        return []
    return [
        english(
            "the metrics are for images at each run's own size ({sizes} px); the combined model renders images for the "
            "first run and resizes them for the others, so its predictions may differ slightly",
            sizes=", ".join(map(str, sizes)),
        )
    ]
