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
from whet.methods.optimize.newton import Product, TruncatedNewton, two_point
from whet.methods.optimize.true_gradient import BENDS_GRADIENTS


class NewtonCG(
    Method, Optimizes, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Newton steps with the curvature of the loss, computed by conjugate gradients, with a line search.

    Use when: the batch is (nearly) all the data: heads on cached features, small networks; or you need the optimum to many
    digits.
    Do not use when: batches are small, the network is large, or precision is bf16. Noise makes the curvature unreliable.
    Source: Martens 2010, "Deep learning via Hessian-free optimization"; Nocedal & Wright 2006, "Numerical optimization", chapter
    7.
    Deviates: damping is constant.
    Shapes: a Hessian-vector product is the difference of two gradients a small distance apart along the vector, because a closure
    may contain any loss and an optimizer cannot differentiate through it twice.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}
    waits = "the conjugate gradients stop by their residual, and the line search compares losses"
    conflicts = BENDS_GRADIENTS | {"layerwise_lr"}

    lr: Annotated[
        float,
        Field(gt=0, description="initial step length of the line search, in units of the Newton step"),
        Search(0.1, 1.0),
    ] = 1.0
    damping: Annotated[
        float, Field(ge=0, description="added to the diagonal of the curvature"), Search(1e-6, 0.1, log=True)
    ] = 1e-3
    iterations: Annotated[
        int, Field(ge=1, description="maximum number of products per step; each takes two gradients"), Search(5, 100)
    ] = 20

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return _Newton(at_one_rate(groups, self.name), self.lr, self.damping, self.iterations)


class _Newton(TruncatedNewton):
    def curvature(self, closure: Closure, weights_P: Tensor) -> Product:
        def gradient_at(point_P: Tensor) -> Tensor:
            self.put(point_P)
            closure()
            return self.gradient()

        return lambda vector_P: two_point(gradient_at, weights_P, vector_P)
