"""Texts and audio clips that methods are measured on: tables drawn once from public data, small enough for a thread and some
seconds.

Which texts and audio are learnt from is drawn by name or wording, as many of every class as there are, up to a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

import record
from whet.core.rng import Rng

TEXTS, ESC10, FSDD = (record.SHARED / name for name in ("text", "esc10", "fsdd"))
NOISES = ESC10 / "sea_waves"  # for background_mix
UNLABELLED = record.FOLDER / "methods" / "unlabelled.txt"


# --- texts: columns text, label, split --------------------------------------------------------------------------------
def sst2() -> pd.DataFrame:
    """350 sentences of each kind to train on, 400 of the published validation part, the published test part."""
    return _published("sst2", 350, _read("sst2", "dev").head(400))


def trec() -> pd.DataFrame:
    """Up to 150 questions of each class to train on, 60 others to validate with, the published test part."""
    return _published("trec6", 150, None)


def hotels() -> pd.DataFrame:
    """Chinese hotel reviews, of each kind 300 to train on, 200 to validate and 700 to test with."""
    return _cut("chnsenticorp_htl", {"train": 300, "val": 200, "test": 700})


def waste_names() -> pd.DataFrame:
    """Chinese names of waste by bin, of each up to 200 to train on, 50 to validate, 400 to test with, or in proportion."""
    return _cut("waste_zh", {"train": 200, "val": 50, "test": 400})


def shopping() -> pd.DataFrame:
    """Chinese reviews of ten kinds of goods, of each 60 to train on, 20 to validate and 80 to test with."""
    return _cut("shopping10", {"train": 60, "val": 20, "test": 80})


def with_unlabelled(rows: pd.DataFrame) -> pd.DataFrame:
    """The same; and the published training texts of SST-2 and TREC-6 lie at UNLABELLED, a text a line, without their labels."""
    texts = [" ".join(text.split()) for name in ("sst2", "trec6") for text in _read(name, "train")["text"]]
    UNLABELLED.parent.mkdir(parents=True, exist_ok=True)
    UNLABELLED.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return rows


def _read(name: str, file: str) -> pd.DataFrame:
    return pd.read_csv(TEXTS / name / f"{file}.csv", dtype=str, usecols=["label", "text"]).dropna()


def _published(name: str, most: int, val: pd.DataFrame | None) -> pd.DataFrame:
    """The published parts, the training part cut to `most` a class; without a validation part, 60 of each are set aside first."""
    wanted = {"train": most} if val is not None else {"val": 60, "train": most}
    test = _read(name, "test")
    known = _read(name, "train").drop_duplicates("text")
    kept_apart = set(test["text"]) | set(val["text"] if val is not None else ())
    parts = [_split(known[~known["text"].isin(kept_apart)], wanted), test.assign(split="test")]
    if val is not None:
        parts.append(val.assign(split="val"))
    return pd.concat(parts, ignore_index=True)


def _cut(name: str, wanted: Mapping[str, int]) -> pd.DataFrame:
    return _split(_read(name, "all").drop_duplicates("text"), wanted)


def _split(rows: pd.DataFrame, wanted: Mapping[str, int]) -> pd.DataFrame:
    """Each class in an order drawn once, cut into parts of so many; a class with less gives each part its share."""
    parts = []
    for label, of_class in rows.groupby("label", sort=True):
        drawn = of_class.iloc[np.argsort(Rng(0).keyed(str(label), of_class["text"].tolist()), kind="stable")]
        share = min(1.0, len(drawn) / sum(wanted.values()))
        ends = np.cumsum([int(count * share) for count in wanted.values()])
        for split, first, end in zip(wanted, (0, *ends), ends):
            parts.append(drawn.iloc[first:end].assign(split=split))
    return pd.concat(parts, ignore_index=True)


# --- audio clips: columns file, label, split -------------------------------------------------------------------------------
def digits_spoken() -> pd.DataFrame:
    """FSDD, six speakers: of each digit 40 takes to train on and 15 to validate with, 30 of the published test part."""
    table = _listed(FSDD)
    learnt = table[table["split"] == "train"].assign(text=lambda rows: rows["file"])
    tested = table[table["split"] == "test"].assign(text=lambda rows: rows["file"])
    parts = [_split(learnt, {"train": 40, "val": 15}), _split(tested, {"test": 30})]
    return pd.concat(parts, ignore_index=True)[["file", "label", "split"]]


def environment() -> pd.DataFrame:
    """ESC-10: folds 1 and 2 to train on, 3 to validate, 4 and 5 to test with."""
    table = _listed(ESC10)
    part = {"1": "train", "2": "train", "3": "val", "4": "test", "5": "test"}
    return table.assign(split=table["fold"].map(part))[["file", "label", "split"]]


def _listed(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "meta.csv", dtype=str)
    return table.assign(file=[str(folder / name) for name in table["file"]])
