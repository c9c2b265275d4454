"""What travels between the stages of a training step: the batch, what the model made of it, and where training stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.core.duration import Duration
from whet.core.targets import Targets

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """Painted, normalised samples on the device.

    x_BCHW: float (B, C, H, W), or (B, D) where kept features stand in for pictures. index_B: int64, the samples' numbers
    in the training table (the key of every draw). weight_B: float (B,), the samples' own weights.
    """

    x_BCHW: Tensor
    targets: Targets
    index_B: np.ndarray
    weight_B: Tensor
    epoch: int = 0

    def replace(self, **changes: Any) -> Batch:
        return replace(self, **changes)

    def __len__(self) -> int:
        return len(self.index_B)


@dataclass(frozen=True)
class Outcome:
    """What a loss is given: the answer, the question, and the model for a loss that needs another look at it."""

    logits_BK: Tensor
    batch: Batch
    model: nn.Module

    def with_targets(self, targets: Targets) -> Outcome:
        return replace(self, batch=self.batch.replace(targets=targets))


Loss = Callable[[Outcome], "Tensor"]
"""A loss gives one value a sample, (B,); a penalty on the weights is added to each."""

Closure = Callable[[], "Tensor"]
"""Clears the gradients, runs forward and backward, returns the scalar loss. May be called several times a step."""

Step = Callable[[Closure], "Tensor"]
"""Takes one optimizer step with the help of a closure and returns the loss."""

Predictor = Callable[["Tensor"], "Tensor"]
"""Normalised inputs (B, C, H, W) -> logits (B, K)."""


@dataclass(frozen=True)
class Progress:
    """Where training stands. `step` counts finished optimizer steps."""

    step: int
    total_steps: int
    steps_per_epoch: int

    @property
    def fraction(self) -> float:
        """0 at the first step, 1 after the last."""
        return self.step / max(self.total_steps, 1)

    @property
    def epoch(self) -> int:
        return self.step // max(self.steps_per_epoch, 1)

    def steps(self, duration: Duration) -> int:
        """A duration in whole steps of this training."""
        return duration.steps(self.steps_per_epoch, self.total_steps)


@dataclass(frozen=True)
class Context:
    """What a method may know of the training it takes part in, beyond its own hyper-parameters.

    class_counts_K: training samples a class, int64 (K,). features: runs the bare backbone once over the training pictures
    as they are shown at prediction time and gives (features float (N, D), targets); it is costly, so call it once.
    """

    task: str
    classes: tuple[str, ...]
    class_counts_K: np.ndarray
    features: Callable[[], tuple[Tensor, Targets]]
