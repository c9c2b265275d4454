"""CIFAR-10's subset (5,000 training images, 1,000 test), ResNet-9 from random weights: the strong recipe against the
plain one in the same wall time.

Both are given the same minutes, which whet turns into epochs by timing a few steps and which cover everything from
reading the data to the test answers. Paired seeds, the recipes in turn; the difference in accuracy with its interval
over seeds and test images, as `whet compare` gives it. 15 % of the training images are set aside for validation and
not learnt from.

To try a recipe, judge it by --validation: the same training, judged on the validation images, the test images not
even read; what was tried at the same minutes is listed beside it. Recipes that differ from the shipped one are never
recorded as results.

    python benchmarks/from_scratch.py [--seeds 5] [--minutes 5] [--only plain|strong] [--fresh]
    python benchmarks/from_scratch.py --validation --seeds 1 --minutes 2 [--only strong] [--recipe mine.yaml]
                                      [--set sgd.lr=0.4 …] [--with cutout …] [--without ema …]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import paired
import record
from whet import recipes
from whet.core.recipe import Recipe
from whet.core.spec import DataSpec, ModelSpec
from whet.tasks import SINGLE_LABEL

TEST = DataSpec(path=str(paired.CIFAR))
VALIDATION = DataSpec(path=str(paired.CIFAR / "train"), test_fraction=0.0)  # the same images are set aside


def strong_recipe(arguments: argparse.Namespace) -> tuple[str, Recipe]:
    """With a name that says how it differs from the shipped one."""
    given = arguments.recipe or "image/from_scratch"
    recipe = recipes.change(
        recipes.load(given), settings=tuple(arguments.set), add=tuple(arguments.add), drop=tuple(arguments.drop)
    )
    changes = [*arguments.set, *(f"+{name}" for name in arguments.add), *(f"-{name}" for name in arguments.drop)]
    return " ".join([Path(given).stem, *changes]), recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=5.0, help="of each run, everything included")
    parser.add_argument("--architecture", default="resnet9")
    parser.add_argument("--only", choices=("plain", "strong"), help="one recipe: to look, not to record")
    parser.add_argument("--validation", action="store_true", help="judge on validation images; nothing is recorded")
    parser.add_argument("--recipe", help="a recipe file in place of the shipped strong one")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="change the strong recipe")
    parser.add_argument("--with", nargs="+", default=[], metavar="METHOD", dest="add", help="add to the strong recipe")
    parser.add_argument("--without", nargs="+", default=[], metavar="METHOD", dest="drop", help="take out of it")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    kept = record.Kept("from_scratch", fresh=arguments.fresh)
    name, strong = strong_recipe(arguments)
    part = "validation" if arguments.validation else "test"
    where = f"{part}, {arguments.architecture}, {arguments.minutes:g} m: "
    asked = {}
    for key, label, recipe in (
        ("plain", "plain", recipes.load("image/plain_from_scratch")),
        ("strong", name, strong),
    ):
        if arguments.only in (None, key):
            recipe = recipe.replace(
                data=VALIDATION if arguments.validation else TEST,
                model=ModelSpec(architecture=arguments.architecture, weights="none"),
            ).setting(budget=f"{arguments.minutes:g}m")
            asked[f"{where}{label} [{recipe.hash[:6]}]"] = recipe
    for seed in range(arguments.seeds):
        for label, recipe in asked.items():
            paired.answers_of(kept, label, recipe.setting(seed=seed))

    groups = grouped(kept, where)
    print("\n" + table(groups, where))
    as_shipped = not (arguments.recipe or arguments.set or arguments.add or arguments.drop)
    if arguments.validation or arguments.only or not as_shipped:
        return
    plain, other = (list(groups[label].values())[: arguments.seeds] for label in asked)
    results = {key: summary(runs) for key, runs in (("plain", plain), ("strong", other))}
    results |= {
        "minutes": arguments.minutes,
        "architecture": arguments.architecture,
        "test_images": len(plain[0]["label"]),
    }
    results["gain"] = {
        metric: paired.plain_dict(paired.gain(metric, plain, other))
        for metric in ("accuracy", "macro_f1", "worst_class")
    }
    question = (
        f"CIFAR-10 subset (5,000 / 1,000), {arguments.architecture} from random weights, {arguments.minutes:g} minutes a run: "
        "the shipped strong recipe against the plain one, paired seeds"
    )
    record.write("from_scratch", question, results, ("lightning-fabric", "opencv-python-headless"))


def grouped(kept: record.Kept, where: str) -> dict[str, dict[int, dict[str, Any]]]:
    """Everything tried there: runs by recipe and seed, the seeds ascending."""
    groups: dict[str, dict[int, dict[str, Any]]] = {}
    for piece, run in kept.items():
        if piece.startswith(where):
            label, _, seed = piece.rpartition(" s")
            groups.setdefault(label, {})[int(seed)] = run
    return {label: dict(sorted(runs.items())) for label, runs in groups.items()}


def table(groups: dict[str, dict[int, dict[str, Any]]], where: str) -> str:
    """A row a recipe, the most accurate first; the gain over the plain one on the seeds both have."""
    plain = next((runs for label, runs in groups.items() if label.startswith(f"{where}plain [")), {})
    rows = []
    for label, runs in sorted(groups.items(), key=lambda group: -_mean(group[1], "accuracy")):
        common = sorted(set(plain) & set(runs))
        against = ""
        if common and runs is not plain:
            gain = paired.gain("accuracy", [plain[seed] for seed in common], [runs[seed] for seed in common])
            against = paired.text_of("accuracy", gain)
        found = list(runs.values())
        seconds, epochs = (np.mean([run[key] for run in found]) for key in ("seconds", "epochs"))
        rows.append(
            [label.removeprefix(where), str(len(found)), f"{epochs:.1f}", f"{seconds:.0f}", paired.mean_of("accuracy", found),
             SINGLE_LABEL.metrics["log_loss"].text(_mean(runs, "log_loss")), against]
        )  # fmt: skip
    header = ["recipe", "seeds", "epochs", "seconds", "accuracy, %", "log-loss", "gain over plain, points"]
    return f"{where.removesuffix(': ')}\n\n{record.markdown(header, rows)}"


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    accuracy = [run["metrics"]["accuracy"] for run in runs]
    return {
        "accuracy": accuracy,
        "accuracy_mean": float(np.mean(accuracy)),
        "accuracy_std": float(np.std(accuracy, ddof=1)) if len(accuracy) > 1 else None,
        "macro_f1": [run["metrics"]["macro_f1"] for run in runs],
        "log_loss": [run["metrics"]["log_loss"] for run in runs],
        "epochs": [run["epochs"] for run in runs],
        "seconds": record.summary([run["seconds"] for run in runs]),
    }


def _mean(runs: dict[int, dict[str, Any]], metric: str) -> float:
    return float(np.mean([run["metrics"][metric] for run in runs.values()]))


if __name__ == "__main__":
    main()
