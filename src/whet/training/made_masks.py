"""Masks that methods make of weaker annotations, before training.

`made_masks/` in the run folder has a PNG of class numbers for each such image, for objects another one of object numbers in
`made_masks/objects/`, and `made.json`: the file of each image, and of each step of a method the share of the pixels that are not
ignored and, where the real masks are known (`data.masks.supervision`), the mean IoU of the classes of these pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core import strict_json
from whet.core.errors import DataError, RecipeError
from whet.core.language import Sentence, english
from whet.core.mask_task import MaskTask
from whet.core.masks import IGNORE, IGNORE_ID, IdMap, Kind, Masks
from whet.core.output import remove
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.run_folder import RunFolder
from whet.core.stages import MakesMasks, MaskMaker
from whet.data.image import UnreadableImage, decode
from whet.data.masks.png import NumberFile
from whet.data.masks.weak import REAL
from whet.data.masks.write import write_png
from whet.data.table import Table
from whet.models.net import Net
from whet.tasks.semantic_segmentation import confusion_KK, iou_K

_RECORD, _OBJECTS = "made.json", "objects"
_TEACHES_NOTHING: frozenset[Kind] = frozenset({"box", "label"})  # no pixel of an object is known
_OTHER_HEAD = "; or the head that is trained on boxes as they are, --head cond_inst"
_SAID: Mapping[Kind, str] = {"box": "boxes", "label": "only their classes"}


@dataclass(frozen=True)
class _Step:
    """The masks of one step of a method: pixels, those that are not ignored, and their confusion with the real masks (K, K), None
    where these are not known."""

    pixels: int
    labelled: int
    counts_KK: np.ndarray | None

    @classmethod
    def of(cls, map_HW: np.ndarray, real_HW: np.ndarray | None, classes: int) -> _Step:
        known_HW = map_HW != IGNORE
        counts_KK = None
        if real_HW is not None:
            counts_KK = confusion_KK(np.where(known_HW, map_HW, 0), np.where(known_HW, real_HW, IGNORE), classes)
        return cls(map_HW.size, int(known_HW.sum()), counts_KK)

    def __add__(self, other: _Step) -> _Step:
        both = (self.counts_KK, other.counts_KK)
        counts_KK = None if both[0] is None or both[1] is None else both[0] + both[1]
        return _Step(self.pixels + other.pixels, self.labelled + other.labelled, counts_KK)

    def measured(self) -> dict[str, float]:
        found = {"labelled": self.labelled / self.pixels}
        if self.counts_KK is not None and self.counts_KK.any():
            found["mean_iou"] = float(np.nanmean(iou_K(self.counts_KK)))
        return found


def make_masks(folder: RunFolder, recipe: Recipe, table: Table, net: Net) -> tuple[Table, list[Sentence]]:
    """(the samples with the masks that the recipe's methods made, which are written into the run folder; notes). RecipeError where
    no method makes masks of an annotation that teaches nothing without."""
    files, methods, notes = dict[str, str](), dict[str, Any](), list[Sentence]()
    if folder.made_masks.is_dir():  # from a start that was killed
        remove(folder.made_masks / _OBJECTS, "*")
        remove(folder.made_masks, "*")
    rows, objects = _rows(recipe, table), isinstance(table.task, MaskTask) and table.task.counts_objects
    notes += [
        _without_effect(method) for method in recipe.methods if isinstance(method, MakesMasks) and method not in rows
    ]
    for method, numbers in rows.items():
        folder.made_masks.mkdir(exist_ok=True)
        frame, totals = table.frame.iloc[numbers], dict[str, _Step]()
        for place, (last, found) in _made(method.mask_maker(net, table.classes), frame, recipe, len(table.classes)):
            name = f"{numbers[place]:06d}.png"
            write_png(folder.made_masks / name, _classes(last))
            if objects:
                assert isinstance(last, IdMap)
                folder.made_masks.joinpath(_OBJECTS).mkdir(exist_ok=True)
                write_png(folder.made_masks / _OBJECTS / name, last.ids_HW)
            files[str(frame["id"].iloc[place])] = name
            totals = {step: one if step not in totals else totals[step] + one for step, one in found.items()}
        steps = {step: total.measured() for step, total in totals.items()}
        methods[method.name] = {"images": len(numbers), "steps": steps}
        notes.append(_note(method.name, len(numbers), steps))
    if files:
        strict_json.write(folder.made_masks / _RECORD, {"methods": methods, "files": files})
    return with_made_masks(folder, table), notes


def with_made_masks(folder: RunFolder, table: Table) -> Table:
    """The samples with the masks that were made for them."""
    path = folder.made_masks / _RECORD
    if not path.is_file():
        return table
    files: dict[str, str] = folder.read_json(path)["files"]
    numbers, objects = tuple((k, k) for k in (*range(len(table.classes)), IGNORE)), folder.made_masks / _OBJECTS

    def masks_of(row: Any) -> Masks:
        if row.split != "train" or row.id not in files:
            return row.masks
        file = NumberFile(str(folder.made_masks / files[row.id]), numbers)
        ids = NumberFile(str(objects / files[row.id]), ignored=IGNORE_ID) if objects.is_dir() else None
        return Masks(row.masks.size, class_file=file, id_file=ids)

    masks = pd.Series(map(masks_of, table.frame.itertuples()), index=table.frame.index, dtype=object)
    return table.with_frame(table.frame.assign(masks=masks))


def made_metrics(folder: RunFolder) -> dict[str, Any]:
    """For the metrics of a run: by method the number of images, and what was measured of each step."""
    path = folder.made_masks / _RECORD
    return {"made_masks": folder.read_json(path)["methods"]} if path.is_file() else {}


def _rows(recipe: Recipe, table: Table) -> dict[Any, list[int]]:
    """The row numbers for every method that makes masks: of an image's annotation the first method that can."""
    if not isinstance(table.task, MaskTask):
        return {}
    needed = not (table.task.counts_objects and table.task.takes_boxes)
    makers = [method for method in recipe.methods if isinstance(method, MakesMasks)]
    rows = dict[Any, list[int]]()
    for number, (split, masks) in enumerate(zip(table.frame["split"], table.frame["masks"])):
        weak: frozenset[Kind] = masks.kinds & _TEACHES_NOTHING if split == "train" else frozenset()
        if not weak:
            continue
        method = next((method for method in makers if weak <= method.makes_of), None)
        if method is None and not needed:
            continue
        if method is None:
            head = _OTHER_HEAD if table.task.counts_objects else ""
            accepted = [cls.name for cls in registry() if issubclass(cls, MakesMasks) and weak <= cls.makes_of]
            raise RecipeError(
                f"{table.frame['id'].iloc[number]} and others have {_SAID[min(weak)]} in place of masks; add a method that makes "
                f"masks of them (--with): {', '.join(accepted) or 'none is known'}{head}"
            )
        rows.setdefault(method, []).append(number)
    return rows


def _made(
    maker: MaskMaker, frame: pd.DataFrame, recipe: Recipe, classes: int
) -> Iterator[tuple[int, tuple[np.ndarray | IdMap, dict[str, _Step]]]]:
    """(place in the frame, (the mask, all steps)) for every image that can be read."""

    def make(row: Any) -> tuple[np.ndarray | IdMap, dict[str, _Step]] | None:
        try:
            pixels = decode(Path(row.path).read_bytes())
        except (OSError, UnreadableImage):  # left out, counted and named when it is rendered
            return None
        maps = maker(pixels, row.masks)
        if any(found.shape != row.masks.size for found in maps.values()):
            raise DataError(f"{row.id}: the masks made for it have another size than the image")
        real_HW = getattr(row, REAL).class_map() if hasattr(row, REAL) else None
        return list(maps.values())[-1], {step: _Step.of(_classes(one), real_HW, classes) for step, one in maps.items()}

    with ThreadPoolExecutor(int(recipe.train.loader_threads), thread_name_prefix="whet-made-masks") as pool:
        for place, found in enumerate(pool.map(make, frame.itertuples())):
            if found is not None:
                yield place, found


def _classes(made: np.ndarray | IdMap) -> np.ndarray:
    return made.class_map() if isinstance(made, IdMap) else made


def _without_effect(method: Any) -> Sentence:
    kinds = " or ".join(_SAID[kind] for kind in sorted(method.makes_of))
    return english(
        "{method} has no effect here: {reason}",
        method=method.name,
        reason=f"no training image has {kinds} in place of a mask",
    )


def _note(name: str, images: int, steps: Mapping[str, Mapping[str, float]]) -> Sentence:
    judged = [f"{step} {one['mean_iou']:.1%}" for step, one in steps.items() if "mean_iou" in one]
    if not judged:
        return english("{method}: made the masks of {n:,} training images", method=name, n=images)
    return english(
        "{method}: made the masks of {n:,} training images; mean IoU with the real masks: {steps}",
        method=name, n=images, steps=", ".join(judged),
    )  # fmt: skip
