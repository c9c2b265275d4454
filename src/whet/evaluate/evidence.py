"""Reads and writes the evidence of run folders, and joins that of several runs by sample id."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whet.core.errors import RunError
from whet.core.evidence import Evidence
from whet.core.output import write_whole
from whet.core.run_folder import RunFolder, write_csv
from whet.core.task import task_named


def write_evidence(folder: RunFolder, parts: Mapping[str, Evidence]) -> None:
    """Write evidence.npz, and predictions.csv with the same data in readable form: id, split, and the columns of the task
    (`Task.table`). parts: by split."""
    first = next(iter(parts.values()))
    arrays: dict[str, Any] = {"task": first.task.name, "classes": np.array(first.classes, dtype=np.str_)}
    columns: list[str] = []
    rows: list[list[Any]] = []
    for split, evidence in parts.items():
        arrays[f"{split}/ids"] = np.array(evidence.ids, dtype=np.str_)
        arrays |= {f"{split}/{name}": array for name, array in evidence.arrays.items()}
        columns, found = evidence.task.table(evidence)
        rows += [[id_, split, *cells] for id_, cells in zip(evidence.ids, found, strict=True)]
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    write_whole(folder.evidence, packed.getvalue())
    write_csv(folder.predictions, ["id", "split", *columns], rows, exact=True)


def read_evidence(folder: RunFolder, part: str) -> Evidence:
    """The evidence of one split, sorted by id. RunError where the run has not finished."""
    if not folder.evidence.is_file():
        raise RunError(f"{folder.path} has no evidence.npz: the run has not finished")
    with np.load(folder.evidence) as arrays:
        task, classes = task_named(str(arrays["task"])), tuple(arrays["classes"].tolist())
        ids = arrays[f"{part}/ids"]
        found = {name.removeprefix(f"{part}/"): arrays[name] for name in arrays.files if name.startswith(f"{part}/")}
    return task.read_evidence(classes, ids, found).by_id()


@dataclass(frozen=True)
class Joined:
    """The evidence of several runs on their common samples, in one order and with one numbering of the classes. left_out: samples
    that not all have. classes_differ: whether the runs have different classes."""

    evidence: list[Evidence]
    left_out: int
    classes_differ: bool


def joined(evidence: Sequence[Evidence], names: Sequence[str]) -> Joined:
    """Join the evidence of several runs. names: of the runs, for messages. RunError where the runs have different tasks, no common
    sample, or different labels for a sample."""
    first = evidence[0]
    other = next((name for one, name in zip(evidence, names, strict=True) if one.task != first.task), None)
    if other is not None:
        raise RunError(f"{names[0]} and {other} have different tasks and cannot be compared")
    common = set.intersection(*(set(one.ids.tolist()) for one in evidence))
    every = set.union(*(set(one.ids.tolist()) for one in evidence))
    if not common:
        raise RunError(f"{' and '.join(names)} have no predicted sample in common, so they cannot be paired")
    differ = any(set(one.classes) != set(first.classes) for one in evidence)
    classes = (*first.classes, *sorted({name for one in evidence for name in one.classes} - set(first.classes)))
    chosen = [np.isin(one.ids, list(common)) for one in evidence]
    found = [one.task.with_classes(one.rows(keep), classes) for one, keep in zip(evidence, chosen, strict=True)]
    for one, name in zip(found, names, strict=True):
        _refuse_other_labels(found[0], one, names[0], name)
    return Joined(found, len(every) - len(common), differ)


def _refuse_other_labels(first: Evidence, other: Evidence, first_name: str, name: str) -> None:
    if different := first.task.different_labels(first, other):
        listed = ", ".join(different[:3])
        raise RunError(f"{first_name} and {name} have different labels for the same samples, for example {listed}")
