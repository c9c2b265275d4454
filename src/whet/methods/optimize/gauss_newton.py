from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Closure
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import at_one_rate
from whet.methods.optimize.logits import steered
from whet.methods.optimize.newton import Product, TruncatedNewton, two_point
from whet.methods.optimize.true_gradient import BENDS_GRADIENTS
from whet.models.net import Net


class GaussNewton(
    Method, Optimizes, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Newton steps with the Gauss-Newton matrix, the part of the curvature that is never negative.

    Use when: as newton_cg, if the network has hidden layers, whose own curvature would mislead a Newton step.
    Do not use when: batches are small, the network is large, or precision is bf16. Noise makes the curvature unreliable.
    Source: Schraudolph 2002, "Fast curvature matrix-vector products for second-order gradient descent"; Martens 2010.
    Deviates: damping is constant.
    Shapes: G v = J^T H J v + R v. H J v is the difference of the gradients at the logits, and R v the difference of the
    penalties' gradients, for weights a small distance apart along v. J^T is an exact backward pass through the network. Any loss
    and any penalty can be used.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}
    waits = "the conjugate gradients stop by their residual, and the line search compares losses"
    conflicts = BENDS_GRADIENTS | {"layerwise_lr"}

    lr: Annotated[
        float,
        Field(gt=0, description="initial step length of the line search, in units of the Gauss-Newton step"),
        Search(0.1, 1.0),
    ] = 1.0
    damping: Annotated[
        float, Field(ge=0, description="added to the diagonal of the curvature"), Search(1e-6, 0.1, log=True)
    ] = 1e-3
    iterations: Annotated[
        int, Field(ge=1, description="maximum number of products per step; each takes three gradients"), Search(5, 100)
    ] = 20

    def optimizer(self, groups: list[dict[str, Any]], net: Net) -> torch.optim.Optimizer:
        return _GaussNewton(net, at_one_rate(groups, self.name), self.lr, self.damping, self.iterations)


class _GaussNewton(TruncatedNewton):
    def __init__(self, net: Net, *settings: Any) -> None:
        super().__init__(*settings)
        self._net = net

    def curvature(self, closure: Closure, weights_P: Tensor) -> Product:
        sizes: list[int] = []  # sizes of the gradients at the logits, one per forward pass of the network

        def stopped_gradients(point_P: Tensor) -> Tensor:
            """The gradients at the logits, then those of the penalties, with the backward pass stopped at the logits."""
            seen: list[Tensor] = []

            def stop(logits_BK: Tensor, gradient_BK: Tensor) -> Tensor:
                seen.append(gradient_BK.reshape(-1).to(point_P.dtype))
                return torch.zeros_like(gradient_BK)

            self.put(point_P)
            steered(closure, self._net.head, stop)
            sizes[:] = [len(gradient) for gradient in seen]
            return torch.cat([*seen, self.gradient()])

        def backward_from_logits(at_logits: Tensor) -> Tensor:
            """The gradients of the weights for these gradients at the logits."""
            parts = iter(at_logits.split(sizes))
            self.put(weights_P)
            steered(
                closure,
                self._net.head,
                lambda logits_BK, gradient_BK: next(parts).view_as(gradient_BK).type_as(gradient_BK),
            )
            return self.gradient() - penalties_P

        P = len(weights_P)
        penalties_P = stopped_gradients(weights_P)[-P:]

        def product(vector_P: Tensor) -> Tensor:
            change = two_point(stopped_gradients, weights_P, vector_P)
            return backward_from_logits(change[:-P]) + change[-P:]

        return product
