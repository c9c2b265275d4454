"""Targets of objects: the number of the object that every pixel of an image belongs to, and the classes of the objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from whet.core.masks import IGNORE, IGNORE_ID, IdMap
from whet.core.targets import Targets

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whet.core.task import Task

_UNKNOWN = -1
_FAR = 1e6  # pixels: where objects without pixels are


@dataclass(frozen=True)
class Pairs:
    """Which cells have similar colours as each of their eight neighbours, the weight of the loss that follows from it, and whether
    this has begun: 0 … 1."""

    alike_B8hw: Tensor
    weight: float
    begun: float = 1.0


@dataclass(frozen=True)
class ObjectLayer:
    """One layer of the targets of a batch; see `InstanceTargets`. class_BN, boxed_BN, centre_BN2: of the object k at k - 1."""

    id_BHW: Tensor
    class_BN: Tensor
    boxed_BN: Tensor
    label_BHW: Tensor
    centre_BN2: Tensor
    pairs: Pairs | None = None


@dataclass(frozen=True)
class InstanceTargets(Targets):
    """Object numbers of the pixels of a batch. Everything else is derived from them, so what is pasted or cropped has the centres
    of its visible part. Mixing adds a further layer, as in `MaskTargets`.

    id_MBHW: int32, M layers; 0 no object, k object k, -1 unknown (no loss). class_MBN: int64, the class of object k at k - 1.
    boxed_MBN: bool, whether only the box of object k is known; its pixels are those of the box.
    weight_MB: float, the weights of the layers, with sum 1 for every sample. pairs: of `paired`.
    """

    id_MBHW: Tensor
    class_MBN: Tensor
    boxed_MBN: Tensor
    weight_MB: Tensor
    task: Task
    num_classes: int
    pairs: Pairs | None = None

    @classmethod
    def of(cls, maps: Sequence[IdMap], task: Task, num_classes: int) -> InstanceTargets:
        """Unmixed targets from maps of equal size."""
        import torch

        id_BHW = np.stack([one.ids_HW for one in maps]).astype(np.int32)
        id_BHW[id_BHW == IGNORE_ID] = _UNKNOWN
        class_BN = np.zeros((len(maps), max(1, *map(len, maps))), np.int64)
        boxed_BN = np.zeros(class_BN.shape, bool)
        for class_N, boxed_N, one in zip(class_BN, boxed_BN, maps):
            class_N[: len(one)] = one.class_of_id
            boxed_N[[k - 1 for k in one.boxed]] = True
        ids, classes, boxed = (torch.from_numpy(array)[None] for array in (id_BHW, class_BN, boxed_BN))
        return cls(ids, classes, boxed, torch.ones(1, len(maps)), task, num_classes)

    def __len__(self) -> int:
        return self.id_MBHW.shape[1]

    def __getitem__(self, index: Tensor | slice) -> InstanceTargets:
        found = self._having(lambda array_MB: array_MB[:, index])
        return (
            found
            if self.pairs is None
            else replace(found, pairs=replace(self.pairs, alike_B8hw=self.pairs.alike_B8hw[index]))
        )

    def paired(self, alike_B8hw: Tensor, weight: float, begun: float = 1.0) -> InstanceTargets:
        """The same for a loss in which cells of objects of which only the box is known belong together. alike_B8hw: bool, for the
        cells of the outputs and their neighbours; see `core.colour_pairs`."""
        return replace(self, pairs=Pairs(alike_B8hw, weight, begun))

    def to(self, device: torch.device) -> InstanceTargets:
        return self._having(lambda array: array.to(device))

    def _having(self, change: Callable[[Tensor], Tensor]) -> InstanceTargets:
        return replace(
            self,
            id_MBHW=change(self.id_MBHW),
            class_MBN=change(self.class_MBN),
            boxed_MBN=change(self.boxed_MBN),
            weight_MB=change(self.weight_MB),
        )

    # What is derived from the numbers -------------------------------------------------------------------------------------
    @property
    def label_MBHW(self) -> Tensor:
        """The class of every pixel, int64; 0 where no object is, IGNORE where unknown."""
        import torch

        edge_MB1 = self.class_MBN.new_zeros((*self.class_MBN.shape[:2], 1))
        table = torch.cat([edge_MB1 + IGNORE, edge_MB1, self.class_MBN], dim=2)
        return table.gather(2, (self.id_MBHW + 1).long().flatten(2)).view(self.id_MBHW.shape)

    @property
    def centre_MBN2(self) -> Tensor:
        """The mean (y, x) of the pixels of each object, in pixels from the corner of the image; far away where it has none."""
        import torch

        M, B, H, W = self.id_MBHW.shape
        N = self.class_MBN.shape[2]
        own_MBHW = self.id_MBHW.clamp(min=0).long()
        first_MB11 = torch.arange(M * B, device=own_MBHW.device).view(M, B, 1, 1) * (N + 1)
        place = (own_MBHW + first_MB11).flatten()
        y_H, x_W = (torch.arange(side, device=place.device) + 0.5 for side in (H, W))
        values = (torch.ones_like(y_H)[:, None].expand(H, W), y_H[:, None].expand(H, W), x_W.expand(H, W))
        zero = y_H.new_zeros(M * B * (N + 1))
        area, y, x = (zero.index_add(0, place, value.expand(M, B, H, W).flatten()) for value in values)
        centre = torch.stack([y, x], dim=1) / area.clamp(min=1)[:, None]
        return torch.where(area[:, None] > 0, centre, _FAR).view(M, B, N + 1, 2)[:, :, 1:]

    @property
    def share_BK(self) -> Tensor:
        """Shares of the pixels that are not unknown."""
        import torch

        label_MBHW = self.label_MBHW
        share_MBK = torch.stack(
            [(label_MBHW == k).flatten(2).float().mean(dim=2) for k in range(self.num_classes)], dim=2
        )
        share_MBK = share_MBK / share_MBK.sum(dim=2, keepdim=True).clamp(min=1e-9)
        return (self.weight_MB[..., None] * share_MBK).sum(dim=0)

    def by_layer(self, loss: Callable[[ObjectLayer], Tensor]) -> Tensor:
        """The weighted sum of the losses (B,) of the layers."""
        layers = zip(self.id_MBHW, self.class_MBN, self.boxed_MBN, self.label_MBHW, self.centre_MBN2, strict=True)
        layers_M = [ObjectLayer(*layer, self.pairs) for layer in layers]
        parts = [weight_B * loss(layer) for layer, weight_B in zip(layers_M, self.weight_MB, strict=True)]
        return cast("Tensor", sum(parts[1:], parts[0]))

    # Mixing ---------------------------------------------------------------------------------------------------------------
    def differs(self, other: InstanceTargets) -> Tensor:
        import torch

        if self.id_MBHW.shape != other.id_MBHW.shape:
            return torch.ones(len(self), dtype=torch.bool, device=self.weight_MB.device)
        labels = (self.label_MBHW != other.label_MBHW) | ((self.id_MBHW > 0) != (other.id_MBHW > 0))
        return labels.flatten(2).any(dim=2).any(dim=0) | (self.weight_MB != other.weight_MB).any(dim=0)

    def mix(self, partner_B: Tensor, weight_B: Tensor) -> InstanceTargets:
        import torch

        w_B, other = weight_B.to(self.weight_MB), self[partner_B]
        return replace(
            self,
            id_MBHW=torch.cat([self.id_MBHW, other.id_MBHW]),
            class_MBN=torch.cat([self.class_MBN, other.class_MBN]),
            boxed_MBN=torch.cat([self.boxed_MBN, other.boxed_MBN]),
            weight_MB=torch.cat([w_B * self.weight_MB, (1 - w_B) * other.weight_MB]),
        )

    def paste(self, pasted: Targets, region_BHW: Tensor) -> InstanceTargets:
        """Inside the region the pixels of `pasted`, as objects of their own. Both must be unmixed in the same way."""
        import torch

        assert isinstance(pasted, InstanceTargets)
        moved = torch.where(pasted.id_MBHW > 0, pasted.id_MBHW + self.class_MBN.shape[2], pasted.id_MBHW)
        return replace(
            self,
            id_MBHW=torch.where(region_BHW, moved, self.id_MBHW),
            class_MBN=torch.cat([self.class_MBN, pasted.class_MBN], dim=2),
            boxed_MBN=torch.cat([self.boxed_MBN, pasted.boxed_MBN], dim=2),
        )

    def sampled(self, grid_BHW2: Tensor) -> InstanceTargets:
        """Nearest pixel."""
        from torch.nn.functional import grid_sample

        x_BMHW = self.id_MBHW.permute(1, 0, 2, 3).float()
        shown = grid_sample(x_BMHW, grid_BHW2, mode="nearest", padding_mode="border", align_corners=False)
        return replace(self, id_MBHW=shown.permute(1, 0, 2, 3).to(self.id_MBHW.dtype))

    def composed(self, before: InstanceTargets, index_BQ: Tensor, share_BQ: Tensor) -> InstanceTargets:
        return self
