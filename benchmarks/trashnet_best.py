"""TrashNet, the authors' split, weights from ImageNet: what the shipped recipe gains over the plain one in the same wall time,
what an ensemble gains on it, and what a small network gains by being taught.

For each seed, in turn: the plain and the shipped recipe with MobileNetV1 0.75 at 224 px; the shipped one with 0.5 at 160 px
and 0.25 at 128 px; these three combined (`whet ensemble`). Each training has the same minutes, which cover everything from
reading to the test predictions. Then the small network, 0.25 at 128 px: alone, taught by the 0.75, and taught by the ensemble.
These have the same epochs, because the cost of a prediction is what matters for a small network; the cost of training is printed.

    python benchmarks/trashnet_best.py [--seeds 3] [--minutes 3] [--epochs 12] [--fresh]

A call goes on where the last one stopped: finished runs are kept.
"""

from __future__ import annotations

import argparse
import shutil
from typing import Any

import numpy as np

import paired
import record
from whet import recipes
from whet.core.recipe import Recipe, parse_methods
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.evaluate.difference import Difference
from whet.tasks import SINGLE_LABEL
from whet.training.ensemble import ensemble_runs
from whet.training.job import resume_or_train

FOLDER = record.FOLDER / "trashnet_best"
LISTS = str(paired.TRASHNET / "one-indexed-files-notrash_{train,val,test}.txt")
LARGE, MIDDLE, SMALL = (
    str(record.SHARED / "weights" / f"mobilenet_v1_{name}") for name in ("0.75_224", "0.5_160", "0.25_128")
)
PLAIN, SHIPPED = "image/plain_finetune", "image/waste"
GAINS = (
    ("the shipped recipe over the plain one", "plain", "shipped"),
    ("the ensemble of three networks over the shipped recipe", "shipped", "ensemble"),
    ("0.25 at 128 px taught by 0.75, over alone", "small", "small taught by one"),
    ("0.25 at 128 px taught by the ensemble, over alone", "small", "small taught by the ensemble"),
)


def recipe_of(name: str, weights: str, budget: str, seed: int, *methods: Any) -> Recipe:
    model = ModelSpec(architecture=weights, weights=weights)
    recipe = recipes.load(name).replace(data=DataSpec(path=str(paired.TRASHNET), split_files=(LISTS,)), model=model)
    return recipe.with_methods(*parse_methods(methods)).setting(budget=budget, seed=seed)


def trained(name: str, recipe: Recipe) -> RunFolder:
    path = FOLDER / f"{name.replace(' ', '-')}-{recipe.train.budget}-s{recipe.train.seed}"
    return print_run(name, resume_or_train(recipe, path))


def print_run(name: str, run: RunFolder) -> RunFolder:
    metrics = run.read_json(run.metrics)
    test, cost = metrics["test"], metrics["cost"]
    print(
        f"seed {metrics['seed']}  {name:30s} {100 * test['accuracy']:5.2f} %  log-loss {test['log_loss']:.3f}  "
        f"{cost['total_seconds']:4.0f} s  {1e3 * cost['seconds_per_sample']:.1f} ms a prediction", flush=True,
    )  # fmt: skip
    return run


def large(budget: str, seed: int) -> dict[str, RunFolder]:
    """The contenders with the same minutes."""

    def one(name: str, recipe: str, weights: str, *methods: Any) -> RunFolder:
        return trained(name, recipe_of(recipe, weights, budget, seed, *methods))

    found = {"plain": one("plain", PLAIN, LARGE), "shipped": one("shipped", SHIPPED, LARGE)}
    found["0.5 at 160 px"], found["0.25 at 128 px"] = one("middle", SHIPPED, MIDDLE), one("small", SHIPPED, SMALL)
    together = [found[name] for name in ("shipped", "0.5 at 160 px", "0.25 at 128 px")]
    found["ensemble"] = print_run("together", ensemble_runs(together, FOLDER / f"together-{budget}-s{seed}"))
    return found


def small(budget: str, seed: int, teachers: dict[str, RunFolder]) -> dict[str, RunFolder]:
    """The small network with the same epochs, alone and taught."""
    found = {"small": trained("small", recipe_of(SHIPPED, SMALL, budget, seed))}
    for name, teacher in (("small taught by one", "shipped"), ("small taught by the ensemble", "ensemble")):
        taught = {"distill": {"teacher": str(teachers[teacher].path)}}
        found[name] = trained(name, recipe_of(SHIPPED, SMALL, budget, seed, taught))
    return found


def answers(run: RunFolder) -> dict[str, Any]:
    frame = run.read_predictions()
    frame = frame[frame["split"] == "test"].sort_values("id")
    number = {name: k for k, name in enumerate(sorted(frame["label"].unique()))}
    return {key: [number[name] for name in frame[key]] for key in ("label", "predicted")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=3.0, help="of each larger run, everything included")
    parser.add_argument("--epochs", type=int, default=12, help="of each small run")
    parser.add_argument(
        "--larger-only", action="store_true", help="leave the small runs to a later call: nothing of them is timed"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    if arguments.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    by_seed = [large(f"{arguments.minutes:g}m", seed) for seed in range(arguments.seeds)]
    if arguments.larger_only:
        return
    for seed, runs in enumerate(by_seed):
        runs |= small(f"{arguments.epochs}ep", seed, runs)
    rows = {}
    for name in by_seed[0]:
        metrics = [runs[name].read_json(runs[name].metrics) for runs in by_seed]
        accuracy = [found["test"]["accuracy"] for found in metrics]
        rows[name] = {
            "accuracy": accuracy,
            "accuracy_mean": float(np.mean(accuracy)),
            "accuracy_std": float(np.std(accuracy, ddof=1)) if len(accuracy) > 1 else None,
            "seconds": record.summary([found["cost"]["total_seconds"] for found in metrics]),
            "prediction_milliseconds": float(
                np.median([1e3 * found["cost"]["seconds_per_sample"] for found in metrics])
            ),
            "parameters": metrics[0]["cost"]["parameters"],
        }
    gains = {}
    for title, before, after in GAINS:
        sides = [[answers(runs[name]) for runs in by_seed] for name in (before, after)]
        gain: Difference = paired.gain("accuracy", *sides)
        gains[title] = paired.plain_dict(gain)
        print(f"{title}: {paired.text_of('accuracy', gain)} points: {gain.verdict}")
    print()
    header = ["", "test accuracy, %", "seconds", "ms a prediction"]
    table = []
    for name, row in rows.items():
        spread = f" ± {100 * row['accuracy_std']:.1f}" if row["accuracy_std"] is not None else ""
        accuracy = SINGLE_LABEL.metrics["accuracy"].text(row["accuracy_mean"]) + spread
        table.append([name, accuracy, f"{row['seconds']['median']:.0f}", f"{row['prediction_milliseconds']:.1f}"])
    print(record.markdown(header, table))
    question = (
        f"TrashNet, authors' split, {arguments.minutes:g} minutes a run: plain, shipped, ensemble; {arguments.epochs} epochs: "
        "a small network alone and taught; paired seeds"
    )
    record.write("trashnet_best", question, {"runs": rows, "gains": gains}, ("transformers", "lightning-fabric"))


if __name__ == "__main__":
    main()
