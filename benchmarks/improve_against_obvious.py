"""Does `whet improve` hand over a model no worse than the obvious ones, in the time it was given?

On photos of waste (TrashNet, MobileNetV1 0.5 at 160 px), questions (TREC-6) and audio clips (ESC-10, YAMNet), each with the same
budget:

improve   `whet improve --budget B`: the model that it hands over
train     `whet train --budget B` with the strong recipe, the same split
obvious   logistic regression on the frozen features, or on TF-IDF: one pass

Told are accuracy on the test samples, what improve's model gains on the two others, sample by sample, with its 95 % interval,
and how long each command took, as a share of its budget.

    python benchmarks/improve_against_obvious.py [--budget 4m] [--only trashnet …] [--fresh]

A call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

import record
import whet
from whet import recipes
from whet.core.duration import Duration
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.evaluate.compare import compare_runs
from whet.training.job import train_run

WEIGHTS = record.SHARED / "weights"
NAMES = ("trashnet", "trec6", "esc10")


def setting(name: str, folder: Path) -> tuple[DataSpec, ModelSpec]:
    match name:
        case "trashnet":
            place, weights = record.SHARED / "trashnet", str(WEIGHTS / "mobilenet_v1_0.5_160")
            lists = str(place / "one-indexed-files-notrash_{train,val,test}.txt")
            return DataSpec(path=str(place), split_files=(lists,)), ModelSpec(architecture=weights, weights=weights)
        case "trec6":
            parts = [
                pd.read_csv(record.SHARED / "text" / "trec6" / f"{part}.csv", dtype=str).assign(split=part)
                for part in ("train", "test")
            ]
            path = folder / "trec6.csv"
            pd.concat(parts).to_csv(path, index=False)
            return DataSpec(path=str(path)), ModelSpec()
        case _:
            weights = str(WEIGHTS / "yamnet.safetensors")
            spec = DataSpec(path=str(record.SHARED / "esc10" / "meta.csv"), fold="1")
            return spec, ModelSpec(architecture="yamnet", weights=weights)


def measured(name: str, budget: str, folder: Path) -> dict[str, Any]:
    spec, model = setting(name, folder)
    began = time.monotonic()
    found = whet.improve(
        spec, budget=budget, architecture=model.architecture, weights=model.weights, out=folder / "improve"
    )
    improve_seconds, began = time.monotonic() - began, time.monotonic()
    strong = recipes.default(spec, model).replace(data=spec)
    strong = strong if model == ModelSpec() else strong.replace(model=model)
    trained = train_run(strong.setting(budget=Duration.parse(budget)), folder / "train")
    train_seconds = time.monotonic() - began
    best, obvious = RunFolder(found.best_run), RunFolder(folder / "improve" / "plain-s0")
    limit = Duration.parse(budget).seconds
    return {
        "handed_over": best.name,
        "accuracy": {"improve": right(best), "train": right(trained), "obvious": right(obvious)},
        "gain": {"over train": gain(trained, best), "over the obvious": gain(obvious, best)},
        "share_of_budget": {"improve": improve_seconds / limit, "train": train_seconds / limit},
        "obvious_seconds": obvious.read_json(obvious.metrics)["cost"]["total_seconds"],
        "epochs": {"train": trained.read_json(trained.metrics)["cost"]["epochs"]},
        "weights": str(Recipe.load(best.requested).model.architecture).rsplit("/", 1)[-1],
    }


def right(run: RunFolder) -> float:
    return float(run.read_json(run.metrics)["test"]["accuracy"])


def gain(reference: RunFolder, run: RunFolder) -> dict[str, Any] | None:
    """None where both are one model."""
    asked = [folder.read_json(folder.metrics)["requested_hash"] for folder in (reference, run)]
    return asdict(compare_runs([reference, run])[1][0].difference) if asked[0] != asked[1] else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="4m")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    kept, results = (
        record.Kept("improve_against_obvious", fresh=arguments.fresh),
        record.earlier("improve_against_obvious"),
    )
    for name in arguments.only:
        place = f"{name} {arguments.budget}"
        if place not in kept:
            with tempfile.TemporaryDirectory() as folder:
                kept.keep(place, measured(name, arguments.budget, Path(folder)))
        results[place] = kept[place]
        accuracies = ", ".join(f"{who} {100 * value:.1f} %" for who, value in kept[place]["accuracy"].items())
        times = ", ".join(f"{who} {100 * value:.0f} %" for who, value in kept[place]["share_of_budget"].items())
        print(f"{place}: {accuracies}; of the budget: {times}", flush=True)
        record.write("improve_against_obvious", __doc__.splitlines()[0], results, ("transformers",))


if __name__ == "__main__":
    main()
