"""Groups of unlabelled samples against their labels, and labelling by margin and coreset against drawing at random.

groups: TrashNet, ESC-10 and waste_zh, each with the features of a pretrained network where there is one and with simple
features, at the true number of classes: adjusted Rand index, adjusted mutual information and Hungarian accuracy of k-means, Ward
and HDBSCAN (which finds its own number), against random groups. "named" is the accuracy of the sure samples if every group gets
the name of its most frequent class, at twice as many groups as classes, and "kept" the share of sure samples. Intervals: jackknife
over 50 parts of the samples, the groups as they are.
scale: 10,000 generated samples after their features.
label: logistic regression on frozen features, a few labels a class, then three rounds of as many labels again; the accuracy on test
samples against random drawing, paired over seeds and test samples.

    python benchmarks/grouping.py [--part groups scale label] [--data trashnet …] [--threads 1]
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import scipy.stats
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from sklearn.preprocessing import normalize

import record
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.data.read import read_without_labels
from whet.evaluate.difference import crossed_interval
from whet.grouping.choice import COUNTS, candidates, chosen, silhouette
from whet.grouping.cluster import clusters, hdbscan, partitions
from whet.grouping.features import describe
from whet.grouping.reduce import reduced
from whet.labelling.scores import closeness, k_center_greedy

WEIGHTS = record.SHARED / "weights"
PARTS, SEEDS = 50, 10
SOURCES = {
    "trashnet": ("image", record.SHARED / "trashnet", WEIGHTS / "mobilenet_v1_0.5_160"),
    "trashnet simple": ("image", record.SHARED / "trashnet", None),
    "esc10": ("audio", record.SHARED / "esc10", WEIGHTS / "yamnet.safetensors"),
    "esc10 simple": ("audio", record.SHARED / "esc10", None),
    "waste_zh simple": ("text", record.SHARED / "text" / "waste_zh" / "all.csv", None),
}


@dataclass(frozen=True)
class Data:
    """One row per content. x: features. label_N: numbers of the classes. id_N: as in groups.csv."""

    x: Any
    label_N: np.ndarray
    id_N: list[str]

    @property
    def classes(self) -> int:
        return int(self.label_N.max()) + 1


def load(name: str, threads: int) -> Data:
    """The features, kept from call to call."""
    medium, path, weights = SOURCES[name]
    kept = record.FOLDER / f"grouping-{name.replace(' ', '-')}.npz"
    if not kept.is_file():
        spec = DataSpec(path=str(path))
        table, _ = read_without_labels(spec, medium, threads)
        frame = table.frame.sort_values(["digest", "id"], ignore_index=True).drop_duplicates("digest")
        model = ModelSpec(weights="none" if weights is None else str(weights))
        recipe = Recipe(task=f"{medium}-classification", data=spec, model=model).setting(
            loader_threads=threads, torch_threads=threads
        )
        found = describe(table.with_frame(frame), recipe, threads)
        x = found.features_RD.toarray() if scipy.sparse.issparse(found.features_RD) else found.features_RD
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, x=x.astype(np.float32), ids=frame["id"].to_numpy(str)[found.row_R])
    with np.load(kept) as arrays:
        x, id_N = arrays["x"], arrays["ids"].tolist()
    if medium == "text":
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [row["label"] for row in csv.DictReader(handle)]
        names = [rows[int(id_.rpartition(":")[2]) - 1] for id_ in id_N]
        x = scipy.sparse.csr_matrix(x)
    else:
        names = [id_.split("/")[0] for id_ in id_N]
    return Data(x, np.unique(names, return_inverse=True)[1], id_N)


def table_of(label_N: np.ndarray, group_N: np.ndarray) -> np.ndarray:
    counts_KG = np.zeros((int(label_N.max()) + 1, int(group_N.max()) + 1), dtype=np.int64)
    np.add.at(counts_KG, (label_N, group_N), 1)
    return counts_KG


def hungarian(label_N: np.ndarray, group_N: np.ndarray) -> float:
    counts_KG = table_of(label_N, group_N)
    return float(counts_KG[linear_sum_assignment(-counts_KG)].sum() / len(label_N))


def named(label_N: np.ndarray, group_N: np.ndarray) -> float:
    return float(table_of(label_N, group_N).max(axis=0).sum() / len(label_N))


def jackknife(measure: Any, label_N: np.ndarray, group_N: np.ndarray) -> dict[str, float]:
    """The value with its 95 % interval by deleting one of 50 random parts of the samples."""
    part_N = Rng(0).shuffled("jackknife", 0, len(label_N)) % PARTS
    value = measure(label_N, group_N)
    without_P = np.array([measure(label_N[part_N != p], group_N[part_N != p]) for p in range(PARTS)])
    error = np.sqrt((PARTS - 1) / PARTS * ((without_P - without_P.mean()) ** 2).sum())
    half = float(scipy.stats.t.ppf(0.975, PARTS - 1) * error)
    return {"value": float(value), "low": float(value) - half, "high": float(value) + half}


MEASURES = {"ari": adjusted_rand_score, "ami": adjusted_mutual_info_score, "hungarian": hungarian}


def measure_groups(names: list[str], threads: int) -> dict[str, Any]:
    found: dict[str, Any] = record.earlier("grouping").get("groups", {})
    for name in names:
        data = load(name, threads)
        space_ND, K = reduced(data.x, 0), data.classes
        labels = {
            "kmeans": partitions("kmeans", space_ND, [K], 0)[0],
            "ward": partitions("ward", space_ND, [K], 0)[0],
            "hdbscan": hdbscan(space_ND, 0),
            "random": (K * Rng(0).batch("random groups", 0, np.arange(len(space_ND))).uniform()).astype(int),
        }
        rows: dict[str, Any] = {"samples": len(space_ND), "classes": K}
        for algorithm, group_N in labels.items():
            made = clusters(group_N, space_ND)
            rows[algorithm] = {
                "groups": len(made.centre_KD),
                **{key: jackknife(measure, data.label_N, made.label_N) for key, measure in MEASURES.items()},
            }
            if algorithm in ("kmeans", "ward"):
                twice = clusters(partitions(algorithm, space_ND, [2 * K], 0)[0], space_ND)
                sure_N = ~twice.unsure_N
                rows[algorithm]["named"] = jackknife(named, data.label_N[sure_N], twice.label_N[sure_N])
                rows[algorithm]["kept"] = float(sure_N.mean())
            if algorithm == "hdbscan":
                rows[algorithm]["sure"] = float((group_N >= 0).mean())
                sure_N = group_N >= 0
                if len(set(group_N[sure_N].tolist())) > 1:
                    rows[algorithm]["named"] = jackknife(named, data.label_N[sure_N], group_N[sure_N])
        found[name] = rows
        for algorithm in labels:
            plain = {
                key: f"{one['value']:.3f} ({one['low']:.3f} … {one['high']:.3f})" if isinstance(one, dict) else one
                for key, one in rows[algorithm].items()
            }
            print(name, algorithm, plain, flush=True)
    return found


def measure_scale() -> dict[str, Any]:
    """Seconds of processor time on one core for 10,000 samples of 1,280 features around 40 corners, and of wall time."""
    corner_KD = Rng(0).batch("corners", 0, np.arange(40)).normal((1280,))
    noise_ND = Rng(0).batch("noise", 0, np.arange(10_000)).normal((1280,))
    x_ND = (corner_KD[np.arange(10_000) % 40] + 1.5 * noise_ND).astype(np.float32)
    found = {}
    for algorithm in ("kmeans", "ward", "hdbscan"):
        cpu, wall = time.process_time(), time.monotonic()
        space_ND = reduced(x_ND, 0)
        if algorithm == "hdbscan":
            made = clusters(hdbscan(space_ND, 0), space_ND)
        else:
            count = chosen(candidates(algorithm, space_ND, list(COUNTS), 0))
            made = clusters(partitions(algorithm, space_ND, [count], 0)[0], space_ND)
        silhouette(space_ND[:2000], made.label_N[:2000])
        found[algorithm] = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.monotonic() - wall}
        print(algorithm, found[algorithm], "groups", len(made.centre_KD), flush=True)
    return found


def test_rows(name: str, data: Data) -> np.ndarray:
    """The official test samples, bool (N,): TrashNet's list, ESC-10's fold 5."""
    if name == "trashnet":
        lines = (record.SHARED / "trashnet" / "one-indexed-files-notrash_test.txt").read_text().splitlines()
        listed = {line.split()[0] for line in lines if line.strip()}
    else:
        with (record.SHARED / "esc10" / "meta.csv").open(newline="") as handle:
            listed = {Path(row["file"]).name for row in csv.DictReader(handle) if row["fold"] == "5"}
    return np.array([Path(id_).name in listed for id_ in data.id_N])


def rounds(data: Data, test_N: np.ndarray, strategy: str, start: int, seed: int) -> np.ndarray:
    """Correct predictions of the test samples, bool (R + 1, T): from the start and after each of three rounds."""
    x_ND, pool = normalize(data.x), np.flatnonzero(~test_N)
    order = pool[Rng(seed).shuffled("pool", 0, len(pool))]
    by_class = [order[data.label_N[order] == k][:start] for k in range(data.classes)]
    labelled = np.concatenate(by_class)
    count, right = len(labelled), []
    for _ in range(4):
        model = LogisticRegression(C=10.0, max_iter=300).fit(x_ND[labelled], data.label_N[labelled])
        right.append(model.predict(x_ND[test_N]) == data.label_N[test_N])
        rest = order[~np.isin(order, labelled)]
        if strategy == "random":
            new = rest[:count]
        elif strategy == "margin":
            score = closeness(model.predict_proba(x_ND[rest]), exclusive=True)
            new = rest[np.argsort(-score, kind="stable")[:count]]
        else:
            new = rest[k_center_greedy(x_ND[rest], x_ND[labelled], count)[0]]
        labelled = np.concatenate([labelled, new])
    return np.array(right)


def measure_label(threads: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, start in (("trashnet", 10), ("esc10", 3)):
        data = load(name, threads)
        test_N = test_rows(name, data)
        right = {
            strategy: np.array([rounds(data, test_N, strategy, start, seed) for seed in range(SEEDS)])
            for strategy in ("random", "margin", "coreset")
        }
        rows: dict[str, Any] = {"test": int(test_N.sum()), "start_a_class": start, "seeds": SEEDS}
        for number in range(4):
            labels = (number + 1) * start * data.classes
            rows[str(labels)] = {"random": float(right["random"][:, number].mean())}
            for strategy in ("margin", "coreset") if number else ():
                one = crossed_interval(
                    right[strategy][:, number].astype(float) - right["random"][:, number].astype(float)
                )
                rows[str(labels)][strategy] = {"difference": one.mean, "low": one.low, "high": one.high}
        found[name] = rows
        print(name, rows, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", default=["groups", "scale", "label"])
    parser.add_argument("--data", nargs="+", default=list(SOURCES), choices=SOURCES, help="for groups")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    measured = {
        "groups": lambda: measure_groups(arguments.data, arguments.threads),
        "scale": measure_scale,
        "label": lambda: measure_label(arguments.threads),
    }
    question = "How well do groups match labels, and how much better than random are chosen labels?"
    for part in arguments.part:
        record.write_parts("grouping", question, {part: measured[part]()}, ("scikit-learn", "scipy"))


if __name__ == "__main__":
    main()
