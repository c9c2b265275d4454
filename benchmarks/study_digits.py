"""The small real data that studies of studies are made on: digits, dealt out anew by a number, and a network that learns them in a
second or two."""

from __future__ import annotations

import runpy
from typing import Any

import numpy as np
import pandas as pd

import record
from whet.core.recipe import Recipe, parse_methods
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec


def images() -> pd.DataFrame:
    """All digits of scikit-learn as files. Columns: file, label."""
    data = record.FOLDER / "methods" / "digits"
    if not data.is_dir():
        write = runpy.run_path(str(record.ROOT / "examples" / "digits" / "write_digits.py"))["write_digits"]
        write(data)
    files = sorted(data.glob("*/*/*.png"))
    return pd.DataFrame({"file": [str(path) for path in files], "label": [path.parent.name for path in files]})


def digits_recipe(number: int, train: int, budget: str, *methods: Any) -> Recipe:
    """Half a slim ResNet-9 on digits dealt out by `number`: so many of each to train on, 20 to validate with; one thread."""
    rows = images()
    place = rows.assign(key=Rng(number).batch("deal", 0, np.arange(len(rows))).uniform()).groupby("label")["key"].rank()
    rows["split"] = np.where(place <= train, "train", np.where(place <= train + 20, "val", "test"))
    table = record.FOLDER / f"digits-{train}-{number}.csv"
    rows.to_csv(table, index=False)
    return Recipe(
        data=DataSpec(path=str(table)),
        model=ModelSpec(architecture="resnet9_slim", weights="none"),
        methods=parse_methods(({"scale_width": {"width": 0.5}}, {"sgd": {"lr": 0.1}}, "cosine", *methods)),
    ).setting(budget=budget, batch_size=32, image_size=16, precision="fp32", torch_threads=1, loader_threads=1)
