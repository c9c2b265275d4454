from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.rng import Rng
from whet.core.search import Search
from whet.core.stages import Selects


class Oversample(
    Method, Selects, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Repeat the samples of small classes until each class has a given fraction of the size of the largest.

    Use when: rare classes matter, augmentation is strong, and longer epochs are acceptable. Unlike balanced_sampler, which keeps
    the length of an epoch, it does not use samples of common classes less often. A repeated sample counts as a separate sample:
    its copies are augmented independently in each epoch.
    Do not use when: rare classes have only a few samples, which the network would memorize; time is short (use balanced_sampler);
    or samples may have several labels.
    Source: Japkowicz & Stephen 2002, "The class imbalance problem"; Buda et al. 2018, arXiv:1710.05381.
    Shapes: a class with n rows gets max(n, share times the rows of the largest class) rows. Its rows are repeated in turn.
    """

    identity = {"share": 0.0}
    one_class = True

    share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="minimum size of a class as a fraction of the largest: 0 is unchanged, 1 is balanced",
        ),
        Search(0.2, 1.0),
    ] = 1.0

    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        if self.share == 0:
            return rows
        label_N = rows["label"].to_numpy()
        classes, counts = np.unique(label_N, return_counts=True)
        least = round(self.share * counts.max())
        if counts.min() >= least:
            raise NoEffectError(f"every class has at least {self.share:.0%} of the samples of the largest")
        # The samples that are repeated once more are chosen by content, not by the order of the files.
        turn_N = Rng(0).keyed("oversample", rows["digest"].tolist())
        extra = []
        for k, count in zip(classes, counts):
            members = np.flatnonzero(label_N == k)
            members = members[np.argsort(turn_N[members], kind="stable")]
            extra.append(np.resize(members, max(0, least - count)))
        return rows.iloc[np.concatenate([np.arange(len(rows)), *extra])].reset_index(drop=True)
