"""Read whatever the person has: folder or table, with content hashes, split lists and missing splits filled in."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

from whet.core.errors import DataError
from whet.core.recipe import DataSpec
from whet.data.folder import IMAGE_SUFFIXES, files_below, read_folder
from whet.data.split import apply_split_files, split_rows
from whet.data.store import digest_of
from whet.data.table import TABLE_SUFFIXES, Skipped, Table, read_table
from whet.data.text_table import TEXT_NAMES, TEXT_TABLE_SUFFIXES, first_cells, read_texts

_LOOKED_AT = 500  # files of a folder, to tell what it holds


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


def medium_of(spec: DataSpec) -> str:
    """What lies there, by the names of its files and columns: picture or text."""
    path = data_path(spec)
    if spec.text_column is not None:
        return "text"
    if spec.file_column is not None:
        return "picture"
    if path.is_dir():
        return "text" if _holds_texts(path) else "picture"
    if path.suffix.lower() in TEXT_TABLE_SUFFIXES:
        return "text" if _names_texts(path) else "picture"
    return "picture"


def _holds_texts(folder: Path) -> bool:
    """Whether a folder's tables hold texts, or most of its first files are .txt."""
    tables = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in TEXT_TABLE_SUFFIXES]
    if tables:
        return _names_texts(tables[0])
    counts = Counter(path.suffix.lower() for path in islice(files_below(folder), _LOOKED_AT))
    return counts[".txt"] > sum(counts[suffix] for suffix in IMAGE_SUFFIXES)


def _names_texts(path: Path) -> bool:
    """Whether a table has a column of texts, and none whose first cells name pictures."""
    columns, first = first_cells(path)
    if any(Path(cell).suffix.lower() in IMAGE_SUFFIXES for cell in first if "\n" not in cell):
        return False
    return path.suffix.lower() in (".jsonl", ".ndjson") or any(name.strip().lower() in TEXT_NAMES for name in columns)


def read_samples(spec: DataSpec, threads: int = 4) -> Table:
    """The samples with the splits they came with. Files that cannot be opened are skipped and named; whether the rest can be
    decoded shows `whet check`, or the first time each is painted."""
    path = data_path(spec)
    if medium_of(spec) == "text":
        table = read_texts(path, spec.text_column, spec.label_column, threads)
        return apply_split_files(table, spec.split_files) if spec.split_files else table
    if path.is_dir():
        table = read_folder(path)
    elif path.suffix.lower() in TABLE_SUFFIXES:
        table = read_table(path, spec.file_column, spec.label_column)
    else:
        raise DataError(f"data {path}: neither a folder nor a table; accepted: a folder, {', '.join(TABLE_SUFFIXES)}")
    table = hash_contents(table, threads)
    return apply_split_files(table, spec.split_files) if spec.split_files else table


def hash_contents(table: Table, threads: int) -> Table:
    """Fill in `digest`, the BLAKE2 hash of each file's bytes; a file that cannot be opened or is empty is skipped."""

    def digest(path: str) -> tuple[str, str]:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            return "", error.strerror or type(error).__name__
        return (digest_of(data), "") if data else ("", "empty file")

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(digest, table.frame["path"], chunksize=64))
    frame = table.frame.assign(digest=[hexes for hexes, _ in results])
    skipped = tuple(Skipped(id_, reason) for id_, (_, reason) in zip(frame["id"], results) if reason)
    if len(skipped) == len(frame):
        raise DataError(
            f"none of the {len(frame)} files can be read; the first: {frame['path'].iloc[0]}: {skipped[0].reason}"
        )
    kept = table.with_frame(frame[frame["digest"] != ""])
    return replace(kept, skipped=table.skipped + skipped)
