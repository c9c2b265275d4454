"""Soft targets: the class probabilities that a sample is trained towards.

Mixing and smoothing are linear maps of the targets, so they commute and a loss needs to support only one form.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whet.core.task import ClassTask


class Targets(ABC):
    """What the samples of a batch are trained towards."""

    task: Any

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: Tensor | slice) -> Self: ...

    @abstractmethod
    def to(self, device: torch.device) -> Self: ...

    @property
    @abstractmethod
    def share_BK(self) -> Tensor:
        """The share of each class in the targets of each sample, for display."""

    @abstractmethod
    def differs(self, other: Self) -> Tensor:
        """Whether the targets of each sample differ from the other's, bool (B,)."""

    def aligned(self, outputs: Tensor) -> Tensor:
        """The outputs of the network in the size of the targets."""
        return outputs

    @abstractmethod
    def mix(self, partner_B: Tensor, weight_B: Tensor) -> Self:
        """Sample i keeps weight `weight_B[i]` on its own target; the rest comes from sample `partner_B[i]`."""

    @abstractmethod
    def paste(self, pasted: Self, region_BHW: Tensor) -> Self:
        """The targets of images that show `pasted` inside the region, bool (B, H, W)."""

    @abstractmethod
    def sampled(self, grid_BHW2: Tensor) -> Self:
        """The targets of images that are resampled at these points (-1 … 1, as for torch's `grid_sample`)."""

    @abstractmethod
    def composed(self, before: Self, index_BQ: Tensor, share_BQ: Tensor) -> Self:
        """The targets of images composed of several by `paste`, which returned this object. before: the targets of the images.
        index_BQ: the image of each part. share_BQ: its share of the area; the shares of a row sum to one."""


@dataclass(frozen=True)
class ClassTargets(Targets):
    """Class probabilities of a batch.

    probs_BK: float (B, K). Each row sums to one where classes are mutually exclusive; otherwise each entry is a separate
    probability. task: determines which of the two applies. known_B: bool (B,), false for samples without a label, whose
    probabilities are those of no information; None where all are known.
    """

    probs_BK: Tensor
    task: ClassTask
    known_B: Tensor | None = None

    def __len__(self) -> int:
        return len(self.probs_BK)

    def __getitem__(self, index: Tensor | slice) -> ClassTargets:
        known_B = None if self.known_B is None else self.known_B[index]
        return replace(self, probs_BK=self.probs_BK[index], known_B=known_B)

    @property
    def num_classes(self) -> int:
        return self.probs_BK.shape[1]

    def having(self, probs_BK: Tensor) -> ClassTargets:
        """Targets of the same task with other probabilities."""
        return replace(self, probs_BK=probs_BK)

    def to(self, device: torch.device) -> ClassTargets:
        known_B = None if self.known_B is None else self.known_B.to(device)
        return replace(self, probs_BK=self.probs_BK.to(device), known_B=known_B)

    def unknown(self) -> ClassTargets:
        """As many targets of samples without a label."""
        import torch

        probs_BK = torch.full_like(self.probs_BK, self.task.ignorance(self.num_classes))
        return replace(self, probs_BK=probs_BK, known_B=torch.zeros(len(self), dtype=torch.bool))

    @property
    def share_BK(self) -> Tensor:
        return self.probs_BK

    def differs(self, other: ClassTargets) -> Tensor:
        return (self.probs_BK != other.probs_BK).any(dim=1)

    def expected(self, loss: Tensor) -> Tensor:
        """The expectation of the loss of each outcome (in the form of `task.log_probs`) under the target, (B,)."""
        return (self.task.outcomes(self) * loss).flatten(1).sum(dim=1)

    def weighted(self, loss: Callable[[ClassTargets], Tensor], weight_K: Tensor) -> Tensor:
        """The loss (B,) times the mean weight of the classes of each sample, weighted by the soft target. If the targets sum to
        less than 1, the rest has weight 1."""
        weight_B = self.probs_BK @ weight_K.to(self.probs_BK)
        if not self.task.exclusive:
            total_B = self.probs_BK.sum(dim=1)
            weight_B = (weight_B + (1 - total_B).clamp(min=0)) / total_B.clamp(min=1)
        return loss(self) * weight_B

    def mix(self, partner_B: Tensor, weight_B: Tensor) -> ClassTargets:
        w = weight_B.to(self.probs_BK)[:, None]
        known_B = None if self.known_B is None else self.known_B & self.known_B[partner_B]
        return replace(self, probs_BK=w * self.probs_BK + (1 - w) * self.probs_BK[partner_B], known_B=known_B)

    def paste(self, pasted: ClassTargets, region_BHW: Tensor) -> ClassTargets:
        """Mixed in proportion to the pixels."""
        kept_B1 = (1 - region_BHW.flatten(1).float().mean(dim=1)).to(self.probs_BK)[:, None]
        known_B = None if self.known_B is None or pasted.known_B is None else self.known_B & pasted.known_B
        return replace(self, probs_BK=kept_B1 * self.probs_BK + (1 - kept_B1) * pasted.probs_BK, known_B=known_B)

    def sampled(self, grid_BHW2: Tensor) -> ClassTargets:
        return self

    def composed(self, before: ClassTargets, index_BQ: Tensor, share_BQ: Tensor) -> ClassTargets:
        return before.gather(index_BQ, share_BQ)

    def gather(self, index_BQ: Tensor, weight_BQ: Tensor) -> ClassTargets:
        """Sample i gets the weighted mean of the targets of samples `index_BQ[i]`; the weights of a row sum to one."""
        parts_BQK = self.probs_BK[index_BQ]
        known_B = None if self.known_B is None else self.known_B[index_BQ].all(dim=1)
        return replace(self, probs_BK=(weight_BQ.to(parts_BQK)[..., None] * parts_BQK).sum(dim=1), known_B=known_B)

    def smooth(self, epsilon: float) -> ClassTargets:
        """`1 - epsilon` of the target plus `epsilon` of the uninformed probability: 1/K per class, or 1/2 for independent
        classes."""

        return self.having((1 - epsilon) * self.probs_BK + epsilon * self.task.ignorance(self.num_classes))
