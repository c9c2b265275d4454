"""Read whatever the person has: folder or table, with content hashes, split lists and missing splits filled in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from whet.core.errors import DataError
from whet.core.recipe import DataSpec
from whet.data.folder import read_folder
from whet.data.split import apply_split_files, split_rows
from whet.data.store import digest_of
from whet.data.table import TABLE_SUFFIXES, Skipped, Table, part_name, read_table


def read_data(spec: DataSpec, threads: int = 4) -> Table:
    """The table of samples of a recipe's data section: read, hashed, and split into train, val and test."""
    table = read_samples(spec, threads)
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


def read_samples(spec: DataSpec, threads: int = 4) -> Table:
    """The samples with the splits they came with. Files that cannot be opened are skipped and named; whether the rest can be
    decoded shows `whet check`, or the first time each is painted."""
    path = data_path(spec)
    if path.is_dir():
        table = read_folder(path)
    elif path.suffix.lower() in TABLE_SUFFIXES:
        table = read_table(path, spec.file_column, spec.label_column)
    else:
        raise DataError(f"data {path}: neither a folder nor a table; accepted: a folder, {', '.join(TABLE_SUFFIXES)}")
    table = hash_contents(table, threads)
    return apply_split_files(table, spec.split_files) if spec.split_files else table


def hash_contents(table: Table, threads: int) -> Table:
    """Fill in `digest`, the BLAKE2 hash of each file's bytes; a file that cannot be opened or is empty is skipped. Parts of one
    file have hashes of their own."""

    def digest(path: str, part: str) -> tuple[str, str]:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            return "", error.strerror or type(error).__name__
        return (digest_of(data + part.encode()), "") if data else ("", "empty file")

    parts = [""] * len(table)
    if "start" in table.frame:
        parts = [part_name(start, end) for start, end in zip(table.frame["start"], table.frame["end"])]
    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(digest, table.frame["path"], parts, chunksize=64))
    frame = table.frame.assign(digest=[hexes for hexes, _ in results])
    skipped = tuple(Skipped(id_, reason) for id_, (_, reason) in zip(frame["id"], results) if reason)
    if len(skipped) == len(frame):
        raise DataError(
            f"none of the {len(frame)} files can be read; the first: {frame['path'].iloc[0]}: {skipped[0].reason}"
        )
    kept = table.with_frame(frame[frame["digest"] != ""])
    return Table(kept.frame, kept.classes, kept.root, table.skipped + skipped, kept.notes)
