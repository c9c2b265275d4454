"""Encodes the visible patches of an image or a spectrogram, for a masked autoencoder: as a transformer does, which gets the tokens
of these patches only, or as a convolutional network does with sparse convolutions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.core.errors import RecipeError
from whet.models.hub import HubBackbone
from whet.models.hub_audio import AudioEncoder
from whet.models.maps import deepest_map
from whet.models.mend import MOMENTUM
from whet.models.patches import patch_count
from whet.models.zoo.vit import VisionTransformer
from whet.models.zoo_audio.yamnet import YAMNet

_LEAST_SIDE = 8  # pixels of a patch; a smaller one can be guessed from the pixels beside it
_PLAIN = frozenset(
    {"deit", "vit", "vit_msn"}
)  # transformers over patches whose positions are added once, before the first block
_MIXES = (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


class VisibleEncoder(Protocol):
    """side: of a patch, in pixels (for spectrograms: frames and bands). width: length of a token."""

    @property
    def side(self) -> int: ...

    @property
    def width(self) -> int: ...

    def __call__(self, x_BCHW: Tensor, seen_BM: Tensor) -> tuple[Tensor, Tensor]:
        """Samples of whole patches, and the numbers of the visible ones (row by row) -> (tokens of no patch, such as the class
        token, (B, E, D); the tokens of the visible patches (B, M, D))."""
        ...


def visible_encoder(backbone: nn.Module, inputs: int, name: str) -> VisibleEncoder:
    """The encoder of this backbone, whose weights it shares. inputs: channels of a sample. RecipeError where it has neither tokens
    of patches nor maps."""
    if isinstance(backbone, VisionTransformer):
        return _Tokens(backbone.embed, backbone.encode, backbone.side, backbone.width)
    if isinstance(backbone, HubBackbone) and (model := cast(Any, backbone.model)).config.model_type in _PLAIN:
        inner = getattr(model, model.base_model_prefix)
        embed = partial(inner.embeddings, interpolate_pos_encoding=True)
        return _Tokens(embed, partial(_through_layers, inner), inner.config.patch_size, inner.config.hidden_size)
    trunk = backbone.features if isinstance(backbone, YAMNet) else backbone  # the windows of YAMNet overlap
    found = None if isinstance(backbone, AudioEncoder) else deepest_map(trunk, inputs)
    if found is None:
        raise RecipeError(
            f"masked_autoencoder: {name} has neither tokens of patches nor feature maps; accepted: convolutional networks, "
            f"vit_tiny, and of transformers those of type {', '.join(sorted(_PLAIN))}"
        )
    stride, channels, block = found
    return _Maps(trunk, trunk.get_submodule(block), max(stride, _LEAST_SIDE), channels)


@dataclass(frozen=True)
class _Tokens:
    """A transformer. embed: samples -> tokens with their positions, those of the patches last. encode: any tokens -> the same
    number of tokens."""

    embed: Callable[[Tensor], Tensor]
    encode: Callable[[Tensor], Tensor]
    side: int
    width: int

    def __call__(self, x_BCHW: Tensor, seen_BM: Tensor) -> tuple[Tensor, Tensor]:
        token_BTD = self.embed(x_BCHW)
        further = token_BTD.shape[1] - patch_count(x_BCHW, self.side)
        seen_BMD = token_BTD[:, further:].gather(1, seen_BM[..., None].expand(-1, -1, token_BTD.shape[2]))
        encoded_BTD = self.encode(torch.cat([token_BTD[:, :further], seen_BMD], dim=1))
        return encoded_BTD[:, :further], encoded_BTD[:, further:]


def _through_layers(model: Any, token_BTD: Tensor) -> Tensor:
    for layer in model.layers:
        token_BTD = layer(token_BTD)
    return cast(Tensor, model.layernorm(token_BTD))


@dataclass(frozen=True)
class _Maps:
    """A convolutional network; a token is the mean of the last map over a patch."""

    trunk: nn.Module
    last: nn.Module
    side: int
    width: int

    def __call__(self, x_BCHW: Tensor, seen_BM: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns = x_BCHW.shape[2] // self.side, x_BCHW.shape[3] // self.side
        visible_BN = torch.zeros((len(x_BCHW), rows * columns), device=x_BCHW.device).scatter(1, seen_BM, 1.0)
        visible = _Visible(visible_BN.view(-1, 1, rows, columns))
        found: list[Tensor] = []
        handle = self.last.register_forward_hook(lambda module, inputs, output: found.append(_first(output)))
        try:
            with visible.only(self.trunk):
                self.trunk(visible.hide(x_BCHW))
        finally:
            handle.remove()
        cell_BND = F.adaptive_avg_pool2d(found[0], (rows, columns)).flatten(2).transpose(1, 2)
        return cell_BND[:, :0], cell_BND.gather(1, seen_BM[..., None].expand(-1, -1, self.width))


def _first(output: Any) -> Tensor:
    return cast(Tensor, output[0] if isinstance(output, tuple) else output)


class _Visible:
    """Sparse convolution by masking: what has been masked is zero wherever neighbours are combined, and BatchNorm counts visible
    values only. Source: Tian et al. 2023, arXiv:2301.03580; Woo et al. 2023, arXiv:2301.00808."""

    def __init__(self, visible_B1hw: Tensor) -> None:
        self._visible_B1hw = visible_B1hw
        self._at: dict[torch.Size, Tensor] = {}

    def at(self, x_BCHW: Tensor) -> Tensor:
        """1 where a cell of this map is visible, otherwise 0, (B, 1, H, W)."""
        size = x_BCHW.shape[2:]
        if size not in self._at:
            self._at[size] = F.interpolate(self._visible_B1hw, size=size)
        return self._at[size].to(x_BCHW.dtype)

    def hide(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW * self.at(x_BCHW)

    @contextlib.contextmanager
    def only(self, trunk: nn.Module) -> Iterator[None]:
        handles, norms = [], []
        for module in trunk.modules():
            if isinstance(module, _MIXES) and getattr(module, "kernel_size", 0) not in (1, (1, 1)):
                handles.append(module.register_forward_pre_hook(lambda module, inputs: self.hide(inputs[0])))
            elif isinstance(module, nn.BatchNorm2d) and module.training and module.track_running_stats:
                handles.append(module.register_forward_hook(self._normalised))
                norms.append(module)
                module.track_running_stats = False  # the statistics of the plain pass are not used
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for module in norms:
                module.track_running_stats = True

    def _normalised(self, norm: Any, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        """BatchNorm with the statistics of the visible values."""
        x_BCHW, seen_B1HW = inputs[0].float(), self.at(inputs[0]).float()
        count = seen_B1HW.sum()
        mean_C11 = (x_BCHW * seen_B1HW).sum(dim=(0, 2, 3), keepdim=True)[0] / count
        centred_BCHW = x_BCHW - mean_C11
        variance_C11 = (centred_BCHW.square() * seen_B1HW).sum(dim=(0, 2, 3), keepdim=True)[0] / count
        with (
            torch.no_grad()
        ):  # not in place: another pass through the network may need the former values for its gradient
            share = MOMENTUM if norm.momentum is None else norm.momentum
            norm.running_mean = norm.running_mean.lerp(mean_C11.flatten(), share)
            unbiased_C11 = variance_C11 * count / (count - 1).clamp(min=1)
            norm.running_var = norm.running_var.lerp(unbiased_C11.flatten(), share)
        scaled_BCHW = centred_BCHW * (variance_C11 + norm.eps).rsqrt()
        if norm.affine:
            scaled_BCHW = scaled_BCHW * norm.weight[:, None, None] + norm.bias[:, None, None]
        return scaled_BCHW.to(output.dtype)
