"""The groups of unlabelled samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from whet.core.language import Sentence
from whet.grouping.choice import Candidate


@dataclass(frozen=True)
class Grouping:
    """The groups of unlabelled samples.

    table: one row per sample: id, file (and for audio clips start and end) or text, group (1 … K, the largest first), distance
    (from the centre of the group, in the space of the features), unsure (bool). copies: how many samples have the same content as
    another one; they count once and share its group. algorithm: kmeans, ward or hdbscan. features: what they are. simple: whether
    they were made without a network, and so are weak. candidates: the numbers of groups that were compared; empty if it was given.
    silhouette: its mean, of at most 2,000 samples; NaN for a single group. left_out: everything that is not a sample or cannot be
    read, each with the reason. page: the contact sheet, or None."""

    table: pd.DataFrame
    copies: int
    algorithm: str
    features: Sentence
    simple: bool
    candidates: tuple[Candidate, ...]
    silhouette: float
    left_out: tuple[str, ...]
    medium: str
    page: Path | None = None

    @property
    def groups(self) -> int:
        return int(self.table["group"].max())

    @property
    def unsure(self) -> int:
        return int(self.table["unsure"].sum())

    def to_dict(self) -> dict[str, Any]:
        sizes = self.table.groupby("group")["unsure"].agg(["size", "sum"])
        return {
            "samples": len(self.table),
            "copies": self.copies,
            "medium": self.medium,
            "algorithm": self.algorithm,
            "features": self.features,
            "simple": self.simple,
            "unsure": self.unsure,
            "silhouette": self.silhouette,
            "groups": [{"group": k, "samples": size, "unsure": unsure} for k, size, unsure in sizes.itertuples()],
            "candidates": [
                {"groups": one.groups, "silhouette": one.silhouette, "stability": one.stability}
                for one in self.candidates
            ],
            "left_out": list(self.left_out),
        }
