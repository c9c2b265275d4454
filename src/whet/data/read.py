"""Read whatever the person has: folder or table, with content hashes, split lists and missing splits filled in."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

from whet.core.errors import DataError
from whet.core.recipe import DataSpec
from whet.data.digests import file_digests
from whet.data.folder import PICTURES, SOUNDS, TEXTS, all_below, read_folder
from whet.data.sound_folder import read_sounds
from whet.data.split import apply_split_files, split_rows
from whet.data.store import part_digest
from whet.data.table import TABLE_SUFFIXES, Skipped, Table, part_name, read_table
from whet.data.text_table import TEXT_NAMES, TEXT_TABLE_SUFFIXES, first_cells, read_texts

_FILES = (PICTURES, TEXTS, SOUNDS)
_LOOKED_AT = 500  # files of a folder, to tell what it holds


def read_data(spec: DataSpec, threads: int = 4) -> Table:
    """The table of samples of a recipe's data section: read, hashed, and split into train, val and test."""
    table = read_samples(spec, threads)
    if not table.classes:
        raise DataError(f"data {spec.path}: no sample has a label")
    if len(table.classes) < 2:
        raise DataError(
            f"data {spec.path}: only one class found ('{table.classes[0]}'); classification needs at least two"
        )
    return split_rows(table, spec)


def data_path(spec: DataSpec) -> Path:
    """Where the data lie; an error if nothing does."""
    if spec.path is None:
        raise DataError("no data given: name a folder or a .csv, .tsv or .parquet table")
    path = Path(spec.path).expanduser()
    if not path.exists():
        raise DataError(f"data {path} does not exist")
    return path


def medium_of(spec: DataSpec) -> str:
    """What lies there, by the names of its files and columns: picture, text or sound."""
    path = data_path(spec)
    if spec.text_column is not None:
        return "text"
    if path.is_dir():
        tables = [file for file in sorted(path.iterdir()) if file.suffix.lower() in TEXT_TABLE_SUFFIXES]
        if tables and not any(file.is_dir() and not file.name.startswith((".", "__")) for file in path.iterdir()):
            return _medium_of_table(tables[0], spec)
        counts = Counter(file.suffix.lower() for file in islice(all_below(path), _LOOKED_AT))
        by_medium = {files.medium: sum(counts[suffix] for suffix in files.suffixes) for files in _FILES}
        return max(by_medium, key=lambda medium: by_medium[medium])
    return _medium_of_table(path, spec) if path.suffix.lower() in TEXT_TABLE_SUFFIXES else "picture"


def _medium_of_table(path: Path, spec: DataSpec) -> str:
    """By what its first row names, else by its columns."""
    columns, first = first_cells(path)
    cells = dict(zip(columns, first))
    named = [cells[spec.file_column]] if spec.file_column in cells else first
    for files in _FILES:
        if any(Path(cell).suffix.lower() in files.suffixes for cell in named if "\n" not in cell):
            return files.medium
    has_texts = any(name.strip().lower() in TEXT_NAMES for name in columns)
    return "text" if has_texts or path.suffix.lower() in (".jsonl", ".ndjson") else "picture"


def read_samples(spec: DataSpec, threads: int = 4) -> Table:
    """The samples with the splits they came with. Files that cannot be opened are skipped and named; whether the rest can be
    decoded shows `whet check`, or the first time each is painted."""
    path, medium = data_path(spec), medium_of(spec)
    labels = (spec.label_column, spec.label_columns, spec.label_separator)
    if medium == "text":
        table = read_texts(path, spec.text_column, *labels, threads=threads)
    elif not path.is_dir() and path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(f"data {path}: neither a folder nor a table; accepted: a folder, {', '.join(TABLE_SUFFIXES)}")
    elif medium == "sound":
        table = hash_contents(read_sounds(path, spec.file_column, *labels), threads)
    else:
        table = read_folder(path) if path.is_dir() else read_table(path, spec.file_column, *labels)
        table = hash_contents(table, threads)
    if spec.several_labels and not table.multi_label:
        raise DataError(
            f"data {path}: class folders say one class a sample; data.label_columns and data.label_separator are for tables"
        )
    return apply_split_files(table, spec.split_files) if spec.split_files else table


def hash_contents(table: Table, threads: int) -> Table:
    """Fill in `digest`, the BLAKE2 hash of each file's bytes; a file that cannot be opened or is empty is skipped. Parts of one
    file have hashes of their own."""

    parts = [""] * len(table)
    if "start" in table.frame:
        parts = [part_name(start, end) for start, end in zip(table.frame["start"], table.frame["end"])]
    found = file_digests(table.frame["path"].tolist(), threads)
    results = [(part_digest(digest, part) if digest else "", reason) for (digest, reason), part in zip(found, parts)]
    frame = table.frame.assign(digest=[hexes for hexes, _ in results])
    skipped = tuple(Skipped(id_, reason) for id_, (_, reason) in zip(frame["id"], results) if reason)
    if len(skipped) == len(frame):
        raise DataError(
            f"none of the {len(frame)} files can be read; the first: {frame['path'].iloc[0]}: {skipped[0].reason}"
        )
    kept = table.with_frame(frame[frame["digest"] != ""])
    return replace(kept, skipped=table.skipped + skipped)
