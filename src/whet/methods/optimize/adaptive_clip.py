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
    Method, Watches, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Shorten the gradient of each unit to a share of the length of its weights.

    Use when: batches are large or networks have no norms, so that single units run away.
    Do not use when: only the last layer is trained, which it leaves alone.
    Source: Brock et al. 2021, arXiv:2102.06171 (AGC).
    Shapes: a unit is a row of a weight (out, in, …), or a whole vector of biases or norms; the layer that gives the logits is left
    out, as in the paper. It acts after the methods of the gradient stage.
    """

    identity = None
    exceptions = {"identity": "a bound is never infinite; a very large one leaves every gradient as it is"}
    conflicts = frozenset({"linear_probe"})

    clip: Annotated[
        float, Field(gt=0, description="longest gradient as a share of the weights"), Search(0.005, 0.5, log=True)
    ] = 0.01
    epsilon: Annotated[float, Field(gt=0, description="shortest length of weights that counts, so that zeros move")] = (
        1e-3
    )

    def start(self, net: Net, context: Context) -> _Clipping:
        return _Clipping(self, net)


class _Clipping(Runtime, WrapsStep):
    def __init__(self, method: AdaptiveClip, net: Net) -> None:
        self._method = method
        self._left_out = set(net.linear.parameters())

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        clipped = [parameter for parameter in parameters if parameter not in self._left_out]

        @torch.no_grad()
        def clip() -> None:
            for parameter in clipped:
                if parameter.grad is not None:
                    longest = self._method.clip * _unit_lengths(parameter).clamp(min=self._method.epsilon)
                    parameter.grad *= (longest / _unit_lengths(parameter.grad).clamp(min=1e-6)).clamp(max=1.0)

        return step_with_changed_gradients(step, clip)


def _unit_lengths(tensor: Tensor) -> Tensor:
    """The length of each unit's weights, to be multiplied with them."""
    if tensor.ndim < 2:
        return tensor.norm()
    return torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.ndim)), keepdim=True)
