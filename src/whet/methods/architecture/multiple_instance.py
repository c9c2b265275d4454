from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.bags import pool_tiles
from whet.models.net import Net


class MultipleInstance(Method, Changes, family="architecture", tasks={"image-classification"}):
    """Cut each image into tiles, run the backbone on each, and pool their vectors by gated attention.

    Use when: few tiles show why an image has its label (a defect, a lesion, one piece of waste on a belt), and nobody marked
    them. Set train.image_size so that a tile has the size at which the object is seen well: tiles of 224 px are image_size 672
    with `tiles: 3`. `whet explain` shows the tiles that decide.
    Do not use when: the class is that of the whole image, or tiles are smaller than the backbone can see (32 px for most).
    Source: Ilse, Tomczak, Welling 2018, arXiv:1802.04712 (gated attention). Deviates: mini-batches of bags with equally many tiles;
    one attention for all classes, also with several labels.
    Shapes: x (B, C, H, W) -> tiles (B * T, C, h, w) -> vectors (B * T, D) -> sum_t a_t h_t, (B, D), with
    a = softmax_t(w' (tanh(V h_t) * sigmoid(U h_t))) and T = tiles². The cost is that of the plain network at the same image size.
    """

    identity = {"tiles": 1}
    order = 20
    conflicts = frozenset({"linear_probe", "manifold_mixup"})  # its rows inside the backbone are tiles, not images
    example = {"tiles": 2}

    tiles: Annotated[
        int, Field(ge=1, le=16, description="tiles along each side of the image"), Search(choices=(2, 3, 4))
    ] = 3
    hidden: Annotated[int, Field(ge=1, le=1024, description="units of the attention (V and U)")] = 128

    def change(self, net: Net, context: Context) -> Net:
        if self.tiles == 1:
            return net
        if net.by_pixel:
            raise NoEffectError("the network predicts pixels, not one vector for an image")
        pool_tiles(net.backbone, net.width, self.tiles, self.hidden)
        net.built_with(self)
        return net
