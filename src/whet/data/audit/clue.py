"""One feature used by a shortcut probe."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from whet.core.language import Sentence, english
from whet.data.audit.survey import Survey

SOURCES = english("the classes come from different sources, and part of any score may come from this")


@dataclass(frozen=True)
class Clue:
    """what: the feature in words, plural. meaning: the consequence where it predicts the class. values: numbers (R, D) or words
    (R,) for some rows of a survey."""

    name: Sentence
    what: Sentence
    meaning: Sentence
    values: Callable[[Any, np.ndarray], np.ndarray]


def name_patterns(survey: Survey, rows: np.ndarray) -> np.ndarray:
    """The file name with 0 for every number, without class names, which only reflect how it was filed."""
    named = re.compile(
        "|".join(re.escape(name.lower()) for name in sorted(survey.table.classes, key=len, reverse=True))
    )
    stems = (PurePosixPath(survey.id_N[row]).stem.lower() for row in rows)
    return np.array([re.sub(r"\d+", "0", named.sub("", stem)) for stem in stems])
