"""Reads a folder or table, adds content hashes, and applies split lists or creates missing splits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath

from whet.core.errors import DataError
from whet.core.language import english
from whet.core.spec import ROWS, DataSpec
from whet.data.audio_folder import read_audio
from whet.data.below import all_below
from whet.data.cells import TABLE_SUFFIXES, first_rows
from whet.data.class_names import class_warnings
from whet.data.columns import usual_column
from whet.data.digests import file_digests
from whet.data.folder import AUDIO_FILES, IMAGE_FILES, TEXTS, Files, has_classes, read_folder
from whet.data.mask_table import read_mask_table
from whet.data.masks.detect import Detected, detect
from whet.data.masks.weak import weakened
from whet.data.split import split_rows
from whet.data.split_files import apply_split_files
from whet.data.store import part_digest
from whet.data.table import NOT_UTF8, Skipped, Table, is_writable, part_name, read_table
from whet.data.text_table import read_texts, text_tables_in
from whet.data.unlabelled import read_unlabelled, with_unlabelled

_FILES = {files.medium: files for files in (IMAGE_FILES, TEXTS, AUDIO_FILES)}
_LOOKED_AT = 500  # files of a folder to read for detecting its medium


def read_data(spec: DataSpec, threads: int = 4, *, usable: bool = True) -> Table:
    """The table of samples for the data section of a recipe: read, hashed, and split into train, val and test. usable: whether many
    masks that cannot be used are an error."""
    table = read_samples(spec, threads, usable=usable)
    if not table.classes:
        raise DataError(f"data {spec.path}: no sample has a label")
    if len(table.classes) < 2:
        raise DataError(
            f"data {spec.path}: only one class found ('{table.classes[0]}'); classification needs at least two"
        )
    split = split_rows(table, spec)
    if "masks" in split.frame:
        frame, notes = weakened(split.frame, spec.masks.supervision)
        split = split.with_frame(frame, *notes)
    return (
        split if spec.unlabelled is None else with_unlabelled(split, table, _sources(spec, table.medium), spec, threads)
    )


def read_without_labels(spec: DataSpec, medium: str, threads: int = 4) -> tuple[Table, list[str]]:
    """(every sample of a folder or table as the training split of a table whose labels mean nothing; everything else in it, each
    with the reason). Class folders and labels do not matter. DataError if there is no sample."""
    frame, left_out = read_unlabelled([data_path(spec)], spec, medium, threads)
    writable = frame["path"].map(is_writable)
    left_out += [f"{name}: {NOT_UTF8}" for name in frame["id"][~writable]]
    frame = frame[writable].assign(split="train", label=0).reset_index(drop=True)
    if frame.empty:
        first = f"; the first: {left_out[0]}" if left_out else ""
        raise DataError(f"data {spec.path}: none of {len(left_out)} entries can be read{first}")
    return Table(frame, ("", " "), data_path(spec), medium=medium), left_out


def _sources(spec: DataSpec, medium: str) -> list[Path]:
    """Where the unlabelled samples are: the given folder or table, or for `rows` the tables or folder of the data itself."""
    if spec.unlabelled != ROWS:
        return [Path(str(spec.unlabelled)).expanduser()]
    path = data_path(spec)
    if not path.is_dir():
        return [path]
    if medium == "text":
        return [table for _, table in text_tables_in(path)] or [path]
    return _tables_in(path) if _is_read_by_table(path, _FILES[medium]) else [path]


def _is_read_by_table(path: Path, files: Files) -> bool:
    """Whether a folder is read through its only table."""
    return len(_tables_in(path)) == 1 and not has_classes(path, files)


def data_path(spec: DataSpec) -> Path:
    """The path of the data; DataError if it does not exist."""
    if spec.path is None:
        raise DataError(f"no data given: specify a folder or a table, {', '.join(TABLE_SUFFIXES)}")
    path = Path(spec.path).expanduser()
    if not path.exists():
        raise DataError(f"data {path} does not exist")
    return path


def medium_of(spec: DataSpec) -> str:
    """The medium of the data, image, text or audio: for a folder by file suffixes, for a table by its columns (see
    `_medium_of_table`). For a folder of tables without class folders, the medium of its first table."""
    path = data_path(spec)
    if spec.text_column is not None:
        return "text"
    if not path.is_dir():
        return _medium_of_table(path, spec) if path.suffix.lower() in TABLE_SUFFIXES else "image"
    counts = Counter(file.suffix.lower() for file in islice(all_below(path), _LOOKED_AT))
    by_medium = {
        files.medium: sum(counts[suffix] for suffix in files.suffixes | files.foreign) for files in _FILES.values()
    }
    medium = max(by_medium, key=lambda medium: by_medium[medium])
    tables = _tables_in(path)
    if tables and (not by_medium[medium] or not has_classes(path, _FILES[medium])):
        return _medium_of_table(tables[0], spec)
    return medium


def has_masks(spec: DataSpec) -> bool:
    """Whether the data are images with masks."""
    return _detected(spec) is not None


def _detected(spec: DataSpec) -> Detected | None:
    path = data_path(spec)
    return detect(path, spec.masks) if medium_of(spec) == "image" else None


def problem_of(spec: DataSpec) -> str:
    """The problem that these data suggest, as in a recipe's `task`."""
    masks = _detected(spec)
    return f"{medium_of(spec)}-classification" if masks is None else masks.task


def _tables_in(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in TABLE_SUFFIXES and not file.name.startswith(".")
    ]


def _medium_of_table(path: Path, spec: DataSpec) -> str:
    """By the specified file column, or one with a usual name, if it contains file names of a medium; else text if there is a text
    column; else by any column with such names; else text for JSON lines."""
    columns, rows = first_rows(path)
    cells = {name: [row[k] for row in rows if k < len(row)] for k, name in enumerate(columns)}
    file_column = spec.file_column or usual_column(columns, "file")
    if (medium := _medium_of_names(cells.get(file_column or "", []))) is not None:
        return medium
    if usual_column(columns, "text") is not None:
        return "text"
    found = next((medium for column in cells.values() if (medium := _medium_of_names(column)) is not None), None)
    return found or ("text" if path.suffix.lower() in (".jsonl", ".ndjson") else "image")


def _medium_of_names(cells: list[str]) -> str | None:
    """The medium of most of these file names, None where they are not file names of a medium."""
    suffixes = [PurePosixPath(cell.strip()).suffix.lower() for cell in cells if cell.strip() and "\n" not in cell]
    for files in _FILES.values():
        if 2 * sum(suffix in files.suffixes | files.foreign for suffix in suffixes) > len(suffixes):
            return files.medium
    return None


def read_samples(spec: DataSpec, threads: int = 4, *, usable: bool = True) -> Table:
    """The samples with their given splits. Files that cannot be opened are skipped and listed; whether the others can be decoded is
    checked by `whet check`, or when each is first rendered."""
    path, medium = data_path(spec), medium_of(spec)
    if has_masks(spec):
        table = hash_contents(read_mask_table(spec, threads, usable=usable), threads)
    elif medium == "text":
        table = read_texts(path, spec, threads=threads)
    else:
        table = hash_contents(_read_files(path, spec, medium), threads)
    if spec.several_labels and table.set_SK is None:
        raise DataError(
            f"data {path}: class folders define one class per sample; data.label_columns and data.label_separator are for tables"
        )
    if table.set_SK is None:
        table = table.warned(*class_warnings(table.classes, table.counts_K.tolist()))
    return apply_split_files(table, spec.split_files) if spec.split_files else table


def _read_files(path: Path, spec: DataSpec, medium: str) -> Table:
    """Images or audio clips. A folder with one table and without class folders is read through that table."""
    files = _FILES[medium]
    tables = _tables_in(path) if path.is_dir() else [path]
    by_table = not path.is_dir() or _is_read_by_table(path, files)
    if not path.is_dir() and path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(f"data {path}: neither a folder nor a table; accepted: a folder, {', '.join(TABLE_SUFFIXES)}")
    read = read_audio if medium == "audio" else _read_images
    if not by_table:
        table = read(path, spec)
        beside = (
            [english("{names} beside the class folders: not read", names=", ".join(file.name for file in tables))]
            if tables
            else []
        )
        return replace(table, notes=(*table.notes, *beside))
    table = read(tables[0], spec)
    return (
        table
        if path == tables[0]
        else replace(
            table,
            notes=(
                english("{folder} is read through its table {table}", folder=path.name, table=tables[0].name),
                *table.notes,
            ),
        )
    )


def _read_images(path: Path, spec: DataSpec) -> Table:
    return read_folder(path, IMAGE_FILES, spec.class_folder) if path.is_dir() else read_table(path, spec)


def hash_contents(table: Table, threads: int) -> Table:
    """Fill in `digest`, the BLAKE2 hash of each file's bytes; a file that cannot be opened or is empty is skipped. Segments of one
    file have different hashes."""

    parts = [""] * len(table)
    if "start" in table.frame:
        parts = [part_name(start, end) for start, end in zip(table.frame["start"], table.frame["end"])]
    found = file_digests(table.frame["path"].tolist(), threads)
    results = [(part_digest(digest, part) if digest else "", reason) for (digest, reason), part in zip(found, parts)]
    frame = table.frame.assign(digest=[hexes for hexes, _ in results])
    skipped = tuple(Skipped(id_, reason) for id_, (_, reason) in zip(frame["id"], results) if reason)
    if len(skipped) == len(frame):
        raise DataError(
            f"none of the {len(frame)} files can be read; the first: {frame['path'].iloc[0]}: {skipped[0].reason} "
            "(set the folder of a table's files with --files-root)"
        )
    kept = table.with_frame(frame[frame["digest"] != ""])
    return replace(kept, skipped=table.skipped + skipped)
