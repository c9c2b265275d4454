from __future__ import annotations

import pandas as pd

from whet.core.errors import DataError, NoEffectError
from whet.core.method import Method
from whet.core.stages import Selects


class DropConflicts(
    Method, Selects, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Leave out training samples whose very same content is filed under more than one class.

    Use when: the data were gathered from several places or labelled by several people.
    Do not use when: a sample may truly have several classes.
    Source: Brodley & Friedl 1999, "Identifying mislabeled training data" (filtering); equal content is found by its hash.
    Shapes: rows that share a digest but not a label are dropped, all of them: nothing says which label is right.
    """

    identity = None
    one_class = True
    exceptions = {"identity": "it has no strength; where there is no conflict it changes nothing"}
    order = 10

    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        conflict_N = rows.groupby("digest")["label"].transform("nunique") > 1
        if not conflict_N.any():
            raise NoEffectError("no content bears two labels among the training samples")
        kept = rows[~conflict_N]
        lost = sorted(set(rows["label"]) - set(kept["label"]))
        if lost:
            raise DataError(
                f"drop_conflicts would leave no training sample of class number {', '.join(map(str, lost))}: all of them are "
                "filed under another class too; mend the labels first (whet check names them)"
            )
        return kept.reset_index(drop=True)
