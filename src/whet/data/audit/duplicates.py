"""Exact duplicates: within a split, across splits, and with different labels."""

from __future__ import annotations

from whet.core.language import english, english_n
from whet.core.media import plural
from whet.data.audit.finding import Finding, counted, noted
from whet.data.table import Table


def check_duplicates(table: Table) -> list[Finding]:
    """Exact duplicates by content hash."""
    twins, leaks, conflicts = [], [], []
    frame = table.frame.drop_duplicates("id")  # a row repeated on purpose is not a second file
    shared = frame[frame["digest"].duplicated(keep=False)]
    for _, rows in shared.groupby("digest", sort=False):
        rows = rows.sort_values("id")
        names = tuple(rows["id"])
        twins.append((names, ""))
        if rows["label"].nunique() > 1:
            conflicts.append((names, ", ".join(table.cell_of(k) for k in rows["label"])))
        if rows["split"].nunique() > 1:
            leaks.append((names, ", ".join(split or "no split" for split in rows["split"])))
    found = []
    if conflicts:
        values = {"samples": counted(len(conflicts), table.medium)}
        text = (
            english("{samples!t} filed under more than one class: at least one of the labels is wrong", **values)
            if table.set_SK is None
            else english("{samples!t} with more than one set of labels: at least one of the labels is wrong", **values)
        )
        found.append(noted(english("label conflict"), "problem", text, conflicts))
    if leaks:
        text = english(
            "{samples!t} both in train and in val or test: the model has seen these samples in training",
            samples=counted(len(leaks), table.medium),
        )
        found.append(noted(english("leak across splits"), "problem", text, leaks))
    if twins:
        extra = sum(len(names) - 1 for names, _ in twins)
        text = (
            english_n(
                "{n} text is an exact copy of another ({different:d} different texts)",
                "{n:,} texts are exact copies of others ({different:d} different texts)",
                extra, different=len(twins),
            )
            if table.medium == "text"
            else english_n(
                "{n} file is an exact copy of another ({different:d} different {samples!t})",
                "{n:,} files are exact copies of others ({different:d} different {samples!t})",
                extra, different=len(twins), samples=plural(table.medium),
            )
        )  # fmt: skip
        found.append(noted(english("exact duplicates"), "fact", text, twins))
    return found
