"""Audio clips: the shipped recipes on ESC-10 and on spoken digits.

esc10_probe    a linear head on YAMNet, the five official folds
esc10_tuned    every weight of YAMNet fine-tuned from that head on, the same folds
esc10_scratch  audio_cnn from random weights, the same folds
fsdd           spoken digits, the published parts (takes 0 to 4 are the test), from random weights
fsdd_speakers  each speaker left out in turn, from random weights

A network for each seed and fold, on one thread. What is told is the answers to the test part and the seconds of the whole run.

    python benchmarks/audio clips.py [--seeds 3] [--only esc10_probe …] [--fresh]

A call goes on where the last one stopped; what is not asked for stays in the results as it was.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import record
from whet import recipes
from whet.core.recipe import Recipe
from whet.core.spec import DataSpec, ModelSpec
from whet.training.job import train_run

ESC10, FSDD = record.SHARED / "esc10" / "meta.csv", record.SHARED / "fsdd" / "meta.csv"
YAMNET = record.SHARED / "weights" / "yamnet.safetensors"
NAMES = ("esc10_probe", "esc10_tuned", "esc10_scratch", "fsdd", "fsdd_speakers")


def parts(name: str, folder: Path) -> Iterator[tuple[str, Recipe]]:
    """(what is left out, the recipe); tables that have to be written lie in `folder`."""
    scratch = recipes.load("audio/from_scratch")
    match name:
        case "esc10_probe" | "esc10_tuned":
            recipe = recipes.load("audio/finetune" if name == "esc10_probe" else "audio/finetune_all")
            heard = recipe.replace(model=ModelSpec(architecture="yamnet", weights=str(YAMNET)))
            yield from ((f"fold {k}", heard.replace(data=DataSpec(path=str(ESC10), fold=str(k)))) for k in range(1, 6))
        case "esc10_scratch":
            for k in range(1, 6):
                yield f"fold {k}", scratch.replace(data=DataSpec(path=str(ESC10), fold=str(k)))
        case "fsdd":
            yield "takes 0 to 4", scratch.replace(data=DataSpec(path=str(FSDD)))
        case _:
            rows = pd.read_csv(FSDD, dtype=str)
            rows["file"] = [str(FSDD.parent / file) for file in rows["file"]]
            for speaker in sorted(rows["speaker"].unique()):
                split = np.where(rows["speaker"] == speaker, "test", "train")
                path = folder / f"{speaker}.csv"
                rows[["file", "label"]].assign(split=split).to_csv(path, index=False)
                yield speaker, scratch.replace(data=DataSpec(path=str(path)))


def measured(recipe: Recipe, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        run = train_run(recipe.setting(seed=seed, torch_threads=1, loader_threads=1), Path(place) / "run")
        told = run.read_json(run.metrics)
    return {"accuracy": told["test"]["accuracy"], "seconds": told["cost"]["total_seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    kept, results = record.Kept("audio", fresh=arguments.fresh), record.earlier("audio")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            found: dict[str, list[dict[str, float]]] = {}
            for seed in range(arguments.seeds):
                for left_out, recipe in parts(name, Path(folder)):
                    place = f"{name} {left_out} {seed} {recipe.replace(data=DataSpec()).hash}"
                    if place not in kept:
                        kept.keep(place, measured(recipe, seed))
                    found.setdefault(left_out, []).append(kept[place])
                    accuracy, seconds = kept[place]["accuracy"], kept[place]["seconds"]
                    print(f"{name}, {left_out}, seed {seed}: {100 * accuracy:.1f} %, {seconds:.0f} s", flush=True)
            results[name] = told(found)
    record.write("audio", "audio clips by the shipped recipes, one thread", results, ("soundfile",))


def told(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The mean over what was left out, seed by seed; and each of them."""
    by_seed = np.array([[run["accuracy"] for run in runs] for runs in found.values()]).mean(axis=0)
    return {
        "accuracy": {
            "each": by_seed.tolist(),
            "mean": by_seed.mean(),
            "std": by_seed.std(ddof=min(1, len(by_seed) - 1)),
        },
        "left_out": {name: [run["accuracy"] for run in runs] for name, runs in found.items()},
        "seconds": record.summary([run["seconds"] for runs in found.values() for run in runs]),
    }


if __name__ == "__main__":
    main()
