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
from whet.data.below import Passed, all_below
from whet.data.folder import IMAGE_FILES
from whet.data.masks.classes import Classes, colour_table, of_colours, of_numbers, thing_name
from whet.data.masks.data import BACKGROUND, INSTANCES, SEMANTIC, MaskData, MaskImage, image_id
from whet.data.masks.frame import Frame, FrameUnknown, frames_of
from whet.data.masks.png import NumberFile, Seen, scan
from whet.data.table import Skipped, split_name

_IMAGES = frozenset({"images", "image", "imgs", "img", "photos", "inputs", "input"})
_MASKS = frozenset({"masks", "mask", "labels", "label", "annotations", "annotation", "gt", "ground_truth", "groundtruth",
                    "segmentation", "segmentations", "labelids", "targets"})  # fmt: skip
_OBJECTS = frozenset({"instances", "instance", "instance_masks", "objects"})
_ENDING = re.compile(r"(?i)[ _.-]?(masks?|labels?|label_?ids|seg|segmentation|gt|annotation|l|p)$")
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


def find_pairs(root: Path, spec: MaskSpec) -> Pairs | None:
    """The pairs below a folder; None where fewer than half of the images have a mask."""
    passed = Passed()
    files = [path for path in all_below(root, passed) if path.suffix.lower() in IMAGE_FILES.suffixes]
    pairs = (
        _by_template(root, files, spec.template)
        if spec.template
        else _by_folders(root, files) or _by_names(root, files)
    )
    if pairs is None or not pairs.images:
        return None
    paired = sum(key in pairs.masks or key in pairs.objects for key in pairs.images)
    if paired < max(1, _LEAST_PAIRED * len(pairs.images)) and not spec.template:
        return None
    if spec.objects is not None:
        if spec.objects and not pairs.objects:
            pairs.objects, pairs.masks = pairs.masks, {}
        elif not spec.objects and not pairs.masks:
            pairs.masks, pairs.objects = pairs.objects, {}
    pairs.notes += passed.notes(root)
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
        is_mask = bool(bare) and bare != stem and stem[len(bare)] in " _.-" and (folders, bare.lower()) in known
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


def read_pairs(pairs: Pairs, spec: MaskSpec, threads: int = 4) -> MaskData:
    """The images and masks of these pairs, with every mask file read once."""
    root = pairs.root
    rows = _images(pairs)
    class_files = sorted({str(pairs.masks[key]) for _, key in rows if key in pairs.masks})
    object_files = sorted({str(pairs.objects[key]) for _, key in rows if key in pairs.objects})
    folders = [
        root,
        *{path.parent: None for path in sorted(pairs.masks.values())},
        *sorted({path.parents[1] for path, _ in rows}),
    ]
    given = colour_table(folders, spec)
    seen = dict(zip(class_files, scan(class_files, colours=given is not None, threads=threads)))
    seen_objects = dict(zip(object_files, scan(object_files, threads=threads)))
    notes = list(pairs.notes)
    if class_files:
        usable = [path for path in class_files if not seen[path].reason]
        counted = [seen[path] for path in usable]
        found = of_colours(*given, usable, counted) if given else of_numbers(folders, spec, usable, counted)
    else:
        found = Classes((BACKGROUND, thing_name(folders, spec)), (), True)
    read: list[MaskImage] = []
    objects = 0
    for (path, key), frame in zip(rows, frames_of([path for path, _ in rows], threads)):
        name = image_id(path, root)
        try:
            masks = _masks(frame, pairs, key, found.table, given is not None, seen, seen_objects, spec, name)
        except FrameUnknown:
            raise
        except DataError as error:
            pairs.skipped.append(Skipped(name, str(error)))
            continue
        if key in pairs.objects:
            objects += sum(number > 0 for number, _ in seen_objects[str(pairs.objects[key])].counts)
        read.append(MaskImage(name, str(path), masks, _split_of(path, root)))
    if pairs.alone:
        notes.append(f"{len(pairs.alone)} mask files without an image: {_listed(pairs.alone, root)}")
    task = INSTANCES if object_files else SEMANTIC
    data = MaskData(
        root,
        "pairs",
        tuple(read),
        found.names,
        found.has_background,
        task,
        objects,
        tuple(pairs.skipped),
        (),
        tuple(notes),
    )
    return data.warned(*found.notes, *_case_warning(pairs))


def _images(pairs: Pairs) -> list[tuple[Path, Key]]:
    """Every image that has no namesake."""
    rows = []
    for key, paths in pairs.images.items():
        if len(paths) == 1:
            rows.append((paths[0], key))
            continue
        for path in paths:
            other = next(other for other in paths if other != path)
            pairs.skipped.append(
                Skipped(image_id(path, pairs.root), f"{other.name} has the same name: whose is the mask?")
            )
    return rows


def _masks(
    frame: Frame | str, pairs: Pairs, key: Key, table: tuple[tuple[int, int], ...], colours: bool,
    seen: dict[str, Seen], seen_objects: dict[str, Seen], spec: MaskSpec, name: str,
) -> Masks:  # fmt: skip
    """DataError with the reason where the image is to be left out."""
    if isinstance(frame, str):
        raise DataError(frame)
    class_file = object_file = None
    if key in pairs.masks:
        path = str(pairs.masks[key])
        class_file = NumberFile(path, table, colours, _turn(frame, seen[path], pairs.masks[key], spec, name))
    if key in pairs.objects:
        path = str(pairs.objects[key])
        turn = _turn(frame, seen_objects[path], pairs.objects[key], spec, name)
        object_file = NumberFile(path, None, turn=turn)
    if class_file is None and object_file is None:
        raise DataError("no mask file")
    return Masks(frame.size, class_file=class_file, id_file=object_file)


def _turn(frame: Frame, seen: Seen, path: Path, spec: MaskSpec, name: str) -> int:
    if seen.reason:
        raise DataError(f"{path.name}: {seen.reason}")
    return frame.turn_for(seen.size, spec.frame, name)


def _split_of(path: Path, root: Path) -> str:
    words = [split_name(folder) for folder in path.relative_to(root).parts[:-1]]
    return next((word for word in words if word is not None), "")


def _case_warning(pairs: Pairs) -> list[str]:
    if not pairs.odd:
        return []
    return [
        f"{len(pairs.odd)} masks whose names differ from those of their images in case: {', '.join(pairs.odd[:_SHOWN])}"
    ]


def _listed(paths: list[Path], root: Path) -> str:
    names = [image_id(path, root) for path in paths[:_SHOWN]]
    return ", ".join(names) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
