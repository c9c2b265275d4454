"""Targets of pixels: a class for every pixel of an image, or none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from whet.core.targets import Targets

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whet.core.task import Task


@dataclass(frozen=True)
class MaskTargets(Targets):
    """Class numbers of the pixels of a batch. Mixing adds a further layer, so that the loss of a mixed target is the weighted sum
    of the losses of its layers, as for mixed class probabilities.

    label_MBHW: uint8, M layers; IGNORE (255) has no loss. weight_MB: float, the weights of the layers, with sum 1 for every sample.
    """

    label_MBHW: Tensor
    weight_MB: Tensor
    task: Task
    num_classes: int

    @classmethod
    def of(cls, label_BHW: Tensor, task: Task, num_classes: int) -> MaskTargets:
        """Unmixed targets."""
        import torch

        return cls(label_BHW[None], torch.ones(1, len(label_BHW), device=label_BHW.device), task, num_classes)

    def __len__(self) -> int:
        return self.label_MBHW.shape[1]

    def __getitem__(self, index: Tensor | slice) -> MaskTargets:
        return replace(self, label_MBHW=self.label_MBHW[:, index], weight_MB=self.weight_MB[:, index])

    def to(self, device: torch.device) -> MaskTargets:
        return replace(self, label_MBHW=self.label_MBHW.to(device), weight_MB=self.weight_MB.to(device))

    @property
    def share_BK(self) -> Tensor:
        """Shares of the pixels that are not ignored."""
        import torch

        share_MBK = torch.stack(
            [(self.label_MBHW == k).flatten(2).float().mean(dim=2) for k in range(self.num_classes)], dim=2
        )
        return (self.weight_MB[..., None] * share_MBK / share_MBK.sum(dim=2, keepdim=True).clamp(min=1e-9)).sum(dim=0)

    def differs(self, other: MaskTargets) -> Tensor:
        import torch

        if self.label_MBHW.shape != other.label_MBHW.shape:
            return torch.ones(len(self), dtype=torch.bool, device=self.weight_MB.device)
        labels = (self.label_MBHW != other.label_MBHW).flatten(2).any(dim=2).any(dim=0)
        return labels | (self.weight_MB != other.weight_MB).any(dim=0)

    def mix(self, partner_B: Tensor, weight_B: Tensor) -> MaskTargets:
        import torch

        w_B = weight_B.to(self.weight_MB)
        other = self[partner_B]
        return replace(
            self,
            label_MBHW=torch.cat([self.label_MBHW, other.label_MBHW]),
            weight_MB=torch.cat([w_B * self.weight_MB, (1 - w_B) * other.weight_MB]),
        )

    def paste(self, pasted: Targets, region_BHW: Tensor) -> MaskTargets:
        """Inside the region the pixels of `pasted`. Both must be unmixed in the same way."""
        import torch

        assert isinstance(pasted, MaskTargets)
        return replace(self, label_MBHW=torch.where(region_BHW, pasted.label_MBHW, self.label_MBHW))

    def sampled(self, grid_BHW2: Tensor) -> MaskTargets:
        """Nearest pixel."""
        from torch.nn.functional import grid_sample

        x_BMHW = self.label_MBHW.permute(1, 0, 2, 3).float()
        shown = grid_sample(x_BMHW, grid_BHW2, mode="nearest", padding_mode="border", align_corners=False)
        return replace(self, label_MBHW=shown.permute(1, 0, 2, 3).to(self.label_MBHW.dtype))

    def composed(self, before: MaskTargets, index_BQ: Tensor, share_BQ: Tensor) -> MaskTargets:
        return self
