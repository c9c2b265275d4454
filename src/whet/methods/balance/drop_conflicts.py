from __future__ import annotations

import pandas as pd

from whet.core.errors import DataError, NoEffectError
from whet.core.method import Method
from whet.core.stages import Selects


class DropConflicts(
    Method, Selects, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Exclude training samples with identical content but different labels.

    Use when: the data come from several sources or were labeled by several people.
    Do not use when: samples may have several labels.
    Source: Brodley & Friedl 1999, "Identifying mislabeled training data" (filtering); equal content is found by its hash.
    Shapes: drops all rows that share a digest but not a label, because the correct label is unknown.
    """

    identity = None
    one_class = True
    exceptions = {"identity": "it has no strength; without conflicts it changes nothing"}
    order = 10

    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        conflict_N = rows.groupby("digest")["label"].transform("nunique") > 1
        if not conflict_N.any():
            raise NoEffectError("no training samples have identical content and different labels")
        kept = rows[~conflict_N]
        lost = sorted(set(rows["label"]) - set(kept["label"]))
        if lost:
            raise DataError(
                f"drop_conflicts would leave no training sample of class number {', '.join(map(str, lost))}: all of them also "
                "have another label; correct the labels first (whet check lists them)"
            )
        return kept.reset_index(drop=True)
