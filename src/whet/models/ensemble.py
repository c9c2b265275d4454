"""Several networks that answer as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.core.errors import RecipeError
from whet.models.front import ImageFront
from whet.models.net import Net


class Ensemble(nn.Module):
    """The mean of the networks' probabilities, as logits (B, K)."""

    def __init__(self, nets: Sequence[Net]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)
        self.task = nets[0].task

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.task.combine(torch.stack([net(x_BCHW).float() for net in self.nets], dim=1))


@dataclass(frozen=True)
class Member:
    """One of the networks whose answers become one. shown: from inputs as the first of them takes them to its own. columns: where
    the first one's classes stand among its own."""

    net: Net
    shown: Callable[[Tensor], Tensor]
    columns: tuple[int, ...]

    @classmethod
    def of(cls, net: Net) -> Member:
        """A network that is given its own inputs."""
        return cls(net, lambda x: x, tuple(range(len(net.spec.classes))))

    def __call__(self, x: Tensor) -> Tensor:
        """Logits (B, K), the classes in the first network's order."""
        return self.net(self.shown(x)).float()[:, list(self.columns)]

    def beside(self, shown: Callable[[Tensor], Tensor], columns: Sequence[int]) -> Member:
        """The same network where yet another one's inputs and classes come first."""
        return Member(self.net, lambda x: self.shown(shown(x)), tuple(self.columns[k] for k in columns))


def as_one(nets: Sequence[Net]) -> nn.Module:
    """What asks all of these; the network itself where it is alone."""
    return Ensemble(nets) if len(nets) > 1 else nets[0]


class SideBySide(nn.Module):
    """What several models predict, one beside the other: inputs of the first -> outputs (B, M, K)."""

    def __init__(self, predictors: Sequence[nn.Module]) -> None:
        super().__init__()
        self.predictors = nn.ModuleList(predictors)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([predictor(x).float() for predictor in self.predictors], dim=1)


class Shown(nn.Module):
    """From images as one network takes them to how another takes them: normalised otherwise, and at a size of its own where one is
    given, by an anti-aliased resampling."""

    scale: Tensor
    shift: Tensor

    def __init__(self, theirs: ImageFront, their_size: int | None, ours: ImageFront) -> None:
        super().__init__()
        self.register_buffer("scale", ours.std / theirs.std, persistent=False)
        self.register_buffer("shift", (ours.mean - theirs.mean) / theirs.std, persistent=False)
        self.size = their_size

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = x_BCHW * self.scale + self.shift
        return x if self.size is None else resized(x, self.size)


def shown_as(theirs: Net, their_size: int | None, ours: Net) -> nn.Module:
    """From inputs as one network takes them (`ours`, at any size) to how another takes them: see `Shown`. Of other samples than
    images the fronts must be alike, or it is a RecipeError."""
    if theirs.front.like(ours.front) and not isinstance(ours.front, ImageFront):
        return nn.Identity()
    if not isinstance(theirs.front, ImageFront) or not isinstance(ours.front, ImageFront):
        raise RecipeError(f"a model with {theirs.front} cannot be shown what is prepared by {ours.front}")
    return Shown(theirs.front, their_size, ours.front)


def resized(x_BCHW: Tensor, size: int) -> Tensor:
    """Painted images at another size, by an anti-aliased resampling."""
    if x_BCHW.shape[2:] == (size, size):
        return x_BCHW
    return F.interpolate(x_BCHW, size=(size, size), mode="bilinear", antialias=True)
