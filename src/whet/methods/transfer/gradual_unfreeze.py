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
    """Train only the head at first, then unfreeze the blocks one by one from the head to the input.

    Use when: fine-tuning on few samples, where the gradients of a random head would damage the pretrained weights.
    Do not use when: training from scratch, or the head is already fitted at the start (linear_probe_then_finetune).
    Source: Howard & Ruder 2018, arXiv:1801.06146 (ULMFiT).
    Deviates: blocks are unfrozen at even intervals over the given time instead of one layer per epoch. Networks of any depth are
    therefore fully unfrozen at its end.
    Shapes: a frozen block keeps its weights, its BatchNorm statistics and its optimizer state.
    """

    identity = {"over": "0st"}
    conflicts = frozenset({"linear_probe"})

    over: Annotated[Duration, Field(description="time until every block is unfrozen: 4ep, 500st or 0.5dur")] = Duration(
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
        self._frozen = 0
        self._freeze(len(self._blocks) if over.value else 0)

    def _freeze(self, count: int) -> None:
        """Freeze the first `count` blocks and unfreeze the others."""
        self._frozen = count
        for position, names in enumerate(self._blocks):
            for name in names:
                self._net.get_parameter(name).requires_grad_(position >= count)
        self._net.eval_only = self._eval_only + self._net.layers(
            name for names in self._blocks[:count] for name in names
        )
        self._net.train(self._net.training)

    def after_step(self, progress: Progress) -> None:
        steps, blocks = progress.steps(self._over), len(self._blocks)
        frozen = blocks - blocks * progress.step // steps if progress.step < steps else 0
        if frozen != self._frozen:
            self._freeze(frozen)

    def state_dict(self) -> dict[str, Any]:
        return {"held": self._frozen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._freeze(state["held"])
