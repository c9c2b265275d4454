"""One photo in several files that are not the same bytes: encoded anew, resized, brightened, mirrored, slightly cropped, or taken
twice within a moment."""

from __future__ import annotations

import numpy as np

from whet.data.audit.finding import Finding, counted, in_order
from whet.data.audit.survey import LEAST_SIDE, Survey


def check_near_duplicates(survey: Survey) -> list[Finding]:
    """Pairs by `near.near_pairs`, and among them those of different classes and those on both sides of a split."""
    table, pairs = survey.table, survey.near
    rows_of: dict[int, list[int]] = {}
    for row, content in enumerate(survey.content_N.tolist()):
        rows_of.setdefault(content, []).append(row)
    every, conflicts, leaks = [], [], []
    for p in np.argsort(-pairs.likeness_P, kind="stable"):  # the most alike first
        (one, other), likeness, mirrored = pairs.row_P2[p], pairs.likeness_P[p], pairs.mirrored_P[p]
        sides = [rows_of[survey.content_N[row]] for row in (one, other)]
        rows = sorted([*sides[0], *sides[1]], key=lambda row: survey.id_N[row])
        names = tuple(survey.id_N[row] for row in rows)
        alike = f"likeness {likeness:.2f}" + (", mirrored" if mirrored else "")
        every.append((names, alike))
        if _differ(survey.label_N, sides):
            conflicts.append((names, f"{', '.join(table.classes[survey.label_N[row]] for row in rows)}; {alike}"))
        if _differ(survey.split_N, sides):
            leaks.append((names, f"{', '.join(survey.split_N[row] or 'no part' for row in rows)}; {alike}"))
    found = []
    if conflicts:
        text = f"{counted(len(conflicts), 'pair')} nearly one picture under two classes: at least one label is wrong"
        found.append(in_order("near-duplicate conflict", "problem", text, conflicts))
    if leaks:
        text = f"{counted(len(leaks), 'pair')} nearly one picture in two of train, val and test: that score is learnt by heart"
        found.append(in_order("near-duplicate leak", "problem", text, leaks))
    if every:
        text = f"{counted(len(every), 'pair')} nearly one picture: encoded anew, resized, mirrored or cropped, or taken twice"
        found.append(in_order("near-duplicates", "fact", text, every))
    small = int((np.minimum(survey.prints_N["height"], survey.prints_N["width"])[survey.row_R] < LEAST_SIDE).sum())
    if small:
        text = f"{counted(small, 'picture')} under {LEAST_SIDE} pixels a side: too small to be searched for near-duplicates"
        found.append(Finding("near-duplicates not searched", "fact", text))
    return found


def _differ(values: np.ndarray, sides: list[list[int]]) -> bool:
    """Whether a row of one side has another value than a row of the other."""
    first, second = ({values[row] for row in rows} for rows in sides)
    return len(first | second) > 1
