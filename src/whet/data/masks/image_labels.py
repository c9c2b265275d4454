"""Images without a mask, of which the classes are known: a table image_labels.csv beside the data, with the columns file and label.

The rules:
- A row for each class that occurs in an image. A row without a label: nothing but background.
- The labels are classes of the masks. The background need not be named.
- Where an image has a mask, the mask counts.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from whet.core.errors import DataError, unknown
from whet.core.masks import Masks, Shape
from whet.data.cells import TABLE_SUFFIXES, read_cells, word
from whet.data.columns import AS_IT_IS, Columns
from whet.data.masks.data import MaskData, MaskImage, image_id, many
from whet.data.masks.frame import frames_of
from whet.data.masks.named import is_background
from whet.data.table import Skipped, split_name


def label_table(folder: Path) -> Path | None:
    """The table of a folder, None where there is none."""
    tables = (folder / f"image_labels{suffix}" for suffix in TABLE_SUFFIXES)
    return next((table for table in tables if table.is_file()), None)


def with_image_labels(data: MaskData, threads: int) -> MaskData:
    """The data with the images that only this table annotates. DataError for a label that is no class of the masks."""
    path = label_table(data.root)
    if path is None:
        return data
    classes_of = _rows(path, data)
    masked = {str(Path(image.path).resolve()) for image in data.images}
    files = [file for file in classes_of if str(file.resolve()) not in masked]
    read, skipped = [], []
    for file, frame in zip(files, frames_of(files, threads)):
        name = image_id(file, data.root)
        if isinstance(frame, str):
            skipped.append(Skipped(name, frame))
            continue
        shapes = tuple(Shape(number, kind="label") for number in sorted(classes_of[file]))
        split = next((found for part in Path(name).parts[:-1] if (found := split_name(part))), "")
        read.append(MaskImage(name, str(file), Masks(frame.size, shapes), split))
    listed = {image_id(file, data.root) for file in files}
    kept = tuple(entry for entry in data.skipped if entry.id not in listed)
    both = len(classes_of) - len(files)
    note = f"{path.name}: the classes of {many(len(read), 'image')} without a mask" + (
        f"; {many(both, 'more image')} with a mask" if both else ""
    )
    return replace(data, images=(*data.images, *read), skipped=(*kept, *skipped), notes=(*data.notes, note))


def _rows(path: Path, data: MaskData) -> dict[Path, set[int]]:
    """The class numbers of every listed image, without the background."""
    cells = read_cells(path)
    columns = Columns(cells.frame, AS_IT_IS, path)
    file_column, label_column = columns.require("file"), columns.require("label")
    found: dict[Path, set[int]] = {}
    for line, file, label in zip(cells.frame.index, cells.frame[file_column], cells.frame[label_column]):
        name = word(file, path, line, file_column).strip().replace("\\", "/")
        if not name:
            raise DataError(f"{path}:{line}: no file")
        numbers = found.setdefault(data.root / name, set())
        said = word(label, path, line, label_column).strip()
        if said and not is_background(said):
            if said not in data.things:
                raise DataError(unknown("class", said, data.things, f"{path}:{line}"))
            numbers.add(data.classes.index(said))
    return found
