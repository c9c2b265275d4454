"""The survey of texts: the input of their checks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whet.core.language import english, english_n
from whet.data.audit.finding import Finding
from whet.data.audit.pairs import Pairs
from whet.data.audit.survey import Survey
from whet.data.audit.texts.near import LEAST_WIDTH, is_short, near_pairs
from whet.data.audit.texts.scripts import SCRIPTS, letters_by_script
from whet.data.table import Table


@dataclass(frozen=True)
class TextSurvey(Survey):
    """letters_NS: the number of letters of each script (`scripts.SCRIPTS`) in each text."""

    letters_NS: np.ndarray

    copied_by = english("the same except for a few words or signs")
    columns = {**Survey.columns, "fold": ""}

    @functools.cached_property
    def text_N(self) -> list[str]:
        return self.table.frame["text"].tolist()

    @functools.cached_property
    def near(self) -> Pairs:
        rows = self.first_rows()
        return near_pairs([self.text_N[row] for row in rows]).of_rows(rows)

    @functools.cached_property
    def extent_N(self) -> np.ndarray:
        """The number of characters."""
        return np.array([len(text) for text in self.text_N], dtype=np.int64)

    def not_searched(self) -> list[Finding]:
        short = sum(is_short(self.text_N[row]) for row in self.first_rows())
        if not short:
            return []
        text = english_n(
            "{n} text is under {width} letters (half as many Chinese, Japanese or Korean ones): too short for the "
            "near-duplicate search, except for differences in case, width or spacing",
            "{n:,} texts are under {width} letters (half as many Chinese, Japanese or Korean ones): too short for the "
            "near-duplicate search, except for differences in case, width or spacing",
            short, width=LEAST_WIDTH,
        )  # fmt: skip
        return [Finding(english("near-duplicates not searched"), "fact", text)]


def survey_texts(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> TextSurvey:
    """Read every text once."""
    letters_NS = np.zeros((len(table), len(SCRIPTS)), dtype=np.int64)
    for row, text in enumerate(table.frame["text"]):
        letters_NS[row] = letters_by_script(text)
        advance(1)
    return TextSurvey(table, letters_NS)
