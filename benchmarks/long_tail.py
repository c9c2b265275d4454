"""Which methods help where the training classes are uneven, 50 to 1? Each of the balance family against the plain recipe.

The rule: of K classes in the order of their names, class k keeps n 50^(-k / (K - 1)) of its training images, n being
the most that leaves every class enough to keep to it; which ones is drawn once. Validation and test images stay as
they are. Two settings, every run of one with the same number of steps: a head with a hidden layer on kept features of
TrashNet, and the slim ResNet-9 from random weights on CIFAR-10's subset. Paired seeds; gains in macro-F1 and in the
recall of the worst class, and in accuracy on the head, middle and tail classes (thirds of the classes by training
images), each with its 95 % interval over seeds and test images.

    python benchmarks/long_tail.py [--data trashnet cifar10_subset] [--seeds 3] [--only focal …] [--fresh]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd

import paired
import record
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.data.table import Table

IMBALANCE = 50
METHODS = (
    "class_weight", "balanced_sampler", "oversample", "focal", "balanced_softmax", "logit_adjustment", "ldam_drw",
    "classifier_retraining", "threshold_tuning",
)  # fmt: skip
SETTINGS = {"trashnet": paired.trashnet, "cifar10_subset": paired.cifar}
STEPS = {"trashnet": 500, "cifar10_subset": 600}
BATCH = 32


def quotas(count_K: np.ndarray, imbalance: float) -> np.ndarray:
    """How many training samples each class keeps, (K,)."""
    share_K = imbalance ** (-np.arange(len(count_K)) / (len(count_K) - 1))
    most = int((count_K / share_K).min())
    return np.maximum(1, np.round(most * share_K)).astype(int)


def long_tailed(table: Table, imbalance: float) -> pd.DataFrame:
    """The rows that stay."""
    frame, quota_K = table.frame, quotas(table.part("train").counts_K, imbalance)
    turn_N = Rng(0).keyed("long tail", frame["id"].tolist())
    keep_N = (frame["split"] != "train").to_numpy(copy=True)
    for k, quota in enumerate(quota_K):
        members = np.flatnonzero((frame["split"] == "train") & (frame["label"] == k))
        keep_N[members[np.argsort(turn_N[members])[:quota]]] = True
    return frame[keep_N]


def measured(name: str, seeds: int, methods: list[str], kept: record.Kept) -> tuple[dict[str, Any], str]:
    """One setting: what goes into the results, and its table."""
    setting = SETTINGS[name](STEPS[name], BATCH)
    table = setting.table()
    frame = long_tailed(table, IMBALANCE)
    path = paired.write_table(f"long-tail-{name}", frame, table.classes)
    count_K = np.bincount(frame["label"][frame["split"] == "train"], minlength=len(table.classes))
    thirds = dict(zip(("head", "middle", "tail"), np.array_split(np.argsort(-count_K, kind="stable"), 3)))
    runs: dict[str, list[dict[str, Any]]] = {method: [] for method in ("plain", *methods)}
    for seed in range(seeds):
        for method, found in runs.items():
            recipe = setting.placed(path, seed, *([] if method == "plain" else [method]))
            found.append(paired.answers_of(kept, f"{name} {method}", recipe))

    results: dict[str, Any] = {
        "training_images": dict(zip(table.classes, count_K.tolist())),
        "test_images": len(runs["plain"][0]["label"]),
        "classes": {third: [table.classes[k] for k in chosen] for third, chosen in thirds.items()},
        "steps": STEPS[name],
        "methods": {},
    }
    rows = []
    for method, found in runs.items():
        metrics = ("accuracy", "macro_f1", "worst_class")
        one: dict[str, Any] = {"seconds": record.summary([run["seconds"] for run in found])}
        one |= {metric: [run["metrics"][metric] for run in found] for metric in metrics}
        row = [method, paired.mean_of("macro_f1", found), paired.mean_of("worst_class", found)]
        if method != "plain":
            gains = {metric: paired.gain(metric, runs["plain"], found) for metric in metrics}
            by_third = {t: paired.gain("accuracy", runs["plain"], found, chosen) for t, chosen in thirds.items()}
            one["gain"] = {key: paired.plain_dict(difference) for key, difference in (gains | by_third).items()}
            row += [paired.text_of(metric, gains[metric]) for metric in ("macro_f1", "worst_class")]
            row += [paired.text_of("accuracy", by_third[third]) for third in thirds]
        results["methods"][method] = one
        rows.append(row + [""] * (8 - len(row)))
    counts = ", ".join(f"{label} {count}" for label, count in results["training_images"].items())
    header = ["method", "macro-F1", "worst class", "gain in macro-F1", "in the worst class", "head", "middle", "tail"]
    text = f"{name}, {seeds} seeds, {STEPS[name]} steps of {BATCH}; training images: {counts}\n\n"
    return results, text + record.markdown(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=METHODS, help="some methods: to look, not to record")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    kept = record.Kept("long_tail", fresh=arguments.fresh)
    methods = [name for name in arguments.only or METHODS if name in registry()]
    results, tables = record.earlier("long_tail"), []
    for name in arguments.data:
        results[name], table = measured(name, arguments.seeds, methods, kept)
        tables.append(table)
    print("\n" + "\n\n".join(tables))
    if not arguments.only:
        question = f"training classes {IMBALANCE}:1 uneven, paired seeds: the gain of each balancing method over the plain recipe"
        record.write("long_tail", question, results, ("lightning-fabric", "opencv-python-headless"))


if __name__ == "__main__":
    main()
