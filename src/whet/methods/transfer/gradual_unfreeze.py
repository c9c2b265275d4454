from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from whet.core.batch import Context, Progress
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.stages import Watches
from whet.models.net import Net


class GradualUnfreeze(
    Method, Watches, family="transfer", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Train the head alone at first, then one block more at a time, from the head down to the input.

    Use when: fine-tuning on few samples, where a random head would spoil pretrained weights.
    Do not use when: training from scratch, or the head starts fitted (linear_probe_then_finetune).
    Source: Howard & Ruder 2018, arXiv:1801.06146 (ULMFiT).
    Deviates: blocks are freed at even distances over a stated time, where the paper frees one layer an epoch; so networks of any
    depth end up free.
    Shapes: a block that is not free yet keeps its weights, its BatchNorm statistics and its place in the optimizer.
    """

    identity = {"over": "0st"}
    conflicts = frozenset({"linear_probe"})

    over: Annotated[Duration, Field(description="how long until every block is free: 4ep, 500st or 0.5dur")] = Duration(
        0.5, "dur"
    )

    def start(self, net: Net, context: Context) -> _Thaw:
        return _Thaw(net, self.over)


class _Thaw(Runtime):
    def __init__(self, net: Net, over: Duration) -> None:
        self._net = net
        self._over = over
        blocks = [[name for name in names if net.get_parameter(name).requires_grad] for names in net.blocks()[:-1]]
        self._blocks = [names for names in blocks if names]
        self._eval_only = list(net.eval_only)
        self._held = 0
        self._hold(len(self._blocks) if over.value else 0)

    def _hold(self, count: int) -> None:
        """Hold the first blocks as they are; free the others."""
        self._held = count
        for place, names in enumerate(self._blocks):
            for name in names:
                self._net.get_parameter(name).requires_grad_(place >= count)
        self._net.eval_only = self._eval_only + self._net.layers(
            name for names in self._blocks[:count] for name in names
        )
        self._net.train(self._net.training)

    def after_step(self, progress: Progress) -> None:
        steps, blocks = progress.steps(self._over), len(self._blocks)
        held = blocks - blocks * progress.step // steps if progress.step < steps else 0
        if held != self._held:
            self._hold(held)

    def state_dict(self) -> dict[str, Any]:
        return {"held": self._held}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._hold(state["held"])
