from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.build import rescale
from whet.models.net import Net


class ScaleDepth(Method, Changes, family="architecture", tasks={"image-classification", "semantic-segmentation"}):
    """Build a network of the zoo with more layers at each resolution.

    Use when: training from scratch and the network underfits.
    Do not use when: the weights are pretrained, or the network has no residual branches (lenet, alexnet, vgg16) and would train
    badly with more layers.
    Source: He et al. 2016, arXiv:1512.03385; as one of three scales: Tan & Le 2019, arXiv:1905.11946.
    Shapes: multiplies the number of blocks in every stage (of convolutions in lenet, alexnet and vgg16) by `depth`.
    """

    identity = {"depth": 1}
    order = 5

    depth: Annotated[
        int, Field(ge=1, le=8, description="factor on the number of layers"), Search(choices=(1, 2, 3))
    ] = 2

    def change(self, net: Net, context: Context) -> Net:
        if net.spec.depth != self.depth:
            rescale(net, width=net.spec.width, depth=self.depth)
        return net
