"""Which methods help where training labels are wrong? 20 and 40 % of them are replaced, and each method stands against
plain training.

The wrong labels are drawn once, evenly from the other classes; those of 20 % are among those of 40 %. Validation and
test labels stay right. Two settings, every run of one with the same number of steps: a head with a hidden layer on kept
features of TrashNet, and the slim ResNet-9 from random weights on 35 % of the training images of CIFAR-10's subset.
Paired seeds; the gain in accuracy with its 95 % interval over seeds and test images. mixup renders every image anew,
which kept features do not allow: it is measured on CIFAR alone.

    python benchmarks/label_noise.py [--data trashnet cifar10_subset] [--percent 20 40] [--seeds 3]
                                     [--only mixup …] [--fresh]
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

METHODS = (
    "generalized_cross_entropy", "symmetric_cross_entropy", "bootstrap_loss", "confident_learning", "co_teaching",
    "label_smoothing", "mixup",
)  # fmt: skip
PERCENT = (20, 40)
SETTINGS = {"trashnet": paired.trashnet, "cifar10_subset": paired.cifar}
STEPS = {"trashnet": 2000, "cifar10_subset": 600}
BATCH = 32
SHARE = {"trashnet": 1.0, "cifar10_subset": 0.35}  # of the training images: few enough to be seen a dozen times


def with_noise(table: Table, share: float, percent: int) -> pd.DataFrame:
    """The rows with this share of every class's training samples, and so many of their labels wrong."""
    frame, K = thinned(table, share), len(table.classes)
    train = np.flatnonzero(frame["split"] == "train")
    names = frame["id"].iloc[train].tolist()
    wrong = np.argsort(Rng(0).keyed("whose label is wrong", names))[: round(percent / 100 * len(train))]
    other = 1 + (Rng(0).keyed("the wrong label", names)[wrong] * (K - 1)).astype(int)
    label_N = frame["label"].to_numpy(np.int64, copy=True)
    label_N[train[wrong]] = (label_N[train[wrong]] + other) % K
    return frame.assign(label=label_N)


def thinned(table: Table, share: float) -> pd.DataFrame:
    """The rows less some of the training samples, the same share of every class."""
    frame = table.frame
    turn = pd.Series(Rng(0).keyed("thinned", frame["id"].tolist()), index=frame.index)
    place = turn.groupby([frame["split"], frame["label"]]).rank(method="first", pct=True)
    return frame[(frame["split"] != "train") | (place <= share)].reset_index(drop=True)


def measured(name: str, percent: int, seeds: int, methods: list[str], kept: record.Kept) -> tuple[dict[str, Any], str]:
    """One setting with so much noise: what goes into the results, and its table."""
    setting = SETTINGS[name](STEPS[name], BATCH)
    table = setting.table()
    path = paired.write_table(f"label-noise-{name}-{percent}", with_noise(table, SHARE[name], percent), table.classes)
    runs: dict[str, list[dict[str, Any]]] = {method: [] for method in ("plain", *methods)}
    for seed in range(seeds):
        for method, found in runs.items():
            recipe = setting.placed(path, seed, *([] if method == "plain" else [method]))
            found.append(paired.answers_of(kept, f"{name} {percent} % {method}", recipe))

    results: dict[str, Any] = {"test_images": len(runs["plain"][0]["label"]), "steps": STEPS[name], "methods": {}}
    rows = []
    for method, found in runs.items():
        one: dict[str, Any] = {"seconds": record.summary([run["seconds"] for run in found])}
        one |= {metric: [run["metrics"][metric] for run in found] for metric in ("accuracy", "macro_f1", "log_loss")}
        row = [method, paired.mean_of("accuracy", found), "", ""]
        if method != "plain":
            difference = paired.gain("accuracy", runs["plain"], found)
            one["gain"] = paired.plain_dict(difference)
            row[2:] = [paired.text_of("accuracy", difference), difference.verdict]
        results["methods"][method] = one
        rows.append(row)
    text = f"{name}, {percent} % of the training labels wrong, {seeds} seeds, {STEPS[name]} steps of {BATCH}\n\n"
    return results, text + record.markdown(["method", "accuracy, %", "gain, points", "verdict"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--percent", nargs="+", type=int, default=list(PERCENT))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=METHODS, help="some methods: to look, not to record")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    kept = record.Kept("label_noise", fresh=arguments.fresh)
    results, tables = record.earlier("label_noise"), []
    for name in arguments.data:
        methods = [m for m in arguments.only or METHODS if m in registry() and (name, m) != ("trashnet", "mixup")]
        for percent in arguments.percent:
            found, table = measured(name, percent, arguments.seeds, methods, kept)
            results.setdefault(name, {})[f"{percent} %"] = found
            tables.append(table)
    print("\n" + "\n\n".join(tables))
    if not arguments.only:
        question = "training labels replaced by those of other classes, paired seeds: the gain of each method over plain training"
        record.write("label_noise", question, results, ("lightning-fabric", "opencv-python-headless"))


if __name__ == "__main__":
    main()
