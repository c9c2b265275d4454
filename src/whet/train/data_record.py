"""What a run remembers of its data, so that it can tell on resume whether they are still the same."""

from __future__ import annotations

import csv
from typing import Any

from whet.core.errors import RunError
from whet.core.run_folder import RunFolder, plain_cell, write_csv, write_json
from whet.data.audit import check_balance, check_duplicates, check_label_sets
from whet.data.table import SPLITS, Table

_COLUMNS = ["id", "label", "split", "digest"]


def write_data(folder: RunFolder, table: Table) -> None:
    record: dict[str, Any] = {
        "root": str(table.root),
        "classes": list(table.classes),
        "fingerprint": table.fingerprint(),
        "counts": {split: dict(zip(table.classes, table.part(split).counts_K.tolist())) for split in SPLITS},
        **({"samples": {split: len(table.part(split)) for split in SPLITS}} if table.multi_label else {}),
        "skipped": [vars(entry) for entry in table.skipped],
        "notes": list(table.notes),
        "findings": [
            finding.to_dict() for finding in (*check_duplicates(table), *check_balance(table), *check_label_sets(table))
        ],
    }
    write_json(folder.data, record)
    write_csv(folder.splits, _COLUMNS, _rows(table))


def check_unchanged(folder: RunFolder, table: Table, *, accept: bool) -> list[str]:
    """Refuse to go on with other data than the run began with, naming the first ten differences; with `accept` go on and
    return them."""
    if folder.read_json(folder.data)["fingerprint"] == table.fingerprint():
        return []
    with folder.splits.open(encoding="utf-8", newline="") as handle:
        before = {row["id"]: row for row in csv.DictReader(handle)}
    now = {
        str(row[0]): dict(zip(_COLUMNS, row)) for row in [[plain_cell(cell) for cell in row] for row in _rows(table)]
    }
    differences = [f"{name}: no longer there" for name in sorted(before.keys() - now.keys())]
    differences += [f"{name}: new" for name in sorted(now.keys() - before.keys())]
    for name in sorted(before.keys() & now.keys()):
        for column, word in (
            ("digest", "its content changed"),
            ("label", "its class changed"),
            ("split", "its split changed"),
        ):
            if before[name][column] != str(now[name][column]):
                differences.append(
                    f"{name}: {word}"
                    + (f", {before[name][column]} to {now[name][column]}" if column != "digest" else "")
                )
    differences = differences or ["the names of the classes changed"]
    listed = "".join(f"\n  {line}" for line in differences[:10])
    more = f"\n  … and {len(differences) - 10} more" if len(differences) > 10 else ""
    if not accept:
        raise RunError(
            f"the data of {folder.path} changed since it began, {len(differences)} differences:{listed}{more}\n"
            "restore them, or say --accept-changed-data to go on (the report will say so)"
        )
    return differences


def _rows(table: Table) -> list[list[Any]]:
    frame = table.frame
    names = [table.cell_of(label) for label in table.label_N]
    return [list(row) for row in zip(frame["id"], names, frame["split"], frame["digest"])]
