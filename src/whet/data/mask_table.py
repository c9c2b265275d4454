"""Annotated masks as a table of samples."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.language import Sentence
from whet.core.masks import IGNORE, Masks
from whet.core.spec import DataSpec
from whet.data.masks import MaskData
from whet.data.masks.detect import read_masks
from whet.data.table import Table


def read_mask_table(spec: DataSpec, threads: int, *, usable: bool = True) -> Table:
    """The annotated images of a data set with masks. The label of a sample is the set of the classes in its mask, so that splits
    are stratified by every class. usable: whether more than 1 % of left-out images or objects are an error."""
    data = read_masks(str(spec.path), spec.masks, threads=threads)
    if usable:
        data.require_usable()
    with ThreadPoolExecutor(max(1, threads)) as pool:
        true_NK = np.array(list(pool.map(lambda masks: _classes_in(masks, data), data.frame["masks"])))
    set_SK, set_N = np.unique(true_NK, axis=0, return_inverse=True)
    frame = data.frame[["id", "path"]].assign(
        label=set_N.reshape(-1), split=data.frame["split"].astype(str), group=data.frame["group"].astype(str),
        weight=1.0, digest="",
    )  # fmt: skip
    frame["masks"] = pd.Series(data.frame["masks"].to_numpy(), index=frame.index, dtype=object)
    notes, warnings = _sentences(data.notes), _sentences(data.warnings)
    return Table(frame, data.classes, data.root, data.skipped, notes, "image", set_SK, warnings, annotation=data)


def _sentences(notes: tuple[str, ...]) -> tuple[Sentence, ...]:
    """The notes of the readers of masks, which are not in the catalogue: they are shown in English."""
    return tuple(map(Sentence, notes))


def _classes_in(masks: Masks, data: MaskData) -> np.ndarray:
    """Which classes occur, bool (K,): those with pixels, and those of boxes and labels. Beside labels there is background."""
    found = np.unique(masks.class_map())
    found = np.union1d(found[found != IGNORE], [shape.class_number for shape in masks.shapes if not shape.crowd])
    if "label" in masks.kinds and data.has_background:
        found = np.union1d(found, [0])
    if len(found) and found[-1] >= len(data.classes):
        raise DataError(
            f"data {data.root}: a mask has the class {found[-1]}, but there are {len(data.classes)} classes: "
            f"{', '.join(data.classes)}"
        )
    return np.isin(np.arange(len(data.classes)), found)
