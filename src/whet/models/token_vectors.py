"""The one place in every network for texts where the vectors of the tokens pass, for methods that act there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


class TokenVectors(nn.Module):
    """The vectors of a text's tokens, float (B, L, D), and which of them are no padding, bool (B, L): both as they came. What
    comes behind goes by these two alone, and not by the token ids any more."""

    def forward(self, x_BLD: Tensor, real_BL: Tensor) -> tuple[Tensor, Tensor]:
        return x_BLD, real_BL


def token_vectors(model: nn.Module) -> TokenVectors | None:
    """That place in a network; None in one that is for no texts."""
    return next((module for module in model.modules() if isinstance(module, TokenVectors)), None)


@runtime_checkable
class ReadsInContext(Protocol):
    """A backbone for texts that makes a vector for each token which knows the other tokens."""

    def states(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        """(these vectors, float (B, L, `states_width`), which of them are no padding, bool (B, L))."""
        ...

    @property
    def states_width(self) -> int: ...

    @property
    def table(self) -> nn.Embedding:
        """The vectors that tokens come with."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]: ...
