from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.outputs import Outputs
from whet.core.recipe import Recipe
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.spec import ModelSpec
from whet.core.stages import Changes, Draws, Guarded, LabelsSamples, TransformsBatch
from whet.core.text_view import TextView
from whet.core.view import ImageView
from whet.methods.augment_audio.spec_augment import SpecAugment
from whet.methods.augment_image.rand_augment import RandAugment
from whet.methods.augment_text.random_deletion import RandomDeletion
from whet.methods.ensemble.temperature_scaling import best_temperature
from whet.methods.regularize.dropout import Dropout
from whet.methods.semi.rounds import before, top_share
from whet.models.net import Net

_MOST_WEIGHT = 3.0  # of a sample of a class that is seldom predicted


class NoisyStudent(
    Method,
    LabelsSamples,
    Draws,
    TransformsBatch,
    Changes,
    Guarded,
    family="semi",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train a teacher on labelled samples, and an equal or larger student on all samples with the teacher's labels, under noise.

    Use when: there are many unlabelled samples of the same classes, and augmentation does not change a class.
    Do not use when: colour or orientation distinguishes the classes (magnitude: 0), or the teacher is near chance.
    Source: Xie et al. 2020, arXiv:1911.04252. The noise: RandAugment and dropout.
    Deviates: SpecAugment for audio clips and deleted words for texts; no stochastic depth (add stochastic_depth); rare classes have
    larger weights, up to 3, in place of copies. Confidences are calibrated on validation samples. A student that is not better
    there than its teacher is not handed over.
    Shapes: labels (M, K) are the teacher's probabilities, or one-hot, where the confidence is at least `threshold`. The teacher
    sees no noise. All rounds + 1 trainings share a budget in minutes.
    """

    exceptions = {"identity": "it trains at least once on what it labelled"}
    conflicts = frozenset({"label_propagation", "pseudo_label", "supervised_guard"})
    order = 25
    learns_unlabelled = True
    one_class = True

    rounds: Annotated[int, Field(ge=1, le=5, description="students, each the teacher of the next"), Search(1, 3)] = 1
    soft: Annotated[bool, Field(description="labels are probabilities; if not, the most probable class")] = True
    threshold: Annotated[
        float, Field(ge=0, le=1, description="least confidence of a label, 0 to 1"), Search(0.1, 0.8)
    ] = 0.3
    balance: Annotated[bool, Field(description="whether the labels of all classes have the same total weight")] = True
    magnitude: Annotated[
        float, Field(ge=0, le=30, description="strength of the student's augmentation, on a scale of 30"), Search(3, 20)
    ] = 9.0
    dropout: Annotated[
        float, Field(ge=0, lt=1, description="fraction of features that the student drops"), Search(0.05, 0.6)
    ] = 0.2
    teacher: Annotated[
        ModelSpec | None,
        Field(description="the first teacher's network, as `model` in a recipe; none: that of the students"),
    ] = None

    # --- the labels ---------------------------------------------------------------------------------------------------
    def predecessor(self, recipe: Recipe) -> Recipe | None:
        earlier = self.replace(rounds=self.rounds - 1) if self.rounds > 1 else None
        found = before(recipe, earlier, self.rounds)
        if found is None or earlier is not None or self.teacher is None:
            return found
        return found.replace(model=self.teacher)

    def following(self, run: str) -> Self:
        return self

    def confidence_temperature(self, outputs: Outputs) -> float:
        return best_temperature(outputs)

    def least_confidences(self, confidence_KM: Sequence[np.ndarray]) -> np.ndarray:
        return top_share(confidence_KM, 1.0, self.threshold)

    def pseudo_targets(self, probs_MK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        K = probs_MK.shape[1]
        label_M = probs_MK.argmax(axis=1)
        targets_MK = probs_MK if self.soft else np.eye(K)[label_M]
        if not self.balance:
            return targets_MK, np.ones(len(label_M))
        counts_K = np.bincount(label_M, minlength=K)
        weight_K = len(label_M) / (np.count_nonzero(counts_K) * np.maximum(counts_K, 1))
        return targets_MK, np.minimum(weight_K, _MOST_WEIGHT)[label_M]

    # --- the noise ----------------------------------------------------------------------------------------------------
    def draw(self, view: Any, rng: BatchRng) -> Any:
        if self.magnitude and isinstance(view, ImageView):
            return RandAugment(magnitude=self.magnitude).draw(view, rng)
        if self.magnitude and isinstance(view, TextView):
            return RandomDeletion(fraction=self.magnitude / 90).draw(view, rng)
        return view

    def transform_batch(self, received: Tensor, rng: BatchRng) -> Tensor:
        if not self.magnitude or not received.is_floating_point():
            return received
        return SpecAugment(
            max_time_fraction=self.magnitude / 90, max_freq_fraction=self.magnitude / 60
        ).transform_batch(received, rng)

    def change(self, net: Net, context: Context) -> Net:
        return Dropout(prob=self.dropout).change(net, context)
