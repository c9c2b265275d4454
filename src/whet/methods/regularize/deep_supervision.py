from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import RecipeError
from whet.core.mask_targets import MaskTargets
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, WrapsLoss
from whet.models.net import Net


class DeepSupervision(Method, WrapsLoss, Changes, family="regularize", tasks={"semantic-segmentation"}):
    """Train further classifiers on the coarse feature maps of the backbone, which are dropped after training.

    Use when: the network is deep and trained from random weights.
    Do not use when: training is short and the backbone is pretrained.
    Source: Lee et al. 2015, arXiv:1409.5185; Zhao et al. 2017, arXiv:1612.01105 (auxiliary loss).
    Deviates: a classifier is one 1x1 convolution, trained at the resolution of its map, on the class at the centre of each cell.
    Shapes: loss (B,) + weight * mean over the maps of the loss of their classifier (B,), where the loss includes the other loss
    methods. The classifiers are not saved with the model.
    """

    identity = {"weight": 0.0}
    order = 75

    weight: Annotated[
        float, Field(ge=0, description="factor on the mean loss of the classifiers"), Search(0.1, 1.0, log=True)
    ] = 0.4
    levels: Annotated[int, Field(ge=1, description="number of maps, the coarsest first"), Search(1, 3)] = 2

    def change(self, net: Net, context: Context) -> Net:
        if self.weight > 0:
            if net.maps is None:
                raise RecipeError(
                    f"deep_supervision needs the feature maps of a head of whet (fpn, unet, …); {net.spec.architecture} has its own"
                )
            channels = net.maps.channels[1:][-self.levels :]
            net.coarse_classifiers = nn.ModuleList(
                nn.Conv2d(width, net.spec.outputs, 1, device=net.device) for width in channels
            )
        return net

    def wrap_loss(self, loss: Loss, net: Net, context: Context) -> Loss:
        if self.weight == 0:
            return loss
        classifiers = cast(nn.ModuleList, net.coarse_classifiers)

        def supervised(outcome: Outcome) -> Tensor:
            total_B, targets = loss(outcome), cast(MaskTargets, outcome.batch.targets)
            for classifier, map_BDhw in zip(classifiers, outcome.maps[-len(classifiers) :]):
                coarse = outcome.with_targets(targets.at_size(map_BDhw.shape[2:]))
                coarse_B = loss(coarse.with_logits(classifier(map_BDhw.float())))
                total_B = total_B + self.weight / len(classifiers) * coarse_B
            return total_B

        return supervised
