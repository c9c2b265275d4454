"""Newton's method without an explicit matrix: conjugate gradients with curvature-vector products, then a line search. Shared by
the optimizers that differ in the curvature they use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from whet.core.batch import Closure
from whet.core.errors import NonFiniteError

Product = Callable[[Tensor], Tensor]
"""A vector (P,) -> the curvature times it, (P,)."""

_ARMIJO, _HALVINGS = 1e-4, 20


class TruncatedNewton(torch.optim.Optimizer):
    """w <- w + t d, where d approximately solves (curvature + damping) d = -gradient, and t starts at the learning rate and is
    halved until the Armijo condition holds. It has no memory between steps."""

    def __init__(self, parameters: list[nn.Parameter], lr: float, damping: float, iterations: int) -> None:
        super().__init__(parameters, {"lr": lr})
        self.parameters, self._damping, self._iterations = parameters, damping, iterations

    def curvature(self, closure: Closure, weights_P: Tensor) -> Product:
        """The product with the curvature at these weights. It may change the weights of the network."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        closure = torch.enable_grad()(closure)
        weights_P, loss = flat(self.parameters), closure()
        gradient_P = self.gradient()
        product = self.curvature(closure, weights_P)
        size = gradient_P.norm()
        direction_P = conjugate_gradients(
            lambda vector_P: product(vector_P) + self._damping * vector_P,
            -gradient_P,
            self._iterations,
            tolerance=float(size * size.sqrt().clamp(max=0.5)),
        )
        slope, length = gradient_P @ direction_P, self.param_groups[0]["lr"]
        for _ in range(_HALVINGS):
            self.put(weights_P + length * direction_P)
            with contextlib.suppress(NonFiniteError):  # the step is too long
                if closure() <= loss + _ARMIJO * length * slope:
                    return loss
            length /= 2
        self.put(weights_P)
        return loss

    def gradient(self) -> Tensor:
        return flat([torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters])

    def put(self, weights_P: Tensor) -> None:
        """Set the weights of the network."""
        for parameter, part in zip(self.parameters, weights_P.split([p.numel() for p in self.parameters])):
            parameter.copy_(part.view_as(parameter))


def flat(tensors: list[Tensor] | list[nn.Parameter]) -> Tensor:
    """All tensors as one vector."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def two_point(function: Callable[[Tensor], Tensor], at_P: Tensor, along_P: Tensor) -> Tensor:
    """The derivative of a function along a vector by central differences. The relative error is about the machine epsilon to the
    power of 2/3."""
    epsilon = torch.finfo(at_P.dtype).eps ** (1 / 3) * (1 + at_P.norm()) / along_P.norm()
    return (function(at_P + epsilon * along_P) - function(at_P - epsilon * along_P)) / (2 * epsilon)


def conjugate_gradients(product: Product, target_P: Tensor, iterations: int, tolerance: float) -> Tensor:
    """An approximate solution x of product(x) = target, with a residual norm of at most the tolerance. If the curvature is not
    positive, it returns the current x, or the target itself in the first iteration.

    Source: Nocedal & Wright 2006, "Numerical optimization", algorithm 7.1.
    """
    x_P, left_P = torch.zeros_like(target_P), target_P.clone()
    along_P, left = left_P, left_P @ left_P
    for iteration in range(iterations):
        if left.sqrt() <= tolerance:
            break
        curved_P = product(along_P)
        bend = along_P @ curved_P
        if bend <= 0:
            return x_P if iteration else target_P
        x_P = x_P + left / bend * along_P
        left_P = left_P - left / bend * curved_P
        left, before = left_P @ left_P, left
        along_P = left_P + left / before * along_P
    return x_P
