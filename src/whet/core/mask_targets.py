"""Targets of pixels: a class for every pixel of an image, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from whet.core.masks import IGNORE
from whet.core.targets import Targets

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whet.core.task import Task

PixelWeights = Callable[["Tensor", "Tensor"], "Tensor"]
"""Labels, uint8 (B, H, W) with IGNORE, and the loss of every pixel (B, H, W), without gradient, -> weights (B, H, W)."""


@dataclass(frozen=True)
class MaskTargets(Targets):
    """Class numbers of the pixels of a batch. Mixing adds a further layer, so that the loss of a mixed target is the weighted sum
    of the losses of its layers, as for mixed class probabilities.

    label_MBHW: uint8, M layers; IGNORE (255) has no loss. weight_MB: float, the weights of the layers, with sum 1 for every sample.
    smoothing: the share of every target that is spread over all classes. pixel_weights: factors on the losses of pixels, all
    multiplied.
    """

    label_MBHW: Tensor
    weight_MB: Tensor
    task: Task
    num_classes: int
    smoothing: float = 0.0
    pixel_weights: tuple[PixelWeights, ...] = ()

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

    # Losses ---------------------------------------------------------------------------------------------------------------
    def aligned(self, outputs_BKhw: Tensor) -> Tensor:
        """Outputs in the size of the masks, (B, K, H, W)."""
        return resized(outputs_BKhw, self.label_MBHW.shape[2:])

    def at_size(self, size: Sequence[int]) -> MaskTargets:
        """The targets of a coarser grid: the pixel at the centre of each cell."""
        import torch

        rows, columns = (
            ((torch.arange(cells, device=self.label_MBHW.device) + 0.5) * (pixels / cells)).long()
            for cells, pixels in zip(size, self.label_MBHW.shape[2:])
        )
        return replace(self, label_MBHW=self.label_MBHW[:, :, rows[:, None], columns])

    def by_layer(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """The weighted sum of the losses (B,) of the layers; `loss` gets their labels, uint8 (B, H, W) with IGNORE."""
        parts = [weight_B * loss(label_BHW) for label_BHW, weight_B in zip(self.label_MBHW, self.weight_MB)]
        return cast("Tensor", sum(parts[1:], parts[0]))

    def expected(self, loss_BKHW: Tensor) -> Tensor:
        """The expectation of the loss of each class under the target, mean over the pixels that are not ignored, (B,); 0 for an
        image without any."""
        import torch

        def mean(label_BHW: Tensor) -> Tensor:
            valid_BHW = label_BHW != IGNORE
            place_BHW = torch.where(valid_BHW, label_BHW, 0).long()
            pixel_BHW = loss_BKHW.gather(1, place_BHW[:, None])[:, 0]
            if self.smoothing:
                pixel_BHW = (1 - self.smoothing) * pixel_BHW + self.smoothing * loss_BKHW.mean(dim=1)
            pixel_BHW = torch.where(valid_BHW, pixel_BHW, 0)
            for weights in self.pixel_weights:
                pixel_BHW = pixel_BHW * weights(label_BHW, pixel_BHW.detach())
            return pixel_BHW.sum(dim=(1, 2)) / valid_BHW.sum(dim=(1, 2)).clamp(min=1)

        return self.by_layer(mean)

    def smooth(self, epsilon: float) -> MaskTargets:
        """`1 - epsilon` of the target plus `epsilon` spread evenly over all classes."""
        return replace(self, smoothing=self.smoothing + epsilon * (1 - self.smoothing))

    def weighing(self, weights: PixelWeights) -> MaskTargets:
        """The same targets with a further factor on the losses of their pixels."""
        return replace(self, pixel_weights=(*self.pixel_weights, weights))

    def weighted(self, loss: Callable[[MaskTargets], Tensor], weight_K: Tensor) -> Tensor:
        """The loss (B,) with the weight of its class on every pixel."""
        import torch

        weight_K = weight_K.to(self.weight_MB)
        table = torch.cat([weight_K, weight_K.new_zeros(IGNORE + 1 - len(weight_K))])
        return loss(self.weighing(lambda label_BHW, pixel_BHW: table[label_BHW.long()]))

    # Mixing ---------------------------------------------------------------------------------------------------------------
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


def resized(x_BCHW: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, with half-pixel centres."""
    from torch.nn.functional import interpolate

    if tuple(x_BCHW.shape[2:]) == tuple(size):
        return x_BCHW
    return interpolate(x_BCHW, tuple(size), mode="bilinear", align_corners=False)
