from __future__ import annotations

import copy
from collections import Counter
from functools import partial
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.language import english
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, Compresses
from whet.models.net import Net
from whet.models.same_padding import SamePaddedConv2d, TensorFlowConv2d

_MULTIPLE = 8  # ranks are rounded up to it; other widths are no faster than the next multiple
_LEAST_POWER = 1e-9  # of an input of a layer, as a share of the largest: so that unused inputs are not divided by zero
_LARGEST_SHARE = 0.8  # of the rank with as many multiplications as the layer

Layer = nn.Linear | nn.Conv2d


class LowRank(
    Method,
    Compresses,
    Changes,
    family="compress",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """After training, replace each linear layer and each 1x1 convolution by two thinner layers, where that is faster.

    Use when: there is no time to train again, the network has wide linear layers or 1x1 convolutions (text encoders, vision
    transformers, MobileNets), and some accuracy may be lost.
    Do not use when: every point of accuracy counts: nothing is trained afterwards, and trained weights are rarely of low rank. With
    energy_of: weights, no layer of MobileNetV1 0.75 or MiniLM was replaced at 0.95, and at 0.9 they lost 51 points (TrashNet) and 7
    (TREC-6) for 1 and 4 % fewer weights; with outputs and 0.99, they lost 9 and 7 points for 33 and 18 % fewer. In a
    convolutional network prune_structured, which trains again, loses less.
    Source: Eckart & Young 1936, doi:10.1007/BF02288367 (the truncated SVD is the best approximation of its rank); for networks Xue,
    Li, Gong 2013 (Interspeech) and Denton et al. 2014, arXiv:1404.0736.
    Deviates: the rank of a layer is the smallest that keeps the given share of the energy, rounded up to a multiple of 8. A layer
    of m x n is replaced if this rank is at most 0.8 mn / (m + n); at mn / (m + n) both forms need as many multiplications. No clock
    decides, so results are reproducible. In onnxruntime (ten sizes from 64 to 1,536, one thread) two layers took 0.59 to 0.85 of
    the time at 0.8 mn / (m + n), and 0.80 to 1.04 at mn / (m + n). The head and layers with tied weights are left as they are.
    Shapes: weight (m, n) ~ up (m, r) @ down (r, n), each with the square root of the singular values; the bias belongs to `up`.
    energy_of: outputs (Zhang et al. 2016, arXiv:1505.06798) decomposes weight @ C^(1/2), where C (n, n) is the mean of x x^T over
    the inputs x of the layer: of all layers of that rank, the outputs then differ least on the training samples.
    """

    identity = {"energy": 1.0}
    order = 40  # before a head is refitted to the features
    found_by_run = frozenset({"ranks"})

    energy: Annotated[
        float,
        Field(
            gt=0, le=1, description="share of the sum of squared singular values that a layer keeps; 1 changes nothing"
        ),
        Search(0.8, 0.99),
    ] = 0.95
    energy_of: Annotated[
        Literal["weights", "outputs"],
        Field(
            description="what the energy is measured on: the weights alone, or the outputs of the layer on the training samples "
            "(one pass over them; loses less accuracy; not for masks)"
        ),
    ] = "weights"
    ranks: Annotated[
        dict[str, int],
        Field(
            description="rank of each replaced layer; found after training and stored with the network, so leave it out"
        ),
    ] = {}

    def change(self, net: Net, context: Context) -> Net:
        for name, rank in self.ranks.items():
            net.set_submodule(name, TwoLayers(cast(Layer, net.get_submodule(name)), rank))
        if self.ranks:
            net.built_with(self)
        return net

    @torch.no_grad()
    def compress(self, net: Net, context: Context) -> Net:
        if self.energy == 1:
            return net
        layers = _layers(net)
        if not layers:
            raise NoEffectError("the backbone has no linear layer and no 1x1 convolution of its own")
        before, thinner = _size(net), copy.deepcopy(net)
        inputs = _inputs(thinner, list(layers), context) if self.energy_of == "outputs" else {}
        parts = {name: _factors(layer, inputs.get(name)) for name, layer in layers.items()}
        ranks = {name: rank for name, part in parts.items() if (rank := _rank(part, self.energy))}
        if not ranks:
            raise NoEffectError(
                f"at energy {self.energy:g}, two thinner layers would not be faster for any of {len(layers)} layers"
            )
        self.replace(ranks=ranks).change(thinner, context)
        for name, rank in ranks.items():
            cast(TwoLayers, thinner.get_submodule(name)).set_factors(parts[name], layers[name].bias, rank)
        note = english(
            "low_rank: {count} of {n} layers became two thinner ones; {before:,} weights became {after:,}",
            count=len(ranks), n=len(layers), before=before, after=_size(thinner),
        )  # fmt: skip
        thinner.notes.append(note)
        return thinner.eval()


class TwoLayers(nn.Module):
    """Two layers in place of one, n -> rank -> m, with random weights. `weight` and `bias` are those of the one layer, for code
    that reads them."""

    def __init__(self, layer: Layer, rank: int) -> None:
        super().__init__()
        self.down: Layer
        self.up: Layer
        if isinstance(layer, nn.Conv2d):
            self.down = nn.Conv2d(layer.in_channels, rank, 1, stride=layer.stride[0], bias=False)
            self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=layer.bias is not None)
        else:
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=layer.bias is not None)
        self.to(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))

    def set_factors(self, factors: tuple[Tensor, Tensor, Tensor], bias: Tensor | None, rank: int) -> None:
        """Set the weights to the best approximation of this rank."""
        left_MR, values_R, right_RN = factors
        root_R = values_R[:rank].sqrt()
        self.up.weight.copy_((left_MR[:, :rank] * root_R).view(self.up.weight.shape))
        self.down.weight.copy_((root_R[:, None] * right_RN[:rank]).view(self.down.weight.shape))
        if bias is not None and self.up.bias is not None:
            self.up.bias.copy_(bias)

    @property
    def weight(self) -> Tensor:
        product_MN = self.up.weight.flatten(1) @ self.down.weight.flatten(1)
        return product_MN.view(*product_MN.shape, *self.up.weight.shape[2:])

    @property
    def bias(self) -> Tensor | None:
        return self.up.bias


def _layers(net: Net) -> dict[str, Layer]:
    """The linear layers and 1x1 convolutions of the backbone that can be replaced, by name. Not those with tied weights, with
    hooks or children (methods attached something), or that a module calls from a list of its own."""
    uses = Counter(id(parameter) for _, parameter in net.named_parameters(remove_duplicate=False))
    lists = [value for module in net.backbone.modules() for value in vars(module).values() if isinstance(value, list)]
    listed = {id(one) for value in lists for one in value}
    return {
        name: cast(Layer, module)
        for name, module in net.backbone.named_modules(prefix="backbone")
        if _is_matrix(module) and uses[id(module.weight)] == 1 and id(module) not in listed
        and not (module._forward_hooks or module._forward_pre_hooks or list(module.children()))
    }  # fmt: skip


def _is_matrix(module: nn.Module) -> bool:
    if type(module) is nn.Linear:
        return True
    if type(module) not in (nn.Conv2d, SamePaddedConv2d, TensorFlowConv2d):
        return False
    layer = cast(nn.Conv2d, module)
    return (
        layer.kernel_size == (1, 1)
        and layer.groups == 1
        and len({*layer.stride}) == 1
        and layer.padding in ((0, 0), "valid", "same")
    )


def _inputs(net: Net, names: list[str], context: Context) -> dict[str, Tensor]:
    """The sum of x x^T over the inputs x of each of these layers on the training samples, (n, n)."""
    found: dict[str, Tensor] = {}

    def add(name: str, layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0] if isinstance(layer, nn.Linear) else given[0].movedim(1, -1)
        x_MN = x.detach().flatten(0, -2).double()
        found[name] = found.get(name, 0) + x_MN.T @ x_MN

    handles = [net.get_submodule(name).register_forward_pre_hook(partial(add, name)) for name in names]
    try:
        context.features(net.backbone)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _factors(layer: Layer, inputs_NN: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """The singular value decomposition of the weight, in double precision: of the weight itself, or with regard to its inputs."""
    weight_MN = layer.weight.detach().flatten(1).double()
    if inputs_NN is None:
        left, values, right = torch.linalg.svd(weight_MN, full_matrices=False)
        return left, values, right
    power_N, axes_NN = torch.linalg.eigh(inputs_NN)
    root_N = power_N.clamp(min=_LEAST_POWER * float(power_N.max().clamp(min=1e-300))).sqrt()
    left, values, right = torch.linalg.svd(weight_MN @ (axes_NN * root_N), full_matrices=False)
    return left, values, right @ (axes_NN / root_N).T


def _rank(factors: tuple[Tensor, Tensor, Tensor], energy: float) -> int | None:
    """The smallest rank with this share of the energy, a multiple of 8; None where two layers of it would not be faster."""
    left_MR, values_R, right_RN = factors
    kept_R = values_R.square().cumsum(0)
    needed = 1 + int((kept_R < energy * kept_R[-1]).sum())
    rank = -(-needed // _MULTIPLE) * _MULTIPLE
    m, n = len(left_MR), right_RN.shape[1]
    return rank if rank <= _LARGEST_SHARE * m * n / (m + n) else None


def _size(net: Net) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
