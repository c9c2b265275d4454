"""Recognises the format of masks, and reads them.

For a folder, the first of these that applies: COCO files, then pairs of image and mask files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.data.below import all_below
from whet.data.masks.coco import read_coco
from whet.data.masks.data import MaskData, grouped_copies, left_out_notes
from whet.data.masks.json_files import kind_of_json
from whet.data.masks.pairs import find_pairs, read_pairs
from whet.data.masks.split_table import with_split_table

AS_THEY_ARE = MaskSpec()


@dataclass(frozen=True)
class Detected:
    """format: coco, pairs, yolo, voc or labelme. files: the files that describe the annotation. read: reads it. why: one sentence
    for people."""

    format: str
    files: tuple[Path, ...]
    why: str
    read: Callable[[MaskSpec, Path | None, int], MaskData]


def detect(path: str | Path, spec: MaskSpec = AS_THEY_ARE) -> Detected | None:
    """The format of the masks at a path, None where there are none. Reads the beginning of JSON files, no image."""
    path = Path(path)
    for name, find in _FORMATS.items():
        if spec.format in (None, name):
            found = find(path, spec)
            if found is not None:
                return found
    return None


def read_masks(
    path: str | Path,
    spec: MaskSpec = AS_THEY_ARE,
    *,
    files_root: Path | None = None,
    threads: int = 4,
) -> MaskData:
    """Every annotated image at a path: a COCO file, or a folder in one of the formats. files_root: the folder that the image names
    in a COCO file are relative to. DataError where no masks are found."""
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"data {path} does not exist")
    found = detect(path, spec)
    if found is None:
        asked = f" in the format {spec.format}" if spec.format else ""
        raise DataError(f"{path}: no masks found{asked}. Accepted: {_ACCEPTED}")
    data = found.read(spec, files_root, threads)
    images, split_notes = with_split_table(list(data.images), path if path.is_dir() else path.parent)
    images, copies = grouped_copies(images)
    images.sort(key=lambda image: image.id)
    left_out = left_out_notes(list(data.skipped), list(data.dropped))
    data = replace(data, images=tuple(images), notes=(found.why, *data.notes, *split_notes, *copies, *left_out))
    if not images:
        first = f"; the first: {data.skipped[0].id}: {data.skipped[0].reason}" if data.skipped else ""
        raise DataError(f"{path}: none of {len(data.skipped)} images can be used{first}")
    return data


_ACCEPTED = "a COCO JSON file, a folder with COCO files, or a folder with images/ and masks/"


def _coco(path: Path, spec: MaskSpec) -> Detected | None:
    if path.is_dir():
        files = [file for file in all_below(path) if file.suffix.lower() == ".json" and kind_of_json(file) == "coco"]
    else:
        files = [path] if path.suffix.lower() == ".json" and kind_of_json(path) in ("coco", None) else []
    if not files:
        return None
    root = path if path.is_dir() else path.parent
    beside = find_pairs(path, spec) if path.is_dir() and spec.format is None else None
    names = ", ".join(file.relative_to(root).as_posix() for file in files[:4]) + (" …" if len(files) > 4 else "")
    return Detected(
        "coco",
        tuple(files),
        f"COCO: {names}"
        + ("" if beside is None else "; the mask files beside it are not read (data.masks.format: pairs)"),
        lambda spec, files_root, threads: read_coco(files, root, spec, files_root, threads),
    )


def _pairs(path: Path, spec: MaskSpec) -> Detected | None:
    pairs = find_pairs(path, spec) if path.is_dir() else None
    if pairs is None:
        return None
    what = " and ".join(word for word, files in (("classes", pairs.masks), ("objects", pairs.objects)) if files)
    first = next(iter([*pairs.objects.values(), *pairs.masks.values()]))
    return Detected(
        "pairs",
        (first,),
        f"{len(pairs.images)} images and files with the {what} of their pixels, such as {first.relative_to(path).as_posix()}",
        lambda spec, files_root, threads: read_pairs(pairs, spec, threads),
    )


_FORMATS: dict[str, Callable[[Path, MaskSpec], Detected | None]] = {"coco": _coco, "pairs": _pairs}
