"""Near-duplicates: samples with nearly the same content but different bytes, by the pairs of the survey."""

from __future__ import annotations

import numpy as np

from whet.data.audit.finding import Finding, counted, in_order
from whet.data.audit.survey import Survey


def check_near_duplicates(survey: Survey) -> list[Finding]:
    """Reports the pairs of `Survey.near`, those with different classes and those across splits."""
    table, pairs, medium = survey.table, survey.near, survey.table.medium
    rows_of: dict[int, list[int]] = {}
    for row, content in enumerate(survey.content_N.tolist()):
        rows_of.setdefault(content, []).append(row)
    every, conflicts, leaks = [], [], []
    for p in np.argsort(-pairs.likeness_P, kind="stable"):  # the most similar first
        sides = [rows_of[survey.content_N[row]] for row in pairs.row_P2[p]]
        rows = sorted([*sides[0], *sides[1]], key=lambda row: survey.id_N[row])
        names, alike = tuple(survey.id_N[row] for row in rows), pairs.describe(p)
        every.append((names, alike))
        if _differ(survey.label_N, sides):
            conflicts.append((names, f"{', '.join(table.cell_of(survey.label_N[row]) for row in rows)}; {alike}"))
        if _differ(survey.split_N, sides):
            leaks.append((names, f"{', '.join(survey.split_N[row] or 'no split' for row in rows)}; {alike}"))
    found = []
    if conflicts:
        ways = "under two classes" if table.set_SK is None else "with two sets of labels"
        text = f"{counted(len(conflicts), 'pair')} nearly the same {medium} {ways}: at least one label is wrong"
        found.append(in_order("near-duplicate conflict", "problem", text, conflicts))
    if leaks:
        text = f"{counted(len(leaks), 'pair')} nearly the same {medium} in two of train, val and test: seen in training"
        found.append(in_order("near-duplicate leak", "problem", text, leaks))
    if every:
        text = f"{counted(len(every), 'pair')} nearly the same {medium}: {survey.copied_by}"
        found.append(in_order("near-duplicates", "fact", text, every))
    return found + survey.not_searched()


def _differ(values: np.ndarray, sides: list[list[int]]) -> bool:
    """Whether any two rows of the two sides have different values."""
    first, second = ({values[row] for row in rows} for rows in sides)
    return len(first | second) > 1
