"""The record of a run's data: the samples it was trained and evaluated on, identified by content."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core import strict_json
from whet.core.errors import RunError
from whet.core.language import Sentence, english
from whet.core.run_folder import RunFolder, write_csv
from whet.core.spec import ROWS, DataSpec
from whet.data.audit import check_balance, check_duplicates, check_label_sets
from whet.data.audit.finding import Finding
from whet.data.table import SPLITS, UNLABELLED, Table, split_name
from whet.models.run_weights import is_run

_COLUMNS = ["id", "label", "split", "digest"]


def write_data(folder: RunFolder, table: Table) -> None:
    record: dict[str, Any] = {
        "root": str(table.root),
        "classes": list(table.classes),
        "fingerprint": table.fingerprint(),
        "counts": {split: dict(zip(table.classes, table.part(split).counts_K.tolist())) for split in SPLITS},
        **({} if table.unlabelled is None else {UNLABELLED: len(table.unlabelled)}),
        **({} if table.copies is None else {"unlabelled_copies": asdict(table.copies)}),
        **({"samples": {split: len(table.part(split)) for split in SPLITS}} if table.set_SK is not None else {}),
        "skipped": [vars(entry) for entry in table.skipped],
        "notes": list(table.notes),
        "findings": [finding.to_dict() for finding in (*check_duplicates(table), *_of_labels(table))],
    }
    strict_json.write(folder.data, record)
    write_csv(folder.splits, _COLUMNS, _rows(table), exact=True)


def _of_labels(table: Table) -> Sequence[Finding]:
    return (*check_balance(table), *check_label_sets(table)) if table.task.needs_labels else ()


def absolute(spec: DataSpec) -> DataSpec:
    """The same data with absolute paths, so that they are found from any working directory."""

    def placed(name: str) -> str:
        return os.path.abspath(os.path.expanduser(name))

    def listed(pattern: str) -> str:
        part, equals, tail = pattern.partition("=")
        return f"{part}={placed(tail)}" if equals and split_name(part) else placed(pattern)

    if spec.path is None:
        return spec
    return spec.replace(
        path=placed(spec.path),
        unlabelled=spec.unlabelled if spec.unlabelled in (None, ROWS) else placed(str(spec.unlabelled)),
        files_root=None if spec.files_root is None else placed(spec.files_root),
        split_files=tuple(listed(pattern) for pattern in spec.split_files),
    )


def moved(spec: DataSpec, place: str | Path) -> DataSpec:
    """The same data in another location, including files and split lists inside the data folder."""
    there = absolute(DataSpec(path=str(place)))
    roots = [
        str(each.path) if Path(str(there.path)).is_dir() else os.path.dirname(str(each.path)) for each in (spec, there)
    ]
    before, now = (f"{root}{os.sep}" for root in roots)
    return spec.replace(
        path=there.path,
        files_root=None
        if spec.files_root is None
        else f"{spec.files_root}{os.sep}".replace(before, now, 1).rstrip(os.sep),
        unlabelled=None if spec.unlabelled is None else spec.unlabelled.replace(before, now, 1),
        split_files=tuple(name.replace(before, now, 1) for name in spec.split_files),
    )


def check_unchanged(folder: RunFolder, table: Table, classes: tuple[str, ...], *, accept: bool) -> list[Sentence]:
    """Raise an error with the first ten differences if the data differ from those of the run; with `accept`, return the
    differences. classes: the classes of the network, which must not change."""
    if table.classes != classes:
        gone = ", ".join(sorted(set(classes) - set(table.classes))) or "none"
        added = ", ".join(sorted(set(table.classes) - set(classes))) or "none"
        raise RunError(
            f"the classes of {folder.path} changed since the run started (removed: {gone}; new: {added}), but its weights are for "
            "the old classes: restore the old class names, or start a new run"
        )
    if folder.read_json(folder.data)["fingerprint"] == table.fingerprint():
        return []
    with folder.splits.open(encoding="utf-8", newline="") as handle:
        before = {row["id"]: row for row in csv.DictReader(handle)}
    now = {str(row[0]): dict(zip(_COLUMNS, row)) for row in _rows(table)}
    differences = [english("{id}: missing", id=name) for name in sorted(before.keys() - now.keys())]
    differences += [english("{id}: new", id=name) for name in sorted(now.keys() - before.keys())]
    for name in sorted(before.keys() & now.keys()):
        was, new = before[name], {column: str(value) for column, value in now[name].items()}
        if was["digest"] != new["digest"]:
            differences.append(english("{id}: its content changed", id=name))
        if was["label"] != new["label"]:
            differences.append(
                english("{id}: its class changed, {was} to {now}", id=name, was=was["label"], now=new["label"])
            )
        if was["split"] != new["split"]:
            differences.append(
                english("{id}: its split changed, {was} to {now}", id=name, was=was["split"], now=new["split"])
            )
    listed = "".join(f"\n  {line}" for line in differences[:10])
    more = f"\n  … and {len(differences) - 10} more" if len(differences) > 10 else ""
    if not accept:
        raise RunError(
            f"the data of {folder.path} changed since the run started, {len(differences)} differences:{listed}{more}\n"
            "restore the data, or use --accept-changed-data to resume (this is noted in the report)"
        )
    return differences


def data_fingerprint(folder: RunFolder) -> str:
    """SHA-256 of the samples of a run: id, content, class and split of each (see `Table.fingerprint`)."""
    return str(folder.read_json(folder.data)["fingerprint"])


def recorded_samples(folder: RunFolder) -> pd.DataFrame:
    """id, label (as a table cell), split and digest of every labelled sample of the run."""
    if not folder.splits.is_file():
        raise RunError(f"{folder.splits} is missing: the run has no record of its samples")
    found = pd.read_csv(folder.splits, dtype=str, keep_default_na=False)
    return found[found["split"] != UNLABELLED].reset_index(drop=True)


def as_recorded(folder: RunFolder, table: Table) -> Table:
    """The samples of a run in the current data, matched by content, with their recorded ids and splits. If several samples have the
    same content, the one with the recorded id is used. Missing samples are excluded."""
    record = recorded_samples(folder)
    place_of = {(id_, digest): row for row, (id_, digest) in enumerate(zip(table.frame["id"], table.frame["digest"]))}
    others: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(table.frame["digest"]):
        others[digest].append(row)
    rows = [
        place_of.get((id_, digest), others[digest][0] if digest in others else -1)
        for id_, digest in zip(record["id"], record["digest"])
    ]
    there = np.array(rows, dtype=np.int64) >= 0
    found = table.frame.iloc[[row for row in rows if row >= 0]].reset_index(drop=True)
    return table.with_frame(found.assign(id=record["id"][there].to_list(), split=record["split"][there].to_list()))


def known_samples(folder: RunFolder, table: Table) -> dict[str, int]:
    """The number of samples with the same content as a training sample (train) or a sample used for choices (val). Metrics on
    them are no estimate for new data."""
    record, digests = recorded_samples(folder), table.frame["digest"]
    train = digests.isin(record["digest"][record["split"] == "train"])
    val = digests.isin(record["digest"][record["split"] == "val"]) & ~train
    return {"train": int(train.sum()), "val": int(val.sum())}


def seen_note(weights: str, table: Table) -> Sentence | None:
    """A note if validation or test samples were training samples of the run that a training starts from; else None."""
    if not is_run(weights):
        return None
    held_out, run = (
        table.with_frame(table.frame[table.frame["split"] != "train"]),
        RunFolder(Path(weights).expanduser()),
    )
    if not (seen := known_samples(run, held_out)["train"]):
        return None
    return english(
        "{n:,} of {held_out:,} validation and test samples were training samples of the run {run}: results on them are no estimate "
        "for new data",
        n=seen, held_out=len(held_out), run=run.name,
    )  # fmt: skip


def _rows(table: Table) -> list[list[Any]]:
    frame = table.frame
    names = [table.cell_of(label) for label in table.label_N]
    more = table.part(UNLABELLED).frame
    return [list(row) for row in zip(frame["id"], names, frame["split"], frame["digest"])] + [
        [id_, "", UNLABELLED, digest] for id_, digest in zip(more["id"], more["digest"])
    ]
