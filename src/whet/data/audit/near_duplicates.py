"""Near-duplicates: samples with nearly the same content but different bytes, by the pairs of the survey."""

from __future__ import annotations

import numpy as np

from whet.core.language import Sentence, english, english_n
from whet.core.media import plural
from whet.data.audit.finding import Finding, in_order
from whet.data.audit.survey import Survey


def check_near_duplicates(survey: Survey) -> list[Finding]:
    """Reports the pairs of `Survey.near`, those with different classes and those across splits."""
    table, pairs, samples = survey.table, survey.near, plural(survey.table.medium)
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
            conflicts.append((names, _labels(", ".join(table.cell_of(survey.label_N[row]) for row in rows), alike)))
        if _differ(survey.split_N, sides):
            leaks.append((names, _splits(", ".join(survey.split_N[row] or "no split" for row in rows), alike)))
    found = []
    if conflicts:
        text = (
            english_n(
                "{n} pair of {samples!t} is nearly the same, under two classes: at least one label is wrong",
                "{n:,} pairs of {samples!t} are nearly the same, under two classes: at least one label is wrong",
                len(conflicts), samples=samples,
            )
            if table.set_SK is None
            else english_n(
                "{n} pair of {samples!t} is nearly the same, with two sets of labels: at least one label is wrong",
                "{n:,} pairs of {samples!t} are nearly the same, with two sets of labels: at least one label is wrong",
                len(conflicts), samples=samples,
            )
        )  # fmt: skip
        found.append(in_order(english("near-duplicate conflict"), "problem", text, conflicts))
    if leaks:
        text = english_n(
            "{n} pair of {samples!t} is nearly the same, in two of train, val and test: seen in training",
            "{n:,} pairs of {samples!t} are nearly the same, in two of train, val and test: seen in training",
            len(leaks), samples=samples,
        )  # fmt: skip
        found.append(in_order(english("near-duplicate leak"), "problem", text, leaks))
    if every:
        text = english_n(
            "{n} pair of {samples!t} is nearly the same: {how!t}", "{n:,} pairs of {samples!t} are nearly the same: {how!t}",
            len(every), samples=samples, how=survey.copied_by,
        )  # fmt: skip
        found.append(in_order(english("near-duplicates"), "fact", text, every))
    return found + survey.not_searched()


def _labels(names: str, alike: Sentence) -> Sentence:
    return english("labels {names}; {alike!t}", names=names, alike=alike)


def _splits(names: str, alike: Sentence) -> Sentence:
    return english("splits {names}; {alike!t}", names=names, alike=alike)


def _differ(values: np.ndarray, sides: list[list[int]]) -> bool:
    """Whether any two rows of the two sides have different values."""
    first, second = ({values[row] for row in rows} for rows in sides)
    return len(first | second) > 1
