"""Writes a table without the samples that are certainly wrong. The files themselves are never changed.

The rules, in this order:
1. Unreadable samples are dropped.
2. Where copies (the same bytes, or nearly the same image, text or audio clip) have different labels, all are dropped, from every
   split: the correct label is unknown.
3. Of other copies, one is kept: one in the test split if there is any, else in val, else in train; among several the one with the
   most pixels, characters or seconds. Leaks are thus removed on the training side, and test loses only duplicates within itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from whet.core.run_folder import write_csv
from whet.data.audit.survey import Survey
from whet.data.table import NOT_UTF8, is_writable, path_from

_AS_READ = {"weight": "sample_weight"}  # the name by which `columns.py` finds it
_STAYS = {"test": 0, "val": 1, "train": 2, "": 3}


@dataclass(frozen=True)
class Dropped:
    """A sample left out of the cleaned table, and the reason."""

    id: str
    label: str
    split: str
    reason: str


@dataclass(frozen=True)
class Cleaned:
    """rows: numbers of the kept rows."""

    rows: tuple[int, ...]
    dropped: tuple[Dropped, ...]


def clean(survey: Survey) -> Cleaned:
    """Apply the rules above."""
    reason: dict[int, str] = {row: f"cannot be read: {why}" for row, why in enumerate(survey.reason_N) if why}
    for row, path in enumerate(survey.table.frame["path"]):
        if row not in reason and not is_writable(str(path)):
            reason[row] = NOT_UTF8
    medium = survey.table.medium
    for row, other in _conflicts(survey).items():
        reason.setdefault(
            row, f"the same {medium} has the label {survey.table.cell_of(survey.label_N[other])}: {survey.id_N[other]}"
        )
    units: dict[int, list[int]] = {}
    for row in range(len(survey.table)):
        if row not in reason:
            units.setdefault(int(survey.unit_N[row]), []).append(row)
    extent_N = survey.extent_N
    for together in units.values():
        first, *others = sorted(
            together, key=lambda row: (_STAYS[str(survey.split_N[row])], -extent_N[row], survey.id_N[row])
        )
        for row in others:
            alike = "a copy of" if survey.content_N[row] == survey.content_N[first] else f"nearly the same {medium} as"
            where = f" in {survey.split_N[first]}" if survey.split_N[first] != survey.split_N[row] else ""
            reason[row] = f"{alike} {survey.id_N[first]}{where}"
    gone = [Dropped(entry.id, "", "", f"cannot be read: {entry.reason}") for entry in survey.table.skipped]
    gone += [
        Dropped(survey.id_N[row], survey.table.cell_of(survey.label_N[row]), str(survey.split_N[row]), reason[row])
        for row in reason
    ]
    kept = tuple(row for row in range(len(survey.table)) if row not in reason)
    return Cleaned(kept, tuple(sorted(gone, key=lambda entry: entry.id)))


def _conflicts(survey: Survey) -> dict[int, int]:
    """Rows with a copy under another label -> one such copy."""
    found: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    for row, content in enumerate(survey.content_N.tolist()):
        members.setdefault(content, []).append(row)
    linked = [rows for rows in members.values() if len(rows) > 1]
    linked += [members[survey.content_N[one]] + members[survey.content_N[other]] for one, other in survey.near.row_P2]
    for rows in linked:
        if len({survey.label_N[row] for row in rows}) > 1:
            for row in rows:
                found.setdefault(row, next(other for other in rows if survey.label_N[other] != survey.label_N[row]))
    return found


def write_cleaned(survey: Survey, cleaned: Cleaned, folder: Path) -> tuple[Path, Path]:
    """Write cleaned.csv (file or text, label, split, and the medium's own columns where they are used), which whet can read, and
    dropped.csv (file, label, split, reason); return their paths. For images with masks, cleaned.csv is a split list (id, label,
    split), to be used with the data. File names are relative to `folder`. Both are data files: the
    cells are exact, without the prefix that protects against spreadsheet formulas."""
    table, frame = survey.table, survey.table.frame
    named = "id" if table.label_kind == "masks" else "text" if table.medium == "text" else "file"
    extra = [name for name, unused in survey.columns.items() if name in frame and _is_used(frame[name], unused)]
    rows = []
    for row in cleaned.rows:
        sample = frame.iloc[row]
        written = sample[named] if named in ("text", "id") else path_from(folder, sample["path"])
        cells = ["" if pd.isna(sample[name]) else sample[name] for name in extra]
        rows.append([written, table.cell_of(survey.label_N[row]), survey.split_N[row], *cells])
    header = [named, "label", "split", *(_AS_READ.get(name, name) for name in extra)]
    write_csv(folder / "cleaned.csv", header, rows, exact=True)
    gone = [[entry.id, entry.label, entry.split, entry.reason] for entry in cleaned.dropped]
    write_csv(folder / "dropped.csv", ["file", "label", "split", "reason"], gone, exact=True)
    return folder / "cleaned.csv", folder / "dropped.csv"


def _is_used(cells: pd.Series, unused: object) -> bool:
    return bool((cells.notna() if unused is None else cells != unused).any())
