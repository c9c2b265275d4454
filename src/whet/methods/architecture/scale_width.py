from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.build import rescale
from whet.models.net import Net


class ScaleWidth(Method, Changes, family="architecture", tasks={"image-classification", "semantic-segmentation"}):
    """Build a network of the zoo with more (or fewer) channels.

    Use when: training from scratch and the network underfits. Use a width below 1 if the network must be small or fast.
    Do not use when: the weights are pretrained, because they fit only one width.
    Source: Zagoruyko & Komodakis 2016, arXiv:1605.07146.
    Shapes: multiplies the number of channels of every layer by `width` (rounded to multiples of eight in mobilenet_v2 and
    efficientnet_b0, to whole heads in vit_tiny). The number of weights and the time grow with the square of `width`.
    """

    identity = {"width": 1.0}
    order = 5

    width: Annotated[
        float, Field(gt=0, le=8, description="factor on the number of channels"), Search(0.5, 4.0, log=True)
    ] = 2.0

    def change(self, net: Net, context: Context) -> Net:
        if net.spec.width != self.width:
            rescale(net, width=self.width, depth=net.spec.depth)
        return net
