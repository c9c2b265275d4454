"""Exact duplicates: within a split, across splits, and with different labels."""

from __future__ import annotations

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
        ways = "filed under more than one class" if table.set_SK is None else "with more than one set of labels"
        text = f"{counted(len(conflicts), table.medium)} {ways}: at least one of the labels is wrong"
        found.append(noted("label conflict", "problem", text, conflicts))
    if leaks:
        text = f"{counted(len(leaks), table.medium)} both in train and in val or test: the model has seen these samples in training"
        found.append(noted("leak across splits", "problem", text, leaks))
    if twins:
        word = "text" if table.medium == "text" else "file"
        extra = sum(len(names) - 1 for names, _ in twins)
        copies = counted(extra, word, ("is an exact copy", "are exact copies"))
        text = f"{copies} of others ({len(twins)} different {plural(table.medium)})"
        found.append(noted("exact duplicates", "fact", text, twins))
    return found
