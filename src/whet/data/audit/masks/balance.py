"""Classes by pixels, images and objects."""

from __future__ import annotations

from collections import Counter

import numpy as np

from whet.core.language import english
from whet.core.masks import IGNORE
from whet.data.audit.finding import Finding
from whet.data.masks import MaskData
from whet.data.masks.data import many
from whet.data.table import SPLITS

FEW = 10  # images of a class to train on, or to judge by
IGNORED = 0.2  # share of the pixels


def check_mask_balance(data: MaskData) -> list[Finding]:
    """The share of the pixels, the images and the objects of every class; classes in under ten images of a split, or in none; and
    a large share of ignored pixels."""
    pixels_K, images_SK, objects_K = _counts(data)
    counted = pixels_K[:IGNORE].sum()
    kinds = data.kinds
    rows = []
    for k, name in enumerate(data.classes):
        share = f"{pixels_K[k] / max(counted, 1):.1%} of the pixels" if counted else ""
        things = many(int(objects_K[k]), "object") if data.objects and (k or not data.has_background) else ""
        rows.append(
            f"{name}: {', '.join(part for part in (share, many(int(images_SK[:, k].sum()), 'image'), things) if part)}"
        )
    text = english("pixels, images and objects of the classes: {rows}", rows="; ".join(rows))
    found = [Finding(english("classes"), "fact", text)]
    if kinds - {"mask"}:
        said = Counter(" and ".join(sorted(image.masks.kinds)) for image in data.images if image.masks.kinds)
        rows = [f"{many(count, 'image')} with {kind}" for kind, count in said.most_common()]
        text = english("only images with masks can be validated and tested on: {rows}", rows=", ".join(rows))
        found.append(Finding(english("weak annotations"), "fact", text))
    for s, split in enumerate(SPLITS):
        if not any(image.split == split for image in data.images):
            continue
        thing = range(int(data.has_background), len(data.classes))
        none = [data.classes[k] for k in thing if images_SK[s, k] == 0]
        few = [f"{data.classes[k]} {images_SK[s, k]}" for k in thing if 0 < images_SK[s, k] < FEW]
        if none:
            text = english("no {split!t} image holds {names}", split=split, names=", ".join(none))
            found.append(Finding(english("missing classes"), "warning", text))
        if few and split != "val":
            found.append(
                Finding(
                    english("few {split!t} images", split=split),
                    "warning",
                    english(
                        "classes in fewer than {least:d} {split!t} images: {names}",
                        least=FEW,
                        split=split,
                        names=", ".join(few),
                    ),
                )
            )
    ignored = pixels_K[IGNORE] / max(pixels_K.sum(), 1)
    if ignored > IGNORED and kinds == {"mask"}:
        found.append(
            Finding(
                english("ignored pixels"),
                "warning",
                english("{share:.0%} of all pixels are ignored, and teach nothing", share=ignored),
            )
        )
    return found


def _counts(data: MaskData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of every class and of IGNORE (256,); images with the class, by split and undecided ones (4, K); objects (K,)."""
    pixels_K = np.zeros(256, np.int64)
    images_SK = np.zeros((len(SPLITS) + 1, len(data.classes)), np.int64)
    objects_K = np.zeros(len(data.classes), np.int64)
    for image in data.images:
        here = np.bincount(image.masks.class_map().ravel(), minlength=256)
        pixels_K += here
        classes = set(np.flatnonzero(here[: len(data.classes)]).tolist())
        if image.masks.id_file is not None:
            numbers = image.masks.id_map().class_of_id
        else:
            shapes = [shape for shape in image.masks.shapes if not shape.crowd]
            classes |= {shape.class_number for shape in shapes}
            numbers = np.array([shape.class_number for shape in shapes if shape.kind != "label"], np.int64)
        objects_K += np.bincount(numbers, minlength=len(data.classes))
        place = SPLITS.index(image.split) if image.split else len(SPLITS)
        images_SK[place, sorted(classes | set(numbers.tolist()))] += 1
    return pixels_K, images_SK, objects_K
