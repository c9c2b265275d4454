"""Recipes trained with the same seeds and judged on the same samples: the data they share, their runs, their gains.

Every run is made in this process, in a folder that goes when it is done; its answers stay in a file, so that a call
goes on where the last one stopped.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import record
from decisions import certain
from whet import recipes
from whet.core.recipe import Recipe, parse_methods
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.data.read import read_data
from whet.data.table import Table
from whet.evaluate import compare
from whet.evaluate.difference import HELPS, HURTS, Difference
from whet.tasks import SINGLE_LABEL
from whet.training.job import train_run
from whet.training.precision import has_bf16

TRASHNET, CIFAR = record.SHARED / "trashnet", record.SHARED / "cifar10_subset"
WEIGHTS = record.SHARED / "weights" / "mobilenet_v1_0.5_160"


@dataclass(frozen=True)
class Setting:
    """Real data, and the plain recipe that methods are added to. Without its path: `placed` gives one."""

    name: str
    spec: DataSpec
    plain: Recipe

    def table(self) -> Table:
        return read_data(self.spec)

    def placed(self, path: Path, seed: int, *methods: Any) -> Recipe:
        """The plain recipe with these methods, on the table at `path`."""
        recipe = self.plain.replace(data=DataSpec(path=str(path))).setting(seed=seed)
        return recipe.with_methods(*parse_methods(methods))


def trashnet(steps: int, batch_size: int) -> Setting:
    """TrashNet, the authors' split: a head with one hidden layer on the kept features of an ImageNet MobileNet, a small one
    (0.5 at 160 px), as every run computes them anew."""
    lists = str(TRASHNET / "one-indexed-files-notrash_{train,val,test}.txt")
    methods = ["linear_probe", {"head": {"form": "mlp", "hidden": 256}}, {"adamw": {"lr": 1e-3}}, "cosine"]
    model = ModelSpec(architecture=str(WEIGHTS), weights=str(WEIGHTS))
    plain = Recipe(model=model, methods=parse_methods(methods))
    return Setting("trashnet", DataSpec(path=str(TRASHNET), split_files=(lists,)), short(plain, steps, batch_size))


def cifar(steps: int, batch_size: int) -> Setting:
    """CIFAR-10's subset, 15 % of its training images set aside for validation: the slim ResNet-9 from random weights, by the
    shipped plain recipe."""
    plain = recipes.load("image/plain_from_scratch").replace(
        model=ModelSpec(architecture="resnet9_slim", weights="none")
    )
    return Setting("cifar10_subset", DataSpec(path=str(CIFAR)), short(plain, steps, batch_size))


def short(recipe: Recipe, steps: int, batch_size: int) -> Recipe:
    """So many steps, whatever the methods make of the data, measured once at the end. One precision for all: a probe could choose
    differently from run to run."""
    precision = "bf16" if has_bf16(torch.device("cpu")) else "fp32"
    return recipe.setting(
        budget=f"{steps}st", batch_size=batch_size, device="cpu", precision=precision,
        validate_every="1dur", checkpoint_every="1dur",
    )  # fmt: skip


def write_table(name: str, frame: pd.DataFrame, classes: Sequence[str]) -> Path:
    """Rows of a table as a CSV file that names the images where they lie."""
    path = record.FOLDER / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = [classes[label] for label in frame["label"]]
    pd.DataFrame({"file": frame["path"], "label": labels, "split": frame["split"]}).to_csv(path, index=False)
    return path


def answers_of(kept: record.Kept, name: str, recipe: Recipe) -> dict[str, Any]:
    """What a run of this recipe answers to the test samples (the validation samples where there are no others): label, predicted
    (class numbers, by id), classes, metrics, seconds, epochs. From an earlier call where recipe and data are the same."""
    piece, mark = f"{name} s{recipe.train.seed}", recipe.hash + _digest(Path(str(recipe.data.path)))
    if kept.get(piece, {}).get("mark") != mark:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = _read(train_run(recipe, Path(folder) / "run", started=start))
        kept.keep(piece, {"mark": mark, **found, "seconds": time.monotonic() - start})
        values = "  ".join(f"{key} {SINGLE_LABEL.metrics[key].text(value)}" for key, value in found["metrics"].items())
        print(f"{piece:42s} {kept[piece]['seconds']:5.0f} s  {found['epochs']:5.1f} epochs  {values}", flush=True)
    return kept[piece]


def _digest(path: Path) -> str:
    """Of a table's rows; a folder is known by its name."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else path.name


def _read(run: RunFolder) -> dict[str, Any]:
    metrics, frame = run.read_json(run.metrics), run.read_predictions()
    part = "test" if "test" in metrics else "val"
    frame = frame[frame["split"] == part].sort_values("id")
    classes = [column.removeprefix("p:") for column in frame.columns if column.startswith("p:")]
    number = {name: k for k, name in enumerate(classes)}
    values = {key: metrics[part][key] for key in ("accuracy", "macro_f1", "log_loss")}
    return {
        "classes": classes,
        "label": [number[name] for name in frame["label"]],
        "predicted": [number[name] for name in frame["predicted"]],
        "metrics": values | {"worst_class": metrics[part]["worst_class"]["recall"]},
        "epochs": metrics["cost"]["epochs"],
        "notes": metrics["notes"],
    }


def gain(
    metric: str, plain: list[dict[str, Any]], other: list[dict[str, Any]], classes: Sequence[int] | None = None
) -> Difference:
    """Of the other recipe over the plain one, seed by seed; `classes`: on the samples of these classes alone."""
    label_N = np.array(plain[0]["label"])
    if any(run["label"] != plain[0]["label"] for run in [*plain, *other]):
        raise SystemExit("the runs were judged on different samples: try --fresh")
    chosen_N = np.full(len(label_N), True) if classes is None else np.isin(label_N, classes)
    a, b = (
        [certain(np.array(run["predicted"])[chosen_N], label_N[chosen_N]) for run in runs] for runs in (plain, other)
    )
    return compare.difference(SINGLE_LABEL.metric(metric), a, b)


def mean_of(metric: str, runs: list[dict[str, Any]]) -> str:
    """Over the seeds, with their standard deviation."""
    values = np.array([run["metrics"][metric] for run in runs])
    spread = f" ± {SINGLE_LABEL.metrics[metric].text(values.std(ddof=1))}" if len(values) > 1 else ""
    return SINGLE_LABEL.metrics[metric].text(values.mean()) + spread


def text_of(metric: str, difference: Difference) -> str:
    """'+2.1 (+0.3 … +3.9)', in bold where the interval leaves out zero."""
    mean, low, high = (
        SINGLE_LABEL.metrics[metric].text(v, "+") for v in (difference.mean, difference.low, difference.high)
    )
    return f"**{mean}** ({low} … {high})" if difference.verdict in (HELPS, HURTS) else f"{mean} ({low} … {high})"


def plain_dict(difference: Difference) -> dict[str, Any]:
    """For a results file."""
    return {**asdict(difference), "verdict": difference.verdict}
