"""What a reader of masks returns."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from whet.core.errors import DataError
from whet.core.masks import Masks
from whet.data.table import MAX_LEFT_OUT, Skipped

INSTANCES, SEMANTIC = "instance-segmentation", "semantic-segmentation"
_SHOWN = 10


@dataclass(frozen=True)
class MaskImage:
    """One image and its annotation. id: the path below the root, with "/". split: train, val, test or "". group: "" for none."""

    id: str
    path: str
    masks: Masks
    split: str = ""
    group: str = ""


@dataclass(frozen=True)
class MaskData:
    """All annotated images, sorted by id. format: as in `MaskSpec`. classes: the names by class number; where there is a
    background, it is class 0. task: the task these data suggest. skipped: images left out, dropped: objects left out,
    each with the reason. objects: the number of objects that were read. warnings: the notes about suspicious content."""

    root: Path
    format: str
    images: tuple[MaskImage, ...]
    classes: tuple[str, ...]
    has_background: bool
    task: str
    objects: int = 0
    skipped: tuple[Skipped, ...] = ()
    dropped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def things(self) -> tuple[str, ...]:
        """The classes that objects can have: all but the background."""
        return self.classes[1:] if self.has_background else self.classes

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of annotation: mask, box, point, scribble."""
        return frozenset().union(*(image.masks.kinds for image in self.images))

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each image: id, path, split, group, masks."""
        names = ("id", "path", "split", "group", "masks")
        return pd.DataFrame(
            {name: pd.Series([getattr(image, name) for image in self.images], dtype=object) for name in names}
        )

    def require_usable(self) -> MaskData:
        """The same data. DataError where more than 1 % of the images, or of the objects, were left out (and more than one)."""
        for what, left_out, total in (
            ("images", self.skipped, len(self.images) + len(self.skipped)),
            ("objects", self.dropped, self.objects + len(self.dropped)),
        ):
            if len(left_out) > max(1, MAX_LEFT_OUT * total):
                listed = "".join(f"\n  {entry.id}: {entry.reason}" for entry in left_out[:_SHOWN])
                more = f"\n  and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
                raise DataError(
                    f"{self.root}: {len(left_out)} of {total} {what} cannot be used, more than {MAX_LEFT_OUT:.0%}:{listed}{more}"
                )
        return self

    def warned(self, *warnings: str) -> MaskData:
        return replace(self, notes=self.notes + warnings, warnings=self.warnings + warnings)


def many(count: int, word: str) -> str:
    """'1 image', '3 images'."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def image_id(path: Path, root: Path) -> str:
    """The id of an image: its path below the root; a name that is not UTF-8 is escaped."""
    return os.fsencode(Path(os.path.relpath(path, root)).as_posix()).decode("utf-8", "backslashreplace")


def left_out_notes(skipped: list[Skipped], dropped: list[Skipped]) -> list[str]:
    """What was left out, the first few by name."""
    notes = []
    for word, entries in (("image", skipped), ("object", dropped)):
        if entries:
            first = "; ".join(f"{entry.id}: {entry.reason}" for entry in entries[:3])
            more = f"; and {len(entries) - 3} more" if len(entries) > 3 else ""
            notes.append(f"left out {many(len(entries), word)}: {first}{more}")
    return notes


def grouped_copies(images: list[MaskImage]) -> tuple[list[MaskImage], list[str]]:
    """Copies that Roboflow made of one photo (NAME.rf.HASH.jpg) become a group, where the images have no groups."""
    if any(image.group for image in images):
        return images, []
    stem = [Path(image.path).name.rpartition(".rf.")[0] for image in images]
    counts = Counter(name for name in stem if name)
    if not any(count > 1 for count in counts.values()):
        return images, []
    several = sum(count > 1 for count in counts.values())
    return [replace(image, group=name) for image, name in zip(images, stem)], [
        f"{several} photos have several copies (NAME.rf.HASH): the copies of a photo are one group"
    ]
