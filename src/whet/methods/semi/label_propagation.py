from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.search import Search
from whet.core.stages import Guarded, LabelsByFeatures
from whet.methods.semi.rounds import before
from whet.methods.semi.spreading import certainty, neighbour_graph, spread


class LabelPropagation(
    Method,
    LabelsByFeatures,
    Guarded,
    family="semi",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train on labelled samples, spread the labels over a graph of neighbours in the features learned, and train again on all.

    Use when: labels are few, so that neighbours among all samples tell more about a sample than the network's own prediction.
    Do not use when: there is no time for two trainings, or most unlabelled samples are of other classes.
    Source: Iscen et al. 2019, arXiv:1904.04717; the spreading: Zhou et al. 2004, "Learning with local and global consistency".
    Deviates: the labels are spread once per round, not after each epoch, and every round starts from the first weights; no weights
    by class (add class_weight); 10 neighbours and alpha 0.9 in place of 50 and 0.99. A round that is not better on validation
    samples than the one before is not handed over, and no further round is trained.
    Shapes: cosine similarities of features (N + M, D) to the power of 3, symmetric -> (1 - alpha)(I - alpha S)^-1 Y, (N + M, K).
    The most probable class of each unlabelled sample is its label, with the weight 1 - entropy / log K. All rounds + 1 trainings
    share a budget in minutes.
    """

    exceptions = {"identity": "it trains at least once on what it labelled"}
    conflicts = frozenset({"pseudo_label", "noisy_student", "label_spreading", "supervised_guard"})
    learns_unlabelled = True
    one_class = True

    rounds: Annotated[
        int, Field(ge=1, le=5, description="trainings after the supervised one, each on labels spread by the one before"),
        Search(1, 3),
    ] = 1  # fmt: skip
    neighbors: Annotated[
        int, Field(ge=1, description="neighbours of each sample in the graph"), Search(5, 50, log=True)
    ] = 10
    alpha: Annotated[
        float, Field(gt=0, lt=1, description="how far labels spread, 0 to 1; nearly 1 is far"), Search(0.5, 0.99)
    ] = 0.9

    def predecessor(self, recipe: Recipe) -> Recipe | None:
        earlier = self.replace(rounds=self.rounds - 1) if self.rounds > 1 else None
        return before(recipe, earlier, self.rounds)

    def following(self, run: str) -> Self:
        return self

    def labelled_by(self, features_ND: Any, label_NK: np.ndarray) -> np.ndarray:
        return spread(neighbour_graph(features_ND, self.neighbors, 3.0), label_NK, self.alpha)

    def least_confidences(self, confidence_KM: Sequence[np.ndarray]) -> np.ndarray:
        return np.zeros(len(confidence_KM))

    def pseudo_targets(self, probs_MK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.eye(probs_MK.shape[1])[probs_MK.argmax(axis=1)], certainty(probs_MK)
