from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
import torch
from pydantic import Field

from whet.core.batch import Batch, Instances
from whet.core.errors import NoEffectError
from whet.core.instance_targets import InstanceTargets
from whet.core.mask_targets import MaskTargets
from whet.core.masks import IGNORE
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Mixes
from whet.core.targets import Targets
from whet.methods.mix.paste import partners, paste


class CopyPaste(Method, Mixes, family="mix", tasks={"semantic-segmentation", "instance-segmentation"}):
    """Cut objects out of one image along their masks and paste them into another image.

    Use when: the task is segmentation with few examples, and objects can appear anywhere.
    Do not use when: the surroundings of an object determine its class.
    Source: Ghiasi et al. 2021, arXiv:2012.07177.
    Deviates: objects keep their position and size. Crop and scale methods have already transformed the whole images. Without
    object numbers, an object is a connected part of a class other than the most frequent one of its image.
    Shapes: batch.x float (B, C, H, W), instances one entry per sample; the masks of the targets (B, H, W) follow.
    """

    identity = {"prob": 0.0}
    order = 6
    waits = "the objects of an image are selected one by one; connected parts are found on the CPU"

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that instances are pasted into a sample"), Search(0.0, 1.0)
    ] = 0.5
    share: Annotated[
        float, Field(gt=0, le=1, description="probability that an instance of the partner is pasted"), Search(0.2, 1.0)
    ] = 0.5

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.prob == 0:
            return batch
        partner_B, pasted_B = torch.from_numpy(rng.permutation()), rng.bernoulli(self.prob)
        objects = batch.instances or objects_in(batch.targets)
        most = max((len(one.label_N) for one in objects), default=0)
        taken_BN = torch.from_numpy((rng.uniform(shape=(most,)) < self.share) & pasted_B[:, None])
        region_BHW = torch.zeros((len(batch), *batch.x.shape[2:]), dtype=torch.bool, device=batch.x.device)
        for i, partner in enumerate(partner_B.tolist()):
            masks_NHW = objects[partner].mask_NHW
            region_BHW[i] = masks_NHW[taken_BN[i, : len(masks_NHW)].to(masks_NHW.device, non_blocking=True)].any(dim=0)
        return paste(batch, partners(batch, partner_B.to(batch.x.device, non_blocking=True)), region_BHW)


def objects_in(targets: Targets) -> tuple[Instances, ...]:
    """The objects of each image, or the connected parts of every class but the most frequent one of the image."""
    if isinstance(targets, InstanceTargets):
        return tuple(_numbered(*pair) for pair in zip(targets.id_MBHW[0], targets.class_MBN[0], strict=True))
    if not isinstance(targets, MaskTargets):
        raise NoEffectError("the samples have no instances and no masks: copy_paste needs a mask for each object")
    device = targets.label_MBHW.device
    return tuple(
        Instances(*(torch.from_numpy(array).to(device, non_blocking=True) for array in (mask_NHW, label_N)))
        for mask_NHW, label_N in map(_parts, targets.label_MBHW[0].to(torch.uint8).cpu().numpy())
    )


def _numbered(id_HW: torch.Tensor, class_N: torch.Tensor) -> Instances:
    number_N = torch.arange(1, len(class_N) + 1, dtype=id_HW.dtype, device=id_HW.device)
    mask_NHW = id_HW == number_N[:, None, None]
    seen_N = mask_NHW.flatten(1).any(dim=1)
    return Instances(mask_NHW[seen_N], class_N[seen_N])


def _parts(label_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(masks bool (N, H, W), class numbers int64 (N,))."""
    counts = np.bincount(label_HW.ravel(), minlength=IGNORE + 1)[:IGNORE]
    masks, labels = [np.zeros((0, *label_HW.shape), dtype=bool)], []
    for k in np.flatnonzero(counts).tolist():
        if k != counts.argmax():
            count, part_HW = cv2.connectedComponents((label_HW == k).astype(np.uint8))
            masks.append(part_HW == np.arange(1, count)[:, None, None])
            labels += [k] * (count - 1)
    return np.concatenate(masks), np.array(labels, dtype=np.int64)
