"""Pairs of an image and a mask file: images/ with masks/ (classes), instances/ (objects), or both.

The rules:
- images/a/1.jpg belongs to masks/a/1.png, and train/images/1.jpg to train/masks/1.png: the same path but for the folder's name and
  the suffix. A mask may add _mask, _label, _seg or _gt to the name. In one folder, 1_mask.png belongs to 1.jpg.
- `data.masks.template` says it otherwise: masks/{folder}/{stem}_segmentation.png, where {folder} is the image's folder below the
  folder of images.
- An image without a mask, and a mask of another size than its image, are left out and listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.core.masks import Masks
from whet.data.folder import IMAGE_FILES
from whet.data.masks.classes import Classes, colour_table, of_colours, of_numbers, thing_name
from whet.data.masks.data import INSTANCES, SEMANTIC, MaskData, MaskImage, image_id, many
from whet.data.masks.frame import Frame, FrameUnknown, frames_of
from whet.data.masks.image_labels import label_table
from whet.data.masks.named import BACKGROUND
from whet.data.masks.png import NumberFile, Seen, is_coloured, packed, scan
from whet.data.table import Skipped, split_name

_IMAGES = frozenset({"images", "image", "imgs", "img", "photos", "inputs", "input"})
_MASKS = frozenset({"masks", "mask", "labels", "label", "annotations", "annotation", "gt", "ground_truth", "groundtruth",
                    "segmentation", "segmentations", "labelids", "targets"})  # fmt: skip
_OBJECTS = frozenset({"instances", "instance", "instance_masks", "objects"})
_ENDING = re.compile(r"(?i)[ _.-](masks?|labels?|label_?ids|seg|segmentation|gt|annotation|l|p)$")
_LEAST_PAIRED = 0.5  # of the images, to recognise the format
_SHOWN = 5
Key = tuple[tuple[str, ...], str]
"""(folders below the data without the one that says what is in it, the name without suffix)."""


@dataclass
class Pairs:
    """The files, by what is in them. ending: whether masks are recognised by the end of their names. odd: pairs whose names differ
    in case."""

    root: Path
    images: dict[Key, list[Path]] = field(default_factory=dict)
    masks: dict[Key, Path] = field(default_factory=dict)
    objects: dict[Key, Path] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    alone: list[Path] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_pairs(root: Path, files: list[Path], spec: MaskSpec) -> Pairs | None:
    """The pairs among the files below a folder; None where fewer than half of the images have a mask, and no table has the classes
    of the others."""
    files = [path for path in files if path.suffix.lower() in IMAGE_FILES.suffixes]
    pairs = (
        _by_template(root, files, spec.template)
        if spec.template
        else _by_folders(root, files) or _by_names(root, files)
    )
    if pairs is None or not pairs.images:
        return None
    paired = sum(key in pairs.masks or key in pairs.objects for key in pairs.images)
    least = 0 if label_table(root) else _LEAST_PAIRED
    if paired < max(1, least * len(pairs.images)) and not spec.template:
        return None
    if spec.objects is not None:
        if spec.objects and not pairs.objects:
            pairs.objects, pairs.masks = pairs.masks, {}
        elif not spec.objects and not pairs.masks:
            pairs.masks, pairs.objects = pairs.objects, {}
    return pairs


def _by_folders(root: Path, files: list[Path]) -> Pairs | None:
    pairs = Pairs(root)
    masks: dict[Key, list[Path]] = {}
    objects: dict[Key, list[Path]] = {}
    for path in files:
        *folders, _ = path.relative_to(root).parts
        for words, found in ((_IMAGES, pairs.images), (_MASKS, masks), (_OBJECTS, objects)):
            place = next((k for k, folder in enumerate(folders) if folder.lower() in words), None)
            if place is not None:
                found.setdefault(((*folders[:place], *folders[place + 1 :]), path.stem), []).append(path)
                break
    if not pairs.images or not (masks or objects):
        return None
    _match(pairs, masks, pairs.masks)
    _match(pairs, objects, pairs.objects)
    return pairs


def _by_names(root: Path, files: list[Path]) -> Pairs | None:
    """Masks beside the images: 1.jpg and 1_mask.png."""
    keys = {path: (path.relative_to(root).parts[:-1], path.stem) for path in files}
    known = {(folders, stem.lower()) for folders, stem in keys.values()}
    pairs = Pairs(root)
    masks: dict[Key, list[Path]] = {}
    for path, (folders, stem) in keys.items():
        bare = _ENDING.sub("", stem)
        is_mask = bare != stem and (folders, bare.lower()) in known
        (masks if is_mask else pairs.images).setdefault((folders, stem), []).append(path)
    if not masks:
        return None
    _match(pairs, masks, pairs.masks)
    return pairs


def _by_template(root: Path, files: list[Path], template: str) -> Pairs:
    pairs = Pairs(root)
    files_there = set(files)
    of: dict[Path, Path] = {}
    for path in files:
        *folders, _ = path.relative_to(root).parts
        place = next((k for k, folder in enumerate(folders) if folder.lower() in _IMAGES), None)
        below = folders if place is None else [*folders[:place], *folders[place + 1 :]]
        try:
            name = template.format(stem=path.stem, folder="/".join(below), name=path.name)
        except (KeyError, IndexError, ValueError):
            raise DataError(
                f"data.masks.template = {template}: accepted in braces: {{stem}}, {{folder}}, {{name}}"
            ) from None
        mask = root / name
        if mask != path and mask in files_there:
            of[path] = mask
    masks = set(of.values())
    for path in files:
        if path in masks or (path not in of and not _looks_like_image(path, root)):
            continue
        key = (path.relative_to(root).parts[:-1], path.name)
        pairs.images[key] = [path]
        if path in of:
            pairs.masks[key] = of[path]
    if not of:
        raise DataError(f"data.masks.template = {template}: no such file below {root} for any of {len(files)} images")
    return pairs


def _looks_like_image(path: Path, root: Path) -> bool:
    return not {folder.lower() for folder in path.relative_to(root).parts[:-1]} & (_MASKS | _OBJECTS)


def _match(pairs: Pairs, masks: dict[Key, list[Path]], found: dict[Key, Path]) -> None:
    """Assign mask files to images: by the same name, then without an ending, then ignoring case."""
    left = dict(masks)
    lowered = {(folders, stem.lower()): (folders, stem) for folders, stem in pairs.images}
    for step in ("same", "ending", "case"):
        for (folders, stem), paths in list(left.items()):
            key = (folders, stem if step == "same" else _ENDING.sub("", stem))
            if step == "case":
                key = lowered.get((folders, stem.lower()), lowered.get((folders, key[1].lower()), key))
            if key in pairs.images and key not in found:
                if len(paths) > 1:
                    names = " and ".join(path.name for path in paths[:2])
                    pairs.skipped.append(Skipped(image_id(pairs.images[key][0], pairs.root), f"two masks: {names}"))
                    del pairs.images[key]
                else:
                    found[key] = paths[0]
                    if step == "case":
                        pairs.odd.append(image_id(paths[0], pairs.root))
                del left[folders, stem]
    pairs.alone += [path for paths in left.values() for path in paths]


@dataclass(frozen=True)
class _Scanned:
    """What the mask files hold. border: the number in files of objects of pixels that do not count."""

    found: Classes
    seen: dict[str, Seen]
    seen_objects: dict[str, Seen]
    colours: bool
    object_colours: bool
    border: int | None

    def masks(
        self, frame: Frame | str, class_path: Path | None, object_path: Path | None, spec: MaskSpec, name: str
    ) -> Masks:
        """DataError with the reason where the image is to be left out."""
        if isinstance(frame, str):
            raise DataError(frame)
        if class_path is None and object_path is None:
            raise DataError("no mask file")
        class_file = object_file = None
        if class_path is not None:
            turn = _turn(frame, self.seen[str(class_path)], class_path, spec, name)
            class_file = NumberFile(str(class_path), self.found.table, self.colours, turn)
        if object_path is not None:
            turn = _turn(frame, self.seen_objects[str(object_path)], object_path, spec, name)
            object_file = NumberFile(str(object_path), None, self.object_colours, turn, self.border)
        return Masks(frame.size, class_file=class_file, id_file=object_file)

    def objects_in(self, path: Path) -> int:
        return sum(number not in (0, self.border) for number, _ in self.seen_objects[str(path)].counts)


def _turn(frame: Frame, seen: Seen, path: Path, spec: MaskSpec, name: str) -> int:
    if seen.reason:
        raise DataError(f"{path.name}: {seen.reason}")
    return frame.turn_for(seen.size, spec.frame, name)


def read_pairs(pairs: Pairs, spec: MaskSpec, threads: int = 4, *, border: int | None = None) -> MaskData:
    """The images and masks of these pairs, with every mask file read once. border: the number in files of objects of pixels that do
    not count."""
    root, skipped = pairs.root, list(pairs.skipped)
    rows = _images(pairs, skipped)
    scanned = _scan(pairs, spec, threads, border)
    read: list[MaskImage] = []
    objects = 0
    for (path, key), frame in zip(rows, frames_of([path for path, _ in rows], threads)):
        name, object_path = image_id(path, root), pairs.objects.get(key)
        try:
            masks = scanned.masks(frame, pairs.masks.get(key), object_path, spec, name)
        except FrameUnknown:
            raise
        except DataError as error:
            skipped.append(Skipped(name, str(error)))
            continue
        objects += 0 if object_path is None else scanned.objects_in(object_path)
        read.append(MaskImage(name, str(path), masks, _split_of(path, root)))
    notes = list(pairs.notes)
    if pairs.alone:
        notes.append(f"{many(len(pairs.alone), 'mask file')} without an image: {_listed(pairs.alone, root)}")
    task, found = INSTANCES if pairs.objects else SEMANTIC, scanned.found
    data = MaskData(
        root, "pairs", tuple(read), found.names, found.has_background, task, objects, tuple(skipped), (), tuple(notes)
    )
    return data.warned(*found.notes, *_case_warning(pairs))


def _scan(pairs: Pairs, spec: MaskSpec, threads: int, border: int | None) -> _Scanned:
    class_files = sorted({str(path) for path in pairs.masks.values()})
    object_files = sorted({str(path) for path in pairs.objects.values()})
    beside = [path.parent for path in (*pairs.masks.values(), *pairs.objects.values())]
    folders = list(dict.fromkeys([pairs.root, *sorted(beside), *sorted(folder.parent for folder in beside)]))
    given = colour_table(folders, spec) if class_files else None
    seen = dict(zip(class_files, scan(class_files, colours=given is not None, threads=threads)))
    # Files of objects in RGB: each colour is an object.
    object_colours = bool(object_files) and is_coloured(object_files[0])
    seen_objects = dict(zip(object_files, scan(object_files, colours=object_colours, threads=threads)))
    if class_files:
        usable = [path for path in class_files if not seen[path].reason]
        counted = [seen[path] for path in usable]
        found = of_colours(*given, usable, counted) if given else of_numbers(folders, spec, usable, counted)
    else:
        found = Classes((BACKGROUND, thing_name(folders, spec)), (), True)
    if object_colours and border is not None:
        border = packed(224, 224, 192)
    return _Scanned(found, seen, seen_objects, given is not None, object_colours, border)


def _images(pairs: Pairs, skipped: list[Skipped]) -> list[tuple[Path, Key]]:
    """Every image that has no namesake."""
    rows = []
    for key, paths in pairs.images.items():
        if len(paths) == 1:
            rows.append((paths[0], key))
            continue
        for path in paths:
            other = next(other for other in paths if other != path)
            skipped.append(Skipped(image_id(path, pairs.root), f"{other.name} has the same name: whose is the mask?"))
    return rows


def _split_of(path: Path, root: Path) -> str:
    words = [split_name(folder) for folder in path.relative_to(root).parts[:-1]]
    return next((word for word in words if word is not None), "")


def _case_warning(pairs: Pairs) -> list[str]:
    if not pairs.odd:
        return []
    return [
        f"{many(len(pairs.odd), 'mask')} with names that differ from those of their images in case: {', '.join(pairs.odd[:_SHOWN])}"
    ]


def _listed(paths: list[Path], root: Path) -> str:
    names = [image_id(path, root) for path in paths[:_SHOWN]]
    return ", ".join(names) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
