from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.outputs import Outputs
from whet.core.recipe import Recipe
from whet.core.search import Search
from whet.core.stages import Guarded, LabelsSamples
from whet.methods.ensemble.temperature_scaling import best_temperature
from whet.methods.semi.rounds import before, top_share


class PseudoLabel(
    Method,
    LabelsSamples,
    Guarded,
    family="semi",
    tasks={"image-classification", "text-classification", "audio-classification", "semantic-segmentation"},
):
    """Train on the labelled samples, label the unlabelled ones with the result where it is sure, and train again on both.

    Use when: there are many more unlabelled samples of the same classes than labelled ones, and the network is already often right.
    Do not use when: the unlabelled samples are of other classes, or accuracy is near chance: its own mistakes are then learned.
    Source: Lee 2013, "Pseudo-label"; in rounds, each from the start: Cascante-Bonilla et al. 2021, arXiv:2001.06001; the same share
    of each class: Zou et al. 2018, arXiv:1810.07911. For masks, the share and the threshold choose pixels, and others are ignored.
    Deviates: confidences are divided by a temperature fitted on validation samples. A round that is not better there than the one
    before is not handed over, and no further round is trained.
    Shapes: round r of R labels the surest r / R of `share` of the predictions of each class, if the confidence is at least
    `threshold`, and trains on them with weight `weight`. The first training is supervised. All R + 1 share a budget in minutes.
    """

    exceptions = {"identity": "it trains at least once on what it labelled"}
    conflicts = frozenset({"label_propagation", "noisy_student", "supervised_guard"})
    learns_unlabelled = True
    one_class = True

    rounds: Annotated[
        int,
        Field(ge=1, le=5, description="trainings after the supervised one, each on the labels of the one before"),
        Search(1, 3),
    ] = 2
    threshold: Annotated[
        float, Field(ge=0, le=1, description="least confidence of a label, 0 to 1"), Search(0.3, 0.95)
    ] = 0.5
    share: Annotated[
        float, Field(gt=0, le=1, description="share of the predictions of each class, the surest, that the last round labels"),
        Search(0.3, 1.0),
    ] = 0.6  # fmt: skip
    weight: Annotated[
        float, Field(gt=0, le=1, description="weight of such a sample, of a labelled one 1"), Search(0.1, 1.0)
    ] = 1.0

    def predecessor(self, recipe: Recipe) -> Recipe | None:
        share = self.share * (self.rounds - 1) / self.rounds
        earlier = self.replace(rounds=self.rounds - 1, share=share) if self.rounds > 1 else None
        return before(recipe, earlier, self.rounds)

    def following(self, run: str) -> Self:
        return self

    def confidence_temperature(self, outputs: Outputs) -> float:
        return best_temperature(outputs)

    def least_confidences(self, confidence_KM: Sequence[np.ndarray]) -> np.ndarray:
        return top_share(confidence_KM, self.share, self.threshold)

    def pseudo_targets(self, probs_MK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hard_MK = np.eye(probs_MK.shape[1])[probs_MK.argmax(axis=1)]
        return hard_MK, np.full(len(probs_MK), self.weight)
