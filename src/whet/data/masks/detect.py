"""Recognises the format of masks, and reads them.

The first of these that applies: YOLO's data.yaml, a Pascal VOC folder, COCO files, labelme files, CVAT's XML, pairs of image
and mask files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.data.below import all_below
from whet.data.masks.coco import read_coco
from whet.data.masks.cvat import is_cvat, read_cvat
from whet.data.masks.data import INSTANCES, SEMANTIC, MaskData, grouped_copies, left_out_notes, many
from whet.data.masks.image_labels import with_image_labels
from whet.data.masks.json_files import kind_of_json
from whet.data.masks.labelme import read_labelme
from whet.data.masks.pairs import Pairs, find_pairs, read_pairs
from whet.data.masks.split_table import with_split_table
from whet.data.masks.voc import read_voc, voc_root, voc_task
from whet.data.masks.yolo import read_yolo, yolo_file

AS_THEY_ARE = MaskSpec()


Reader = Callable[[MaskSpec, "Path | None", int], MaskData]


@dataclass(frozen=True)
class Detected:
    """format: as in `MaskSpec`. why: how it was recognised, for people. task: the task it suggests. read: reads
    it."""

    format: str
    why: str
    task: str
    read: Reader


@dataclass
class _Place:
    """A file or folder, listed once for all formats."""

    path: Path
    spec: MaskSpec
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.path if self.path.is_dir() else self.path.parent

    @cached_property
    def files(self) -> list[Path]:
        return list(all_below(self.path)) if self.path.is_dir() else [self.path]

    @cached_property
    def json_files(self) -> dict[str | None, list[Path]]:
        """By what they hold."""
        found: dict[str | None, list[Path]] = {}
        for file in self.files:
            if file.suffix.lower() == ".json":
                found.setdefault(kind_of_json(file), []).append(file)
        return found

    @cached_property
    def pairs(self) -> Pairs | None:
        return find_pairs(self.path, self.files, self.spec) if self.path.is_dir() else None


def detect(path: str | Path, spec: MaskSpec = AS_THEY_ARE) -> Detected | None:
    """The format of the masks at a path, None where there are none. Reads the beginning of JSON files, no image."""
    place = _Place(Path(path).expanduser(), spec)
    for name, find in _FORMATS.items():
        if spec.format in (None, name) and (found := find(place)) is not None:
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
    data = with_image_labels(found.read(spec, files_root, threads), threads)
    images, split_notes = with_split_table(list(data.images), path if path.is_dir() else path.parent)
    images, copies = grouped_copies(images)
    images.sort(key=lambda image: image.id)
    left_out = left_out_notes(list(data.skipped), list(data.dropped))
    data = replace(data, images=tuple(images), notes=(found.why, *data.notes, *split_notes, *copies, *left_out))
    if not images:
        first = f"; the first: {data.skipped[0].id}: {data.skipped[0].reason}" if data.skipped else ""
        raise DataError(f"{path}: none of {len(data.skipped)} images can be used{first}")
    return data


_ACCEPTED = (
    "COCO JSON files, images/ with masks/ or instances/, YOLO's data.yaml, Pascal VOC, labelme files, or CVAT's XML"
)


def _coco(place: _Place) -> Detected | None:
    files = place.json_files.get("coco", [])
    if not files and not place.path.is_dir():  # a JSON file was asked for: its reader says what is missing
        files = place.json_files.get(None, [])
    if not files:
        return None
    names = ", ".join(file.relative_to(place.root).as_posix() for file in files[:4]) + (" …" if len(files) > 4 else "")
    beside = place.spec.format is None and place.pairs is not None
    why = f"COCO: {names}" + ("; the mask files beside it are not read (data.masks.format: pairs)" if beside else "")
    return Detected(
        "coco",
        why,
        INSTANCES,
        lambda spec, files_root, threads: read_coco(files, place.root, spec, files_root, threads),
    )


def _pairs(place: _Place) -> Detected | None:
    pairs = place.pairs
    if pairs is None:
        return None
    what = " and ".join(word for word, files in (("classes", pairs.masks), ("objects", pairs.objects)) if files)
    first = next(iter([*pairs.objects.values(), *pairs.masks.values()])).relative_to(place.root).as_posix()
    why = f"{many(len(pairs.images), 'image')} and files with the {what} of their pixels, such as {first}"
    task = INSTANCES if pairs.objects else SEMANTIC
    return Detected("pairs", why, task, lambda spec, files_root, threads: read_pairs(pairs, spec, threads))


def _yolo(place: _Place) -> Detected | None:
    file = yolo_file(place.path)
    if file is None:
        return None
    return Detected(
        "yolo", f"YOLO: {file.name}", INSTANCES, lambda spec, files_root, threads: read_yolo(file, spec, threads)
    )


def _voc(place: _Place) -> Detected | None:
    root = voc_root(place.path)
    if root is None:
        return None
    return Detected(
        "voc",
        f"Pascal VOC: {root.name}",
        voc_task(root),
        lambda spec, files_root, threads: read_voc(root, spec, threads),
    )


def _labelme(place: _Place) -> Detected | None:
    files = place.json_files.get("labelme", [])
    if not files:
        return None
    why = f"labelme: {many(len(files), 'JSON file')}"
    return Detected(
        "labelme", why, INSTANCES, lambda spec, files_root, threads: read_labelme(files, place.root, spec, threads)
    )


def _cvat(place: _Place) -> Detected | None:
    files = [file for file in place.files if file.suffix.lower() == ".xml" and is_cvat(file)]
    if not files:
        return None
    names = ", ".join(file.relative_to(place.root).as_posix() for file in files[:4]) + (" …" if len(files) > 4 else "")
    return Detected(
        "cvat",
        f"CVAT: {names}",
        INSTANCES,
        lambda spec, files_root, threads: read_cvat(files, place.root, spec, threads),
    )


_FORMATS: dict[str, Callable[[_Place], Detected | None]] = {
    "yolo": _yolo,
    "voc": _voc,
    "coco": _coco,
    "labelme": _labelme,
    "cvat": _cvat,
    "pairs": _pairs,
}
