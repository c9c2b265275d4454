from __future__ import annotations

import copy
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.language import english
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Compresses
from whet.models.net import Net


class PruneMagnitude(
    Method,
    Compresses,
    family="compress",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """After training, set the smallest weights of the backbone to zero. The model does not become faster.

    Use when: the file of the model is sent or stored compressed (zip, gzip) and must become smaller, or as a reference for methods
    that remove channels.
    Do not use when: inference must become faster or need less memory. Zeros are stored and multiplied like other numbers; use
    prune_structured or low_rank.
    Source: Han, Pool, Tran, Dally 2015, arXiv:1506.02626.
    Deviates: once, without training afterwards, and with one threshold for all layers.
    Shapes: the given share of the weights of all linear layers and convolutions of the backbone becomes zero; biases, norms,
    embeddings and the head stay.
    """

    identity = {"share": 0.0}
    order = 30  # before a head is refitted to the features
    conflicts = frozenset({"low_rank"})

    share: Annotated[
        float,
        Field(ge=0, lt=1, description="fraction of the weights to set to zero, the smallest first"),
        Search(0.1, 0.9),
    ] = 0.3

    @torch.no_grad()
    def compress(self, net: Net, context: Context) -> Net:
        if self.share == 0:
            return net
        sparse = copy.deepcopy(net)
        weights = _weights(sparse)
        if not weights:
            raise NoEffectError("the backbone has no linear layer and no convolution")
        sizes_N = torch.cat([weight.abs().flatten().cpu() for weight in weights])
        count = round(self.share * len(sizes_N))
        zero_N = torch.zeros(len(sizes_N), dtype=torch.bool)
        zero_N[sizes_N.argsort(stable=True)[:count]] = True
        for weight, part in zip(weights, zero_N.split([weight.numel() for weight in weights])):
            weight[part.view(weight.shape).to(weight.device)] = 0
        note = english(
            "prune_magnitude: {count:,} of {n:,} weights are zero; this makes the model smaller only when it is compressed, and "
            "never faster",
            count=count, n=len(sizes_N),
        )  # fmt: skip
        sparse.notes.append(note)
        return sparse


def _weights(net: Net) -> list[Tensor]:
    """The weights of the linear layers and convolutions of the backbone, each once; not those that an embedding shares."""
    tables = {id(module.weight) for module in net.modules() if isinstance(module, nn.Embedding)}
    layers = [m for m in net.backbone.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    found = {id(layer.weight): layer.weight for layer in layers}
    return [weight for key, weight in found.items() if key not in tables]
