"""Train, validation and test parts: from given lists, from given names, or stratified; duplicates and groups stay together."""

from __future__ import annotations

import glob
import re
from pathlib import Path

import numpy as np
import pandas as pd

from whet.core.errors import DataError, unknown
from whet.core.recipe import DataSpec
from whet.core.rng import Rng
from whet.data.stratify import deal_by_label
from whet.data.table import SPLITS, TABLE_SUFFIXES, Table, split_name


def split_rows(table: Table, spec: DataSpec) -> Table:
    """Fill in what is missing. Nothing given: stratified by class, or by every label where a sample may have several. Only train
    and test (or val) given: the missing part is taken from train. Rows without a split beside rows with one are left out, and a
    note says how many."""
    table = _with_fold(table, spec.fold) if spec.fold is not None else table
    frame = table.frame
    given = [name for name in SPLITS if (frame["split"] == name).any()]
    notes = []
    if given:
        if "train" not in given:
            raise DataError(f"the splits given are {', '.join(given)}, but none is train")
        unused = int((frame["split"] == "").sum())
        if unused:
            frame = frame[frame["split"] != ""]
            notes.append(f"{unused} files are in no split list and were left out")
    fractions = {name: f for name, f in (("test", spec.test_fraction), ("val", spec.val_fraction)) if name not in given}
    pool = (frame["split"] == "train") if given else pd.Series(True, index=frame.index)
    if fractions:
        frame = frame.copy()
        true_NK = table.with_frame(frame[pool]).true_NK if table.multi_label else None
        frame.loc[pool, "split"] = _stratify(frame[pool], fractions, spec.split_seed, true_NK)
        for name, fraction in fractions.items():
            source = "train" if given else "the samples"
            if fraction:
                by = "every label" if table.multi_label else "class"
                how = f"stratified by {by} (split seed {spec.split_seed})"
                notes.append(f"no {name} part was given: {fraction:.0%} of {source} set aside, {how}")
    table = table.with_frame(frame, *notes)
    _require_every_class(table)
    return table


def _with_fold(table: Table, fold: str) -> Table:
    """The rows of one fold as the test part, all others as train."""
    folds = table.frame.get("fold")
    if folds is None:
        raise DataError(f"data.fold = {fold}: the data name no folds; accepted: a table with a column fold")
    if fold not in set(folds):
        raise DataError(unknown("fold", fold, sorted(set(folds)), "data.fold"))
    return table.with_frame(table.frame.assign(split=np.where(folds == fold, "test", "train")))


def _require_every_class(table: Table) -> None:
    for name in ("train", "val"):
        part = table.part(name)
        if not len(part):
            raise DataError(
                f"{len(table)} samples leave none for {name}; give more samples or change data.{name}_fraction"
            )
    missing = [table.classes[k] for k in np.flatnonzero(table.part("train").counts_K == 0)]
    if missing:
        raise DataError(f"no training sample of class {', '.join(missing)}")


def _stratify(
    frame: pd.DataFrame, fractions: dict[str, float], seed: int, true_NK: np.ndarray | None = None
) -> np.ndarray:
    """Splits for the rows. Rows that share content or a group form one unit and go to one side. The order of units is a
    hash of their content, so that a new file does not reshuffle the old ones. true_NK: which classes each row has, where that may
    be several; a new file may then move some of the old ones, as every unit goes where its labels are lacking."""
    unit_N = _units(frame)
    label_N = frame["label"].to_numpy()
    key_N = Rng(seed).keyed("split", frame["digest"].tolist())
    if true_NK is not None:
        side_N = deal_by_label(true_NK, unit_N, key_N, [1 - sum(fractions.values()), *fractions.values()])
        return np.array(["train", *fractions], dtype=object)[side_N]
    units = (
        pd.DataFrame({"unit": unit_N, "label": label_N, "key": key_N})
        .groupby("unit")
        .agg(label=("label", "first"), key=("key", "min"), size=("key", "size"))
    )
    side = {}
    for _, group in units.sort_values("key").groupby("label"):
        total, placed = int(group["size"].sum()), dict.fromkeys(fractions, 0)
        left_for_train = len(group)
        for unit, size in zip(group.index, group["size"]):
            side[unit] = "train"
            for name, fraction in fractions.items():
                # Fill each part up to its share, but always leave a unit of every class to learn from.
                if placed[name] + size <= round(total * fraction) and left_for_train > 1:
                    placed[name] += size
                    left_for_train -= 1
                    side[unit] = name
                    break
    return np.array([side[unit] for unit in unit_N], dtype=object)


def _units(frame: pd.DataFrame) -> np.ndarray:
    """Connected components of 'same content' and 'same group', as numbers."""
    N = len(frame)
    links = [pd.factorize(frame["digest"])[0]]
    group = frame["group"].to_numpy()
    links.append(np.where(group == "", np.arange(N) + N, pd.factorize(group)[0]))
    first: list[np.ndarray] = []
    for codes in links:
        _, start, inverse = np.unique(codes, return_index=True, return_inverse=True)
        first.append(start[inverse])
    return components(N, np.stack([np.tile(np.arange(N), len(first)), np.concatenate(first)], axis=1))


def components(N: int, link_L2: np.ndarray) -> np.ndarray:
    """A number for each of N rows: rows that are linked, directly or by way of others, bear the same."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(link_L2)), (link_L2[:, 0], link_L2[:, 1])), shape=(N, N))
    return connected_components(graph, directed=False)[1]


def deal_folds(label_N: np.ndarray, unit_N: np.ndarray, folds: int) -> np.ndarray:
    """A fold (0 … folds - 1) for each sample: the units of a class take turns, and what belongs to one unit stays together."""
    _, first_U, unit_N = np.unique(unit_N, return_index=True, return_inverse=True)
    label_U = label_N[first_U]
    fold_U = np.empty(len(first_U), dtype=np.int64)
    for k in np.unique(label_U):
        members = np.flatnonzero(label_U == k)
        fold_U[members] = np.arange(len(members)) % folds
    return fold_U[unit_N.reshape(-1)]


def deal_complete_folds(label_N: np.ndarray, unit_N: np.ndarray, folds: int) -> tuple[np.ndarray, np.ndarray]:
    """(the rows (M,) that can be answered out of fold, their folds (M,)): those of the classes that every fold's complement holds.
    A class that is all one unit lies in one fold, and a model fitted on the others never sees it. No row where fewer than two
    classes are left."""
    row_M = np.arange(len(label_N))
    while True:
        label_M = label_N[row_M]
        fold_M = deal_folds(label_M, unit_N[row_M], folds)
        _, class_M = np.unique(label_M, return_inverse=True)
        where = np.unique(np.stack([class_M, fold_M], axis=1), axis=0)[:, 0]
        folds_K = np.bincount(where)
        if len(folds_K) < 2:
            return row_M[:0], fold_M[:0]
        if (folds_K > 1).all():
            return row_M, fold_M
        row_M = row_M[folds_K[class_M] > 1]


def apply_split_files(table: Table, patterns: tuple[str, ...]) -> Table:
    """Splits from lists. Each pattern is FILE, PART=FILE, or a pattern with * or {a,b,c}.

    A list names a part by `PART=` or by its own name's ending (…train.txt, …val.txt, …test.txt) and holds one file a line,
    a class number after it or not. A table (.csv, .tsv) with file and split columns names every part itself.
    """
    find = _Finder(table)
    splits: dict[int, tuple[str, str]] = {}  # row -> (part, where it was said)
    class_of: dict[str, tuple[int, str]] = {}  # the list's own class word -> (our class, where)
    for part, path in _expand(patterns):
        for row, name, word, where in _entries(path, part, find):
            if row is None:  # a file of the list that was skipped because it cannot be read
                continue
            said = splits.setdefault(row, (name, where))
            if said[0] != name:
                raise DataError(
                    f"{where}: {table.frame['id'].iloc[row]} is in {name}, but {said[1]} puts it in {said[0]}"
                )
            if word:
                label = int(table.frame["label"].iloc[row])
                known = class_of.setdefault(word, (label, where))
                if known[0] != label:
                    here, there = table.said_of(label), table.said_of(known[0])
                    raise DataError(f"{where}: class {word} stands for '{here}' here, but for '{there}' at {known[1]}")
    frame = table.frame.copy()
    frame["split"] = [splits[row][0] if row in splits else "" for row in range(len(frame))]
    return table.with_frame(frame)


def _expand(patterns: tuple[str, ...]) -> list[tuple[str | None, Path]]:
    found: list[tuple[str | None, Path]] = []
    for pattern in patterns:
        head, equals, tail = pattern.partition("=")
        part = split_name(head) if equals else None
        if equals and part is None and not Path(pattern).exists():
            raise DataError(
                f"split file '{pattern}': '{head}' is not a part; accepted: train=FILE, val=FILE, test=FILE"
            )
        for word in _braces(tail if part else pattern):
            paths = sorted(glob.glob(str(Path(word).expanduser())))
            if not paths:
                raise DataError(f"split file {word} does not exist")
            found += [(part, Path(path)) for path in paths]
    return found


def _braces(pattern: str) -> list[str]:
    match = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    return [
        word
        for option in match[1].split(",")
        for word in _braces(pattern[: match.start()] + option + pattern[match.end() :])
    ]


def _entries(path: Path, part: str | None, find: _Finder):
    """(row, part, class word or '', 'file:line') for every entry of one list."""
    if path.suffix.lower() in TABLE_SUFFIXES and part is None:
        frame = pd.read_csv(path, sep=TABLE_SUFFIXES[path.suffix.lower()] or ",", dtype=str, encoding="utf-8-sig")
        lowered = {str(column).strip().lower(): column for column in frame.columns}
        if "split" not in lowered or not {"file", "id", "path"} & set(lowered):
            raise DataError(
                f"split file {path}: needs the columns file (or id, path) and split; has {', '.join(map(str, frame.columns))}"
            )
        file_column = next(lowered[name] for name in ("file", "id", "path") if name in lowered)
        for number, (name, word) in enumerate(zip(frame[file_column], frame[lowered["split"]].fillna("")), start=2):
            split = split_name(word)
            if split is None:
                raise DataError(f"{path}:{number}: split '{word}' is unknown; accepted: train, val, test")
            yield find.row(str(name), f"{path}:{number}"), split, "", f"{path}:{number}"
        return
    if part is None:
        ending = re.search(r"(?:^|[^a-z])([a-z]+)$", path.stem.lower())
        part = split_name(ending[1]) if ending else None
    if part is None:
        raise DataError(f"split file {path}: which part is it? write train={path}, val={path} or test={path}")
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        line = line.strip()
        if line and not line.startswith("#"):
            name, word = find.split_class(line)
            yield find.row(name, f"{path}:{number}"), part, word, f"{path}:{number}"


class _Finder:
    """Rows by the names a list may use: the id, or the bare file name where only one sample bears it."""

    def __init__(self, table: Table) -> None:
        ids = table.frame["id"].tolist()
        self._rows = {name: row for row, name in enumerate(ids)}
        bare: dict[str, list[int]] = {}
        for row, name in enumerate(ids):
            bare.setdefault(name.rsplit("/", 1)[-1], []).append(row)
        self._bare = bare
        skipped = {entry.id for entry in table.skipped}
        self._skipped = skipped | {id_.rsplit("/", 1)[-1] for id_ in skipped} - set(bare)

    def split_class(self, line: str) -> tuple[str, str]:
        """'a b.jpg 3' -> ('a b.jpg', '3'); a line that is a file name as a whole has no class word."""
        if line in self._rows or line in self._bare:
            return line, ""
        name, _, word = line.rpartition(" ") if " " in line else line.rpartition("\t")
        return (name.strip(), word) if name else (line, "")

    def row(self, name: str, where: str) -> int | None:
        name = name.removeprefix("./").replace("\\", "/")
        if name in self._skipped:
            return None
        if name in self._rows:
            return self._rows[name]
        rows = self._bare.get(name, [])
        if len(rows) == 1:
            return rows[0]
        if rows:
            raise DataError(f"{where}: {len(rows)} samples are called '{name}'; write the path below the data folder")
        raise DataError(f"{where}: '{name}' is not among the samples")
