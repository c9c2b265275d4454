"""Soft targets: what a sample should become, as probabilities from the start.

Mixing and smoothing are linear maps on them, so they commute and a loss needs to know only one form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Targets:
    """Class probabilities of a batch.

    probs_BK: float (B, K). Single-label: each row sums to one. Multi-label: each entry is an independent probability.
    """

    probs_BK: Tensor
    multi_label: bool = False

    @classmethod
    def from_labels(cls, labels_B: Tensor, num_classes: int) -> Targets:
        """One class a sample: int64 (B,) of 0 … K - 1."""
        import torch

        if labels_B.numel() and (int(labels_B.min()) < 0 or int(labels_B.max()) >= num_classes):
            raise ValueError(
                f"labels must lie in 0 … {num_classes - 1}, got {int(labels_B.min())} … {int(labels_B.max())}"
            )
        return cls(torch.nn.functional.one_hot(labels_B, num_classes).to(torch.float32))

    @classmethod
    def from_label_sets(cls, true_BK: Tensor) -> Targets:
        """Any number of classes a sample: bool (B, K)."""
        import torch

        return cls(true_BK.to(torch.float32), multi_label=True)

    def __len__(self) -> int:
        return len(self.probs_BK)

    def __getitem__(self, index: Tensor | slice) -> Targets:
        return Targets(self.probs_BK[index], self.multi_label)

    @property
    def num_classes(self) -> int:
        return self.probs_BK.shape[1]

    def to(self, device: torch.device) -> Targets:
        return Targets(self.probs_BK.to(device), self.multi_label)

    def mix(self, partner_B: Tensor, weight_B: Tensor) -> Targets:
        """Sample i keeps `weight_B[i]` of its own target and takes the rest from sample `partner_B[i]`."""
        w = weight_B.to(self.probs_BK)[:, None]
        return Targets(w * self.probs_BK + (1 - w) * self.probs_BK[partner_B], self.multi_label)

    def gather(self, index_BQ: Tensor, weight_BQ: Tensor) -> Targets:
        """Sample i becomes the weighted mean of the targets of samples `index_BQ[i]`; the weights of a row sum to one."""
        parts_BQK = self.probs_BK[index_BQ]
        return Targets((weight_BQ.to(parts_BQK)[..., None] * parts_BQK).sum(dim=1), self.multi_label)

    def smooth(self, epsilon: float) -> Targets:
        """`1 - epsilon` of the target and `epsilon` of ignorance: 1/K a class, or one half a label if multi-label."""
        ignorance = 0.5 if self.multi_label else 1.0 / self.num_classes
        return Targets((1 - epsilon) * self.probs_BK + epsilon * ignorance, self.multi_label)
