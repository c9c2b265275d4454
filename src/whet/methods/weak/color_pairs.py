from __future__ import annotations

from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from whet.core.batch import Context, Loss, Outcome
from whet.core.colour_pairs import LEAST_SIMILARITY, colour_similarity, lab, pairwise_loss
from whet.core.errors import NoEffectError
from whet.core.instance_targets import InstanceTargets
from whet.core.mask_task import MaskTask
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.models.front import ImageFront
from whet.models.net import Net


class ColorPairs(Method, WrapsLoss, family="weak", tasks={"semantic-segmentation", "instance-segmentation"}):
    """Ask for the same class on neighbouring pixels of similar colour, also where nothing is annotated.

    Use when: only points or scribbles are annotated: they say which class is where, the colours say how far it reaches. For
    instance segmentation, when only the boxes of objects are: the colours say what belongs to the object (BoxInst).
    Do not use when: masks are whole, or objects have the colours of their background.
    Source: Tian, Shen, Wang, Chen 2021, arXiv:2012.02310 (BoxInst, equations 5 and 6).
    Deviates: for semantic segmentation, K classes by softmax in place of an object and its background: two pixels agree with the
    probability that both have the same class.
    Shapes: loss (B,) + w * mean over pairs of -log sum over classes of p_i p_j (B,), at the stride of the head. Pairs: 3 x 3
    pixels, 2 apart, with exp(-|colour difference in LAB| / 2) of at least `threshold`. w rises linearly to `weight` during the
    first `warmup` of training. For instance segmentation the pairs with a pixel in the box, for the mask of each object of which
    only the box is known; the head takes them in its own loss, and until the weight is full the box partly for the mask.
    """

    identity = {"weight": 0.0}
    order = 24

    weight: Annotated[
        float, Field(ge=0, description="weight beside the loss of the annotated pixels"), Search(0.1, 2.0, log=True)
    ] = 1.0
    threshold: Annotated[
        float, Field(gt=0, le=1, description="least similarity of the colours of a pair"), Search(0.1, 0.6)
    ] = LEAST_SIMILARITY
    warmup: Annotated[
        float, Field(ge=0, le=1, description="share of training until the weight is full"), Search(0.0, 0.5)
    ] = 0.2

    def wrap_loss(self, loss: Loss, net: Net, context: Context) -> Loss:
        if self.weight == 0:
            return loss
        if isinstance(context.task, MaskTask) and context.task.counts_objects and not context.task.takes_boxes:
            raise NoEffectError("this head does not learn from boxes; use cond_inst")
        front = cast(ImageFront, net.front)

        def paired(outcome: Outcome) -> Tensor:
            height, width = outcome.logits_BK.shape[2:]
            with torch.no_grad():
                rgb_BCHW = (outcome.batch.x.float() * front.std + front.mean).clamp(0, 1)
                colours_BChw = lab(adaptive_avg_pool2d(rgb_BCHW, (height, width)))
                pairs_B8hw = colour_similarity(colours_BChw) >= self.threshold
            rising = min(1.0, outcome.progress.fraction / self.warmup) if self.warmup else 1.0
            targets, weight = outcome.batch.targets, self.weight * rising
            if isinstance(targets, InstanceTargets):
                return loss(outcome.with_targets(targets.paired(pairs_B8hw, weight, rising)))
            return loss(outcome) + weight * pairwise_loss(outcome.logits_BK.log_softmax(dim=1), pairs_B8hw)

        return paired
