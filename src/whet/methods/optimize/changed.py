"""A step whose closure changes the gradients, shared by the methods that change gradients."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from whet.core.batch import Closure, Step


def step_with_changed_gradients(step: Step, change: Callable[[], None]) -> Step:
    """`change` runs after every backward pass, so that a line search uses the changed gradients too."""

    def changed_step(closure: Closure) -> Tensor:
        def changed() -> Tensor:
            loss = closure()
            change()
            return loss

        return step(changed)

    return changed_step
