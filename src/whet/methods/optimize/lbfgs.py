from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import at_one_rate


class LBFGS(
    Method, Optimizes, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Quasi-Newton steps from a limited history of gradients, with a strong Wolfe line search.

    Use when: the loss is smooth and the batch is (nearly) all the data: heads on cached features, small networks.
    Do not use when: batches are small or the network is large. The noise makes the curvature unreliable.
    Source: Liu & Nocedal 1989, "On the limited memory BFGS method for large scale optimization". Uses torch.optim.LBFGS.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}
    waits = "the line search compares losses"
    conflicts = frozenset({"layerwise_lr"})

    lr: Annotated[
        float,
        Field(gt=0, description="initial step length of the line search, in units of the quasi-Newton step"),
        Search(0.1, 1.0),
    ] = 1.0
    history: Annotated[int, Field(ge=1, description="number of stored gradients"), Search(5, 100)] = 10
    iterations: Annotated[int, Field(ge=1, description="iterations per batch"), Search(1, 50)] = 10

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return _LBFGS(
            at_one_rate(groups, self.name),
            lr=self.lr,
            max_iter=self.iterations,
            history_size=self.history,
            line_search_fn="strong_wolfe",
        )


class _LBFGS(torch.optim.LBFGS):
    def _gather_flat_grad(self) -> Tensor:
        """Uses reshape, because torch's version uses views, which do not exist for gradients in channels-last memory format."""
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._params]
        return torch.cat([gradient.reshape(-1) for gradient in gradients])
