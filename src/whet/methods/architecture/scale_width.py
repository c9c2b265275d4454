from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.build import rescale
from whet.models.net import Net


class ScaleWidth(Method, Changes, family="architecture", tasks={"image-classification"}):
    """Build a network of the zoo with more channels (or fewer).

    Use when: training from scratch and the network underfits; or below one, where it must be small or fast.
    Do not use when: weights are pretrained: they fit one width only.
    Source: Zagoruyko & Komodakis 2016, arXiv:1605.07146.
    Shapes: every layer has so many times its channels (mobilenet_v2 and efficientnet_b0 in steps of eight, vit_tiny of a
    head); weights and time grow with the square.
    """

    identity = {"width": 1.0}
    order = 5

    width: Annotated[float, Field(gt=0, le=8, description="channels, as a multiple"), Search(0.5, 4.0, log=True)] = 2.0

    def change(self, net: Net, context: Context) -> Net:
        if net.spec.width != self.width:
            rescale(net, width=self.width, depth=net.spec.depth)
        return net
