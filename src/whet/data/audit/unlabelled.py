"""Unlabelled samples that are copies of labelled ones: the same bytes, or nearly the same by the survey of the medium."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from whet.core import strict_json
from whet.core.language import Sentence, english, english_n
from whet.core.media import plural
from whet.data.audit.finding import Finding, in_order
from whet.data.audit.media import MEDIA
from whet.data.audit.survey import Survey
from whet.data.store import cache_folder
from whet.data.table import Table

_REVISION = 1  # increase it when the search changes


@dataclass(frozen=True)
class Copy:
    """An unlabelled sample, the labelled one it is a copy of, the split of that one, and whether their bytes are the same."""

    id: str
    of: str
    split: str
    exact: bool


@dataclass(frozen=True)
class Copies:
    """held_out: of validation or test samples; they are left out of every run. train: of training samples; they are kept, because
    training on a sample twice is no mistake in the measurement."""

    held_out: tuple[Copy, ...] = ()
    train: tuple[Copy, ...] = ()


def joined(labelled: Table, unlabelled: pd.DataFrame) -> Table:
    """One table of all samples, the labelled ones first, to be looked at."""
    return replace(labelled, frame=pd.concat([labelled.frame, unlabelled], ignore_index=True), unlabelled=None)


def find_copies(labelled: Table, unlabelled: pd.DataFrame, threads: int) -> Copies:
    """The copies among the unlabelled samples. A copy of several samples is one of a held-out sample if any of them is; copies of
    copies count. The search reads every sample once. Its result is cached by the contents of all samples."""
    frame = labelled.frame
    unit_N = _units(joined(labelled, unlabelled), threads)
    own_N, more_M = unit_N[: len(frame)], unit_N[len(frame) :]
    rank = frame["split"].map({"test": 0, "val": 1}).fillna(2).to_numpy()
    first_of: dict[int, int] = {}
    for row in np.argsort(rank, kind="stable").tolist():
        first_of.setdefault(int(own_N[row]), row)
    by_digest = {
        (digest, split == "train"): id_ for id_, digest, split in zip(frame["id"], frame["digest"], frame["split"])
    }
    found: dict[bool, list[Copy]] = {True: [], False: []}
    for id_, digest, unit in zip(unlabelled["id"], unlabelled["digest"], more_M.tolist()):
        if (row := first_of.get(unit)) is None:
            continue
        split = str(frame["split"].iloc[row])
        exact = by_digest.get((digest, split == "train"))
        found[split == "train"].append(Copy(id_, exact or str(frame["id"].iloc[row]), split, exact is not None))
    return Copies(tuple(found[False]), tuple(found[True]))


def _units(table: Table, threads: int) -> np.ndarray:
    """A number for each sample, (N,): copies share it."""
    digests = table.frame["digest"].tolist()
    key = hashlib.blake2b(json.dumps([_REVISION, table.medium, digests]).encode(), digest_size=16).hexdigest()
    file = cache_folder("unlabelled_copies") / f"{key}.json"
    if file.is_file():
        return np.array(json.loads(file.read_text(encoding="utf-8")), dtype=np.int64)
    unit_N = MEDIA[table.medium].look(table, threads, lambda count: None).unit_N
    file.parent.mkdir(parents=True, exist_ok=True)
    strict_json.write(file, unit_N.tolist())
    return unit_N


def check_copies(copies: Copies, survey: Survey) -> list[Finding]:
    """The copies as findings of `whet check`."""
    samples, found = plural(survey.table.medium), []
    for kind, severity, listed in (
        (english("unlabelled copies of validation or test samples"), "warning", copies.held_out),
        (english("unlabelled copies of training samples"), "fact", copies.train),
    ):
        if not listed:
            continue
        text = english_n(
            "{n} of the unlabelled {samples!t} is a copy, or nearly the same; {consequence!t}",
            "{n:,} of the unlabelled {samples!t} are copies, or nearly the same; {consequence!t}",
            len(listed), samples=samples, consequence=_CONSEQUENCE[severity],
        )  # fmt: skip
        entries = [((one.id, one.of), _how(one)) for one in listed]
        found.append(in_order(kind, severity, text, entries))  # type: ignore[arg-type]
    return found


_CONSEQUENCE = {
    "warning": english("they are left out of every run"),
    "fact": english("they are kept"),
}


def _how(one: Copy) -> Sentence:
    return (
        english("a copy, {split!t}", split=one.split)
        if one.exact
        else english("nearly the same, {split!t}", split=one.split)
    )
