"""Train, validation and test splits: as given, or stratified; duplicates and groups stay together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from whet.core.errors import DataError, unknown
from whet.core.language import Sentence, english, named
from whet.core.rng import Rng
from whet.core.spec import DataSpec
from whet.data.masks.weak import weak_rows
from whet.data.stratify import deal_by_class, deal_by_label
from whet.data.table import SPLITS, Table

_MIXED = 0.1  # share of the samples
_SHOWN = 5  # classes listed in a warning


def split_rows(table: Table, spec: DataSpec) -> Table:
    """Create missing splits. Without any split: stratified by class, or by every label for multi-label data. With only train and
    test (or val): the missing split is taken from train. If some rows have a split, rows without one are left out, and a note
    reports how many. If only some images have real masks, the others are for training only: see `_weak_in_train`."""
    table = _with_fold(table, spec.fold) if spec.fold is not None else table
    frame = table.frame
    given = [name for name in SPLITS if (frame["split"] == name).any()]
    notes: list[Sentence] = []
    if given:
        if "train" not in given:
            raise DataError(f"the splits given are {', '.join(given)}, but none is train")
        unused = int((frame["split"] == "").sum())
        if unused:
            frame = frame[frame["split"] != ""]
            notes.append(english("{n} samples are in no split list and were left out", n=unused))
    fractions = {
        name: f for name, f in (("val", spec.val_fraction), ("test", spec.test_fraction)) if f and name not in given
    }
    weak = weak_rows(frame)
    weak &= not weak.all()
    pool = ((frame["split"] == "train") if given else pd.Series(True, index=frame.index)) & ~weak
    if not given:
        frame = frame.assign(split=np.where(weak, "train", frame["split"]))
    if fractions:
        frame = frame.copy()
        split_M = _stratify(table.with_frame(frame[pool]), fractions, spec.split_seed)
        frame.loc[pool, "split"] = split_M
        how = (
            english("stratified by class (split seed {seed})", seed=spec.split_seed)
            if table.set_SK is None
            else english("stratified by every label (split seed {seed})", seed=spec.split_seed)
        )
        for name, fraction in fractions.items():
            values = {"split": name, "made": _made(split_M, name, fraction), "how": how}
            notes.append(
                english("no {split!t} split was given: {made!t} held out from train, {how!t}", **values)
                if given
                else english("no {split!t} split was given: {made!t} held out, {how!t}", **values)
            )
    frame, left_out = _weak_in_train(frame, weak)
    table = table.with_frame(frame, *notes, *left_out)
    _require_train_and_val(table)
    return table.warned(*_lacking(table))


def _weak_in_train(frame: pd.DataFrame, weak_N: np.ndarray) -> tuple[pd.DataFrame, list[Sentence]]:
    """Images that have boxes, points, scribbles or labels in place of masks stay in the train part, unless they are a copy of an
    image of another part, or in its group."""
    if not weak_N.any():
        return frame, []
    other_N = (frame["split"] != "train").to_numpy()
    unit_N = _units(frame)
    out_N = weak_N & (other_N | np.isin(unit_N, unit_N[other_N & ~weak_N]))
    masks, weak = int((~weak_N).sum()), int((weak_N & ~out_N).sum())
    notes = [
        english(
            "{weak:,} images have boxes, points, scribbles or classes in place of masks and are for training only; validation and "
            "test are on the {held:,} of {masks:,} images with masks that are not in train",
            weak=weak, masks=masks, held=int((other_N & ~weak_N).sum()),
        )
    ]  # fmt: skip
    if out_N.any():
        notes.append(
            english(
                "{n:,} images without masks are in validation or test, or are copies of images there, and were left out",
                n=int(out_N.sum()),
            )
        )
    return frame[~out_N], notes


def _made(split_M: np.ndarray, name: str, fraction: float) -> Sentence:
    """The actual size of a split: units are not divided, and every class keeps a training sample."""
    count, total = int((split_M == name).sum()), len(split_M)
    values = {"count": count, "total": total, "share": count / total}
    if round(100 * count / total) == round(100 * fraction):
        return english("{count:,} of {total:,} samples ({share:.0%})", **values)
    return english(
        "{count:,} of {total:,} samples ({share:.0%}, {requested:.0%} requested)", **values, requested=fraction
    )


def _lacking(table: Table) -> list[Sentence]:
    """Warnings about classes without samples in a split."""
    found = []
    for name, word in (("val", english("validation")), ("test", english("test"))):
        counts_K = table.part(name).counts_K
        lacking = [table.classes[k] for k in np.flatnonzero(counts_K == 0)]
        if lacking and counts_K.any():
            listed = named(lacking, _SHOWN)
            found.append(
                english(
                    "{n} of {classes} classes have no {part!t} sample: {names!n}; they are not evaluated",
                    n=len(lacking),
                    classes=len(table.classes),
                    part=word,
                    names=listed,
                )
            )
    return found


def _with_fold(table: Table, fold: str) -> Table:
    """Use the rows of one fold as the test split, all others as train."""
    folds = table.frame.get("fold")
    if folds is None:
        raise DataError(f"data.fold = {fold}: the data have no folds; accepted: a table with a column fold")
    if fold not in set(folds):
        raise DataError(unknown("fold", fold, sorted(set(folds)), "data.fold"))
    return table.with_frame(table.frame.assign(split=np.where(folds == fold, "test", "train")))


def _require_train_and_val(table: Table) -> None:
    for name in ("train", "val"):
        if not len(table.part(name)):
            raise DataError(
                f"{len(table)} samples leave none for {name}: copies and groups stay together, and each class keeps one of them "
                f"for training; provide more samples or groups, or change data.{name}_fraction"
            )
    missing = [table.classes[k] for k in np.flatnonzero(table.part("train").counts_K == 0)]
    if missing:
        raise DataError(f"no training sample of class {', '.join(missing)}")


def _stratify(table: Table, fractions: dict[str, float], seed: int) -> np.ndarray:
    """Splits for the rows. Rows that share content or a group form one unit and get the same split. Units of one class are assigned
    by class, in the order of a hash of their content, so that a new file does not reshuffle the old ones. For multi-label data, or
    if a tenth of the samples are in units of several classes (a speaker with recordings of all words), every unit goes to the split
    that most lacks its labels, and a new file may then move some of the old ones."""
    frame, true_NK = table.frame, table.true_NK
    unit_N = np.unique(_units(frame), return_inverse=True)[1].reshape(-1)
    key_N = Rng(seed).keyed("split", frame["digest"].tolist())
    shares = [1 - sum(fractions.values()), *fractions.values()]
    count_UK = np.zeros((unit_N.max() + 1, len(table.classes)), dtype=np.int32)
    row_L, class_L = np.nonzero(true_NK)  # sparse: with thousands of classes nearly all entries are zero
    np.add.at(count_UK, (unit_N[row_L], class_L), 1)
    size_U = np.bincount(unit_N)
    mixed_U = count_UK.max(axis=1) < size_U
    if table.set_SK is not None or size_U[mixed_U].sum() > _MIXED * len(frame):
        part_U = np.empty(len(size_U), dtype=np.int64)
        part_U[unit_N] = deal_by_label(true_NK, unit_N, key_N, shares)
    else:
        key_U = np.full(len(size_U), key_N.max())
        np.minimum.at(key_U, unit_N, key_N)
        order_U = np.argsort(key_U, kind="stable")
        part_U = np.empty(len(size_U), dtype=np.int64)
        part_U[order_U] = deal_by_class(count_UK.argmax(axis=1)[order_U], size_U[order_U], shares)
    _fill_empty(part_U, count_UK, size_U, len(shares))
    return np.array(["train", *fractions], dtype=object)[part_U[unit_N]]


def _fill_empty(part_U: np.ndarray, count_UK: np.ndarray, size_U: np.ndarray, parts: int) -> None:
    """Give an empty split, which occurs with few large units, the smallest unit that training can spare."""
    for part in range(1, parts):
        if (part_U == part).any():
            continue
        units_K = (count_UK[part_U == 0] > 0).sum(axis=0)
        spare = [
            u for u in np.flatnonzero(part_U == 0) if (units_K[count_UK[u] > 0] > 1).all() and (part_U == 0).sum() > 1
        ]
        if spare:
            part_U[min(spare, key=lambda u: size_U[u])] = part


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
    """A component number for each of N rows: rows that are linked, directly or indirectly, share it."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(link_L2)), (link_L2[:, 0], link_L2[:, 1])), shape=(N, N))
    return connected_components(graph, directed=False)[1]


def deal_folds(label_N: np.ndarray, unit_N: np.ndarray, folds: int) -> np.ndarray:
    """A fold (0 … folds - 1) for each sample: the units of a class are assigned in turn, and the samples of a unit stay
    together."""
    _, first_U, unit_N = np.unique(unit_N, return_index=True, return_inverse=True)
    label_U = label_N[first_U]
    fold_U = np.empty(len(first_U), dtype=np.int64)
    for k in np.unique(label_U):
        members = np.flatnonzero(label_U == k)
        fold_U[members] = np.arange(len(members)) % folds
    return fold_U[unit_N.reshape(-1)]


def deal_complete_folds(label_N: np.ndarray, unit_N: np.ndarray, folds: int) -> tuple[np.ndarray, np.ndarray]:
    """(the rows (M,) that can be predicted out of fold, their folds (M,)): rows of classes present in the complement of every
    fold. A class that is a single unit is in one fold only, so a model fitted on the others never sees it. No rows where fewer
    than two classes remain."""
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


def deal_units(table: Table, folds: int) -> np.ndarray:
    """A fold (0 … folds - 1) for each sample of a split: stratified, by every label for multi-label data; duplicates and groups
    stay together."""
    unit_N = _units(table.frame)
    if table.set_SK is None:
        return deal_folds(table.label_N, unit_N, folds)
    key_N = Rng(0).keyed("folds", table.frame["id"].tolist())
    return deal_by_label(table.true_NK, unit_N, key_N, [1 / folds] * folds)
