"""A module that all text networks pass their token vectors through, so that methods can modify them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


class TokenVectors(nn.Module):
    """Returns the token vectors, float (B, L, D), and the mask of non-padding tokens, bool (B, L), unchanged. Later layers use only
    these two, not the token ids."""

    def forward(self, x_BLD: Tensor, real_BL: Tensor) -> tuple[Tensor, Tensor]:
        return x_BLD, real_BL


def token_vectors(model: nn.Module) -> TokenVectors | None:
    """This module in a network; None if it is not a text network."""
    return next((module for module in model.modules() if isinstance(module, TokenVectors)), None)


@runtime_checkable
class ReadsInContext(Protocol):
    """A text backbone that returns a contextual vector for each token."""

    def states(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        """(contextual vectors, float (B, L, `states_width`), mask of non-padding tokens, bool (B, L))."""
        ...

    @property
    def states_width(self) -> int: ...

    @property
    def table(self) -> nn.Embedding:
        """The embedding table of the tokens."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]: ...
