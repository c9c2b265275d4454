"""Reads the samples without a label, the part "unlabelled" of a table.

The rules:
- `data.unlabelled` is a folder or a table, read like the inputs of a prediction (`inputs.py`): class folders and labels in it do
  not matter. Everything in it that is not a sample is left out, and a note counts it.
- `rows` takes the samples of the data itself that have no label: rows of a table with an empty label, files outside every class
  folder, and folders named unlabeled. A sample whose content occurs with a label is not one of them.
- Copies of validation and test samples, exact or nearly the same (`audit/unlabelled.py`), are left out and named, because training
  would see them. Copies of training samples are kept and counted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.language import Sentence, english, named
from whet.core.media import plural
from whet.core.spec import ROWS, DataSpec
from whet.data.audit.unlabelled import Copies, find_copies
from whet.data.digests import file_digests
from whet.data.folder import NO_CLASS, WITHOUT_LABEL
from whet.data.inputs import read_inputs
from whet.data.store import digest_of, part_digest
from whet.data.table import MAX_LEFT_OUT, NO_LABEL, UNLABELLED, Table, part_name

_SHOWN = 20
_NO_LABEL_REASONS = frozenset({NO_LABEL, NO_CLASS})


def with_unlabelled(table: Table, labelled: Table, sources: Sequence[Path], spec: DataSpec, threads: int) -> Table:
    """The table with its unlabelled samples. labelled: all labelled samples, before they were split. sources: the folders or
    tables to read."""
    for source in sources:
        if not source.exists():
            raise DataError(
                f"data.unlabelled = {spec.unlabelled}: {source} does not exist; accepted: a folder, a table or {ROWS}"
            )
    own = spec.unlabelled == ROWS
    frame, left_out = read_unlabelled(sources, spec, table.medium, threads)
    frame = frame.assign(id=[f"{UNLABELLED}/{name}" for name in frame["id"]])
    left_out = [f"{UNLABELLED}/{entry}" for entry in left_out]
    if own:
        frame = frame[~frame["digest"].isin(set(labelled.frame["digest"]))]
        table = replace(
            table,
            skipped=tuple(one for one in table.skipped if one.reason not in _NO_LABEL_REASONS),
            notes=tuple(note for note in table.notes if not note.endswith(WITHOUT_LABEL)),
        )
    copies = find_copies(table, frame, threads) if len(frame) else Copies()
    frame = frame[~frame["id"].isin([one.id for one in copies.held_out])].reset_index(drop=True)
    if frame.empty:
        why = (
            "every sample has a label"
            if own
            else "; ".join(left_out[:1]) or "all are copies of validation or test samples"
        )
        raise DataError(f"data.unlabelled = {spec.unlabelled}: no unlabelled {plural(table.medium)} found: {why}")
    where = sources[0].name  # notes are shown in reports, which contain no path
    values = {"n": len(frame), "samples": plural(table.medium)}
    notes = [
        english("{n:,} unlabelled {samples!t} from the data", **values)
        if own
        else english("{n:,} unlabelled {samples!t} from {source}", **values, source=where)
    ]
    notes += _notes_of(copies, table.medium)
    if left_out and not own:
        notes.append(
            english(
                "{n} entries of {source} were left out, the first: {first}",
                n=len(left_out), source=where, first=left_out[0],
            )
        )  # fmt: skip
    return replace(
        table,
        unlabelled=frame[[*table.frame.columns.intersection(frame.columns)]],
        copies=copies,
        notes=(*table.notes, *notes),
    )


def _notes_of(copies: Copies, medium: str) -> list[Sentence]:
    samples, notes = plural(medium), list[Sentence]()
    same = [one.id for one in copies.held_out if one.exact]
    alike = [one.id for one in copies.held_out if not one.exact]
    if same:
        notes.append(
            english(
                "{n} unlabelled {samples!t} are copies of validation or test samples and were left out: {names!n}",
                n=len(same), samples=samples, names=named(same, _SHOWN),
            )
        )  # fmt: skip
    if alike:
        notes.append(
            english(
                "{n} unlabelled {samples!t} are nearly the same as validation or test samples and were left out: {names!n}",
                n=len(alike), samples=samples, names=named(alike, _SHOWN),
            )
        )  # fmt: skip
    if copies.train:
        notes.append(
            english(
                "{n} unlabelled {samples!t} are copies of training samples, or nearly the same; they are kept",
                n=len(copies.train), samples=samples,
            )
        )  # fmt: skip
    return notes


def lacks_labels(table: Table) -> bool:
    """Whether samples of the data were left out because they have no label."""
    return bool(_without_label(table)) or any(note.endswith(WITHOUT_LABEL) for note in table.notes)


def refuse_many_without_label(path: str | None, table: Table) -> None:
    """Raise DataError if more than 1 % of the samples were left out because they have no label."""
    found, total = _without_label(table), len(table) + len(table.part(UNLABELLED)) + len(table.skipped)
    if len(found) > max(1, MAX_LEFT_OUT * total):
        raise DataError(
            f"data {path}: {len(found):,} of {total:,} samples have no label, more than {MAX_LEFT_OUT:.0%}, such as "
            f"{', '.join(found[:3])}. Label or remove them, or let a method learn from them: data.unlabelled: {ROWS} "
            f"(--unlabelled {ROWS})"
        )


def _without_label(table: Table) -> list[str]:
    """The samples that were left out because they have no label."""
    return [one.id for one in table.skipped if one.reason in _NO_LABEL_REASONS]


def read_unlabelled(
    sources: Sequence[Path], spec: DataSpec, medium: str, threads: int
) -> tuple[pd.DataFrame, list[str]]:
    """(the frame of a table with all samples of these folders or tables, with or without a label; everything else, each with the
    reason). The id of a sample is its path below its source, or "table.csv:7" for the seventh text."""
    found, left_out = [], []
    for source in sources:
        inputs = read_inputs(source, spec, medium)
        base = source if source.is_dir() else source.parent
        names = [
            f"{source.name}:{number}" if medium == "text" else os.path.relpath(name, base).replace(os.sep, "/")
            for number, name in enumerate(inputs["name"], start=1)
        ]
        frame = pd.DataFrame({"id": names})
        if medium == "text":
            frame["path"] = pd.Series([str(source)] * len(inputs), dtype=object)
            frame["text"] = inputs["text"]
            digests = [(digest_of(str(text).encode()), "") for text in inputs["text"]]
        else:
            frame["path"] = inputs["path"]
            digests = file_digests(inputs["path"].tolist(), threads)
        if medium == "audio":
            frame["start"], frame["end"] = inputs["start"], inputs["end"]
            digests = [
                (part_digest(digest, part_name(start, end)) if digest else "", reason)
                for (digest, reason), start, end in zip(digests, inputs["start"], inputs["end"])
            ]
        frame = frame.assign(label=-1, split=UNLABELLED, group="", weight=1.0, digest=[digest for digest, _ in digests])
        reasons = [error or reason for error, (_, reason) in zip(inputs["error"], digests)]
        left_out += [f"{id_}: {reason}" for id_, reason in zip(frame["id"], reasons) if reason]
        found.append(frame[np.array([not reason for reason in reasons], dtype=bool)])
    return pd.concat(found, ignore_index=True), left_out
