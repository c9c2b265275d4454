"""Soft targets: the class probabilities that a sample is trained towards.

Mixing and smoothing are linear maps of the targets, so they commute and a loss needs to support only one form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whet.core.task import ClassTask


@dataclass(frozen=True)
class Targets:
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

    def __getitem__(self, index: Tensor | slice) -> Targets:
        known_B = None if self.known_B is None else self.known_B[index]
        return replace(self, probs_BK=self.probs_BK[index], known_B=known_B)

    @property
    def num_classes(self) -> int:
        return self.probs_BK.shape[1]

    def having(self, probs_BK: Tensor) -> Targets:
        """Targets of the same task with other probabilities."""
        return replace(self, probs_BK=probs_BK)

    def to(self, device: torch.device) -> Targets:
        known_B = None if self.known_B is None else self.known_B.to(device)
        return replace(self, probs_BK=self.probs_BK.to(device), known_B=known_B)

    def unknown(self) -> Targets:
        """As many targets of samples without a label."""
        import torch

        probs_BK = torch.full_like(self.probs_BK, self.task.ignorance(self.num_classes))
        return replace(self, probs_BK=probs_BK, known_B=torch.zeros(len(self), dtype=torch.bool))

    def mix(self, partner_B: Tensor, weight_B: Tensor) -> Targets:
        """Sample i keeps weight `weight_B[i]` on its own target; the rest comes from sample `partner_B[i]`."""
        w = weight_B.to(self.probs_BK)[:, None]
        known_B = None if self.known_B is None else self.known_B & self.known_B[partner_B]
        return replace(self, probs_BK=w * self.probs_BK + (1 - w) * self.probs_BK[partner_B], known_B=known_B)

    def gather(self, index_BQ: Tensor, weight_BQ: Tensor) -> Targets:
        """Sample i gets the weighted mean of the targets of samples `index_BQ[i]`; the weights of a row sum to one."""
        parts_BQK = self.probs_BK[index_BQ]
        known_B = None if self.known_B is None else self.known_B[index_BQ].all(dim=1)
        return replace(self, probs_BK=(weight_BQ.to(parts_BQK)[..., None] * parts_BQK).sum(dim=1), known_B=known_B)

    def smooth(self, epsilon: float) -> Targets:
        """`1 - epsilon` of the target plus `epsilon` of the uninformed probability: 1/K per class, or 1/2 for independent
        classes."""

        return self.having((1 - epsilon) * self.probs_BK + epsilon * self.task.ignorance(self.num_classes))
