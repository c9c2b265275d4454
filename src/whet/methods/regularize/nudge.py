"""A second forward pass for a batch with perturbed inputs: the image or the audio clip itself, or the token embeddings of a text.
Only the first pass updates the running statistics of BatchNorm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from whet.core.batch import Outcome
from whet.models.token_vectors import TokenVectors

Move = Callable[[Tensor], Tensor]
Value = Callable[[Outcome], Tensor]


def value_where_moved(outcome: Outcome, value: Value, move: Move) -> Tensor:
    """`value` of the outputs for inputs that `move` has changed, (B,)."""
    batch = outcome.batch
    with contextlib.ExitStack() as stack:
        stack.enter_context(_statistics_kept(outcome.model))
        if batch.x.is_floating_point():
            batch = batch.replace(x=move(batch.x))
        else:
            vectors = next(module for module in outcome.model.modules() if isinstance(module, TokenVectors))
            handle = vectors.register_forward_hook(lambda module, inputs, output: _moved_vectors(move, *output))
            stack.callback(handle.remove)
        return value(replace(outcome, batch=batch, logits_BK=outcome.forward(batch.x)))


def _moved_vectors(move: Move, x_BLD: Tensor, real_BL: Tensor) -> tuple[Tensor, Tensor]:
    """Applies `move` to normalized token embeddings: each text is scaled to a root mean square of 1, with padding counted as
    zero. The size of a move is then relative to the norm of the text's own embeddings, whatever their scale and the amount of
    padding (Miyato et al. 2017 normalize the embeddings themselves)."""
    own_BLD = x_BLD * real_BL[..., None]
    scale_B = own_BLD.detach().float().flatten(1).square().mean(dim=1).sqrt().clamp(min=1e-12)
    scale_B11 = scale_B.to(x_BLD)[:, None, None]
    return torch.where(real_BL[..., None], move(own_BLD / scale_B11) * scale_B11, x_BLD), real_BL


def value_and_gradient(
    outcome: Outcome, value: Value, start: Move = torch.zeros_like, *, create_graph: bool = False
) -> tuple[Tensor, Tensor]:
    """`value` of the outputs for an input moved by start(input), (B,), and its gradient with respect to that move."""
    shifts: list[Tensor] = []

    def moved(hidden: Tensor) -> Tensor:
        if not shifts:
            shifts.append(start(hidden.detach()).requires_grad_())
        return hidden + shifts[0]

    value_B = value_where_moved(outcome, value, moved)
    (gradient,) = torch.autograd.grad(value_B.sum(), shifts, create_graph=create_graph)
    return value_B, gradient


def sized(direction: Tensor, size: float) -> Tensor:
    """Scales the direction of each sample to a root mean square of `size`. Zero stays zero."""
    rows = direction.flatten(1)
    rows = rows / rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-30)  # avoids underflow of the squares
    rms = rows.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-12)
    return (rows * (size / rms)).view_as(direction)


@contextlib.contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    norms = [norm for norm in norms if norm.training]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
