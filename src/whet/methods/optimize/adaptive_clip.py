from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context, Step
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Watches, WrapsStep
from whet.methods.optimize.changed import step_with_changed_gradients
from whet.models.net import Net


class AdaptiveClip(
    Method,
    Watches,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Clip the gradient of each unit to a fraction of the norm of its weights.

    Use when: batches are large or networks have no norms, and the gradients of single units become too large.
    Do not use when: only the last layer is trained, because the method skips it.
    Source: Brock et al. 2021, arXiv:2102.06171 (AGC).
    Shapes: a unit is a row of a weight (out, in, …), or a whole vector of biases or norms. The layer that outputs the logits is
    skipped, as in the paper. The method acts after the methods of the gradient stage.
    """

    identity = None
    exceptions = {"identity": "a bound is never infinite; a very large one changes no gradient"}
    conflicts = frozenset({"linear_probe"})

    clip: Annotated[
        float,
        Field(gt=0, description="maximum norm of the gradient as a fraction of the norm of the weights"),
        Search(0.005, 0.5, log=True),
    ] = 0.01
    epsilon: Annotated[
        float, Field(gt=0, description="lower bound of the norm of the weights, so that zero weights can change")
    ] = 1e-3

    def start(self, net: Net, context: Context) -> _Clipping:
        return _Clipping(self, net)


class _Clipping(Runtime, WrapsStep):
    def __init__(self, method: AdaptiveClip, net: Net) -> None:
        self._method = method
        self._skipped = set(net.last.parameters())

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        clipped = [parameter for parameter in parameters if parameter not in self._skipped]

        @torch.no_grad()
        def clip() -> None:
            for parameter in clipped:
                if parameter.grad is not None:
                    longest = self._method.clip * _unit_lengths(parameter).clamp(min=self._method.epsilon)
                    parameter.grad *= (longest / _unit_lengths(parameter.grad).clamp(min=1e-6)).clamp(max=1.0)

        return step_with_changed_gradients(step, clip)


def _unit_lengths(tensor: Tensor) -> Tensor:
    """The norm of the weights of each unit, in a shape that broadcasts with them."""
    if tensor.ndim < 2:
        return tensor.norm()
    return torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.ndim)), keepdim=True)
