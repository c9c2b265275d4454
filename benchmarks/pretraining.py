"""What a pre-training without labels adds to ImageNet weights, against the same minutes of fine-tuning.

TrashNet (1,768 training, 328 validation, 431 test photos: the authors' split) or a subset of CIFAR-10 (5,000 and 1,000, 15 % of
the training images for validation), MobileNetV1 0.25. Starts:

random     random weights
imagenet   ImageNet weights as they are
METHOD     ImageNet weights, then `--pretrain` minutes on the training photos without their labels

From each start, with 5, 10 and 100 % of the labels of every class (of the training and of the validation photos alike):

linear_probe  logistic regression on frozen features
knn           the vote of the 20 nearest labelled features, weighted by exp(cosine similarity / 0.07)
fine_tuning   the default recipe for `--budget` minutes
longer        the same, for the minutes of the pre-training too

All minutes are of processor time on one core. Every seed draws other labels. The differences from `imagenet`, and for fine-tuning
also from its `longer`, are paired by seed and test photo, with 95 % intervals.

    python benchmarks/pretraining.py [--data trashnet] [--methods simsiam …] [--pretrain 2m] [--budget 1m] [--seeds 3] [--fresh]

A call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import record
from unlabelled import samples
from whet.core.duration import Duration
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.data.read import read_data
from whet.evaluate.difference import crossed_interval
from whet.evaluate.evidence import read_evidence
from whet.grouping.features import describe
from whet.recipes import for_pretraining, load
from whet.training.job import train_run

WEIGHTS = str(record.SHARED / "weights" / "mobilenet_v1_0.25_128")
SHARES = (0.05, 0.1, 1.0)
NEIGHBOURS, TEMPERATURE = 20, 0.07


def rows(data: str) -> list[tuple[str, str, str]]:
    """(file, class, part) of all samples."""
    if data == "trashnet":
        return list(samples("trashnet", keep_val=True))
    found = []
    for part in ("train", "test"):
        for path in sorted((record.SHARED / "cifar10_subset" / part).rglob("*.jpg")):
            found.append((str(path), path.parent.name, part))
    train = [one for one in found if one[2] == "train"]
    for i in Rng(0).shuffled("validation", 0, len(train))[: round(0.15 * len(train))]:
        train[i] = (*train[i][:2], "val")
    return train + [one for one in found if one[2] == "test"]


def write(data: str, share: float, seed: int, path: Path) -> None:
    """A table with this share of the training and validation samples of each class, at least one, and all test samples."""
    kept, by_class = [], dict[tuple[str, str], list[tuple[str, str, str]]]()
    for row in rows(data):
        if row[2] == "test":
            kept.append(row)
        else:
            by_class.setdefault(row[1:], []).append(row)
    for (name, part), found in sorted(by_class.items()):
        order = Rng(seed).shuffled(f"{part} of {name}", 0, len(found))
        kept += [found[i] for i in order[: max(1, round(share * len(found)))]]
    with path.open("w", newline="") as lines:
        csv.writer(lines).writerows([("file", "label", "split"), *kept])


def right_knn(table: Path, model: ModelSpec) -> list[int]:
    """Whether each test sample, in the order of the ids, has the class for which its nearest labelled neighbours vote."""
    spec = DataSpec(path=str(table))
    data = read_data(spec)
    recipe = load("image/frozen").replace(data=spec, model=model).setting(precision="fp32")
    unit, label = {}, {}
    for part in ("train", "test"):
        found = data.part(part)
        by_id = found.with_frame(found.frame.sort_values("id", ignore_index=True))
        x_ND = describe(by_id, recipe, 1).features_RD
        unit[part] = x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True)
        label[part] = by_id.label_N
    alike_MN = unit["test"] @ unit["train"].T
    count = min(NEIGHBOURS, alike_MN.shape[1])
    near_MC = np.argsort(-alike_MN, axis=1, kind="stable")[:, :count]
    votes_MK = np.zeros((len(alike_MN), len(data.classes)))
    weight_MC = np.exp((np.take_along_axis(alike_MN, near_MC, axis=1) - 1) / TEMPERATURE)
    np.add.at(votes_MK, (np.arange(len(votes_MK))[:, None], label["train"][near_MC]), weight_MC)
    return (votes_MK.argmax(axis=1) == label["test"]).astype(int).tolist()


def right_trained(table: Path, name: str, model: ModelSpec, seed: int, seconds: float, folder: Path) -> list[int]:
    recipe = load(name).replace(data=DataSpec(path=str(table)), model=model).setting(seed=seed)
    if seconds:
        recipe = recipe.setting(budget=Duration(seconds, "s"), max_epochs=None)
    found = read_evidence(train_run(recipe, folder, clock=time.process_time), "test").by_id()
    return (found.probs_NK.argmax(axis=1) == found.labels).astype(int).tolist()


def one_seed(data: str, start: str, seed: int, pretrain: float, budget: float) -> dict[str, Any]:
    """Whether each test sample is right, by share of the labels and measure."""
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), ModelSpec(architecture=WEIGHTS, weights="none" if start == "random" else WEIGHTS)
        measured: dict[str, Any] = {}
        if start not in ("random", "imagenet"):
            write(data, 1.0, seed, folder / "all.csv")
            spec = DataSpec(path=str(folder / "all.csv"))
            recipe = for_pretraining(spec, model)
            methods = [m.name for m in recipe.methods if m.family == "pretrain"]
            recipe = recipe.without(*methods).with_methods(registry().get(start)())
            recipe = recipe.setting(budget=Duration(pretrain, "s"), seed=seed)
            run = train_run(recipe, folder / "pretrained", clock=time.process_time)
            metrics = run.read_json(run.metrics)
            measured |= {"steps": metrics["cost"]["steps"], "loss": metrics["val"]["loss"]}
            model = ModelSpec(weights=str(run.path))
        for share in SHARES:
            table = folder / f"{share}.csv"
            write(data, share, seed, table)
            tuned = "image/from_scratch" if start == "random" else "image/waste"
            right = {
                "linear_probe": right_trained(table, "image/frozen", model, seed, 0, folder / f"probe{share}"),
                "fine_tuning": right_trained(table, tuned, model, seed, budget, folder / f"tuned{share}"),
            }
            if start != "random":  # random weights have no features to compare by
                right["knn"] = right_knn(table, model)
            if start == "imagenet":
                right["longer"] = right_trained(table, tuned, model, seed, budget + pretrain, folder / f"longer{share}")
            measured[f"{share:.0%}"] = right
            print(
                f"{start} {seed} {share:.0%}: "
                + ", ".join(f"{key} {100 * np.mean(value):.1f} %" for key, value in right.items()),
                flush=True,
            )
        return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["trashnet", "cifar10"], default="trashnet")
    parser.add_argument("--methods", nargs="+", default=["simsiam"])
    parser.add_argument("--pretrain", default="2m")
    parser.add_argument("--budget", default="1m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    pretrain, budget = (Duration.parse(text).seconds for text in (arguments.pretrain, arguments.budget))
    part = f"{arguments.data}, {arguments.pretrain} pre-training, {arguments.budget} fine-tuning"
    kept = record.Kept(f"pretraining-{part.replace(', ', '-').replace(' ', '_')}", fresh=arguments.fresh)
    starts = ("imagenet", *arguments.methods, "random")
    for seed in range(arguments.seeds):
        for start in starts:
            if f"{start} {seed}" not in kept:
                kept.keep(f"{start} {seed}", one_seed(arguments.data, start, seed, pretrain, budget))
    results: dict[str, Any] = {}
    for share in (f"{share:.0%}" for share in SHARES):
        right = {
            f"{start} {key}": np.array([kept[f"{start} {seed}"][share][key] for seed in range(arguments.seeds)], float)
            for start in starts
            for key in kept[f"{start} 0"][share]
        }
        results[share] = {
            name: {"accuracy": found_SN.mean(axis=1).tolist(), "mean": float(found_SN.mean())}
            for name, found_SN in right.items()
        }
        for name, found_SN in right.items():
            start, measure = name.split(" ")
            against = [f"imagenet {measure}"] + (["imagenet longer"] if measure == "fine_tuning" else [])
            for base in against if start in arguments.methods else ():
                found = crossed_interval(found_SN - right[base])
                results[share][name][f"minus {base}"] = asdict(found)
                print(
                    f"{share} {name} minus {base}: {100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
                )
    record.write_parts("pretraining", __doc__.splitlines()[0], {part: results}, ("transformers",))


if __name__ == "__main__":
    main()
