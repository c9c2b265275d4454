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
    """Newton steps with the part of the curvature that is never negative: that of the loss, the network taken as straight.

    Use when: as newton_cg, where the network has hidden layers and its own bends would mislead a Newton step.
    Do not use when: batches are small, the network is large, or precision is bf16: noise spoils the curvature.
    Source: Schraudolph 2002, "Fast curvature matrix-vector products for second-order gradient descent"; Martens 2010.
    Deviates: damping is constant.
    Shapes: G v = J^T H J v + R v. H J v is the difference of the gradients at the logits, R v that of the penalties' gradients, for
    weights a little apart along v; J^T sends the first back through the network, exactly. Any loss and any penalty will do.
    """

    identity = None
    exceptions = {"identity": "a training needs an optimizer", "commutes": "only one optimizer can stand in a recipe"}
    conflicts = BENDS_GRADIENTS | {"layerwise_lr"}

    lr: Annotated[
        float, Field(gt=0, description="the first length tried, in units of the Gauss-Newton step"), Search(0.1, 1.0)
    ] = 1.0
    damping: Annotated[
        float, Field(ge=0, description="added to the curvature in every direction"), Search(1e-6, 0.1, log=True)
    ] = 1e-3
    iterations: Annotated[
        int, Field(ge=1, description="most products a step; three gradients each"), Search(5, 100)
    ] = 20

    def optimizer(self, groups: list[dict[str, Any]], net: Net) -> torch.optim.Optimizer:
        return _GaussNewton(net, at_one_rate(groups, self.name), self.lr, self.damping, self.iterations)


class _GaussNewton(TruncatedNewton):
    def __init__(self, net: Net, *settings: Any) -> None:
        super().__init__(*settings)
        self._net = net

    def curvature(self, closure: Closure, weights_P: Tensor) -> Product:
        sizes: list[int] = []  # of the gradients at the logits, one a run of the network

        def ends(point_P: Tensor) -> Tensor:
            """The gradients at the logits, then those of penalties: all that reaches the weights when nothing flows back."""
            seen: list[Tensor] = []

            def stop(logits_BK: Tensor, gradient_BK: Tensor) -> Tensor:
                seen.append(gradient_BK.reshape(-1).to(point_P.dtype))
                return torch.zeros_like(gradient_BK)

            self.put(point_P)
            steered(closure, self._net.head, stop)
            sizes[:] = [len(gradient) for gradient in seen]
            return torch.cat([*seen, self.gradient()])

        def flow_back(at_logits: Tensor) -> Tensor:
            """What these gradients at the logits become at the weights."""
            parts = iter(at_logits.split(sizes))
            self.put(weights_P)
            steered(
                closure,
                self._net.head,
                lambda logits_BK, gradient_BK: next(parts).view_as(gradient_BK).type_as(gradient_BK),
            )
            return self.gradient() - penalties_P

        P = len(weights_P)
        penalties_P = ends(weights_P)[-P:]

        def product(vector_P: Tensor) -> Tensor:
            change = two_point(ends, weights_P, vector_P)
            return flow_back(change[:-P]) + change[-P:]

        return product
