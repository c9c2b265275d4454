"""File properties that nearly determine the class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from whet.core.language import Sentence, english
from whet.core.media import plural
from whet.data.audit.finding import Finding
from whet.data.audit.survey import Survey

MOST, LITTLE, LEAST = 0.8, 0.2, 10


def find_shortcuts(
    survey: Survey, value_R: Sequence[str], kind: Sentence, described: Callable[[str], Sentence]
) -> list[Finding]:
    """A warning for each class of which at least 80 % (and ten samples) share a value that at most 20 % of the others have.
    value_R: one value per readable row. described: says of samples that they have a value. A value shared by all classes, or spread
    over all, gives no warning. Masks give none: the value of an image does not say where its classes are."""
    if survey.table.label_kind == "masks":
        return []
    true_RK, value = survey.true_NK[survey.row_R], np.array(value_R)
    found = []
    for k, name in enumerate(survey.table.classes):
        own = value[true_RK[:, k]]
        if len(own) < LEAST or len(own) == len(value):
            continue
        kinds, counts = np.unique(own, return_counts=True)
        usual, share = kinds[counts.argmax()], counts.max() / len(own)
        elsewhere = float((value[~true_RK[:, k]] == usual).mean())
        if share >= MOST and elsewhere <= LITTLE and usual:
            text = english(
                "{share:.0f} % of {name} are {value!t}, but {elsewhere:.0f} % of the other classes: a model may learn the source "
                "of the {samples!t} instead of their content",
                share=100 * share, name=name, value=described(str(usual)), elsewhere=100 * elsewhere,
                samples=plural(survey.table.medium),
            )  # fmt: skip
            found.append(Finding(kind, "warning", text))
    return found


def stored_as(kind: str) -> Sentence:
    """What is said of samples of one file format."""
    return english("stored as {format}", format=kind)
