"""The steps whose losses are still on the device, so that a training step does not wait for it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from whet.core.errors import NonFiniteError
from whet.training.plan import Plan

READ_EVERY = 20  # steps


def steps_between_reads(plan: Plan, device: torch.device) -> int:
    """1 on a CPU, where reading a loss costs nothing, and where a method waits for the device anyway."""
    waits = device.type == "cpu" or any(method.waits for method in plan.methods)
    return 1 if waits else READ_EVERY


class Figures:
    """The figures that methods record in one step (`Outcome.record`), on the device."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}

    def record(self, figure: str, value: Tensor) -> None:
        self._values.setdefault(figure, []).append(value.detach().float())

    def means(self) -> dict[str, Tensor]:
        return {figure: torch.stack(values).mean() for figure, values in self._values.items()}


class Unread:
    """The records of the last steps. Reading a loss waits for the device, so the losses of `every` steps are read at once. With
    every = 1, a loss or gradient that is not finite raises NonFiniteError within its step, before the optimizer changes a weight;
    otherwise `read` raises it, and names the first such step. `read` comes before every validation and checkpoint."""

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self._records: list[dict[str, Any]] = []
        self._values: list[dict[str, Tensor]] = []  # the loss and the figures of every step
        self._finite: list[Tensor] = []  # bool (), of every step
        self._now: list[Tensor] = []  # bool (), of every loss and gradient in the current step

    def check(self, loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
        """Check the loss and the gradients of a closure, and return the loss."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.every == 1:
            if not torch.isfinite(loss):
                raise NonFiniteError(f"the loss became {loss.item()}")
            if gradients and not torch.isfinite(torch.nn.utils.get_total_norm(gradients)):
                raise NonFiniteError("the gradient is not finite")
            return loss
        self._now.append(torch.isfinite(loss))
        if gradients:
            self._now.append(torch.isfinite(torch.nn.utils.get_total_norm(gradients)))
        return loss

    def add(self, loss: Tensor, figures: Figures | None = None, /, **record: Any) -> None:
        """Add a step."""
        self._records.append(record)
        self._values.append({"loss": loss.float(), **({} if figures is None else figures.means())})
        if self._now:
            self._finite.append(torch.stack(self._now).all())
            self._now.clear()

    @property
    def due(self) -> bool:
        return len(self._records) >= self.every

    def read(self) -> list[dict[str, Any]]:
        """The records of the steps since the last call, with their losses."""
        if not self._records:
            return []
        found = iter(torch.stack([value for values in self._values for value in values.values()]).tolist())
        records = [
            record | {name: next(found) for name in values} for record, values in zip(self._records, self._values)
        ]
        finite = torch.stack(self._finite).tolist() if self._finite else [True] * len(records)
        for each in (self._records, self._values, self._finite):
            each.clear()
        for record, is_finite in zip(records, finite):
            if not is_finite:
                what = (
                    "the gradient is not finite"
                    if math.isfinite(record["loss"])
                    else f"the loss became {record['loss']}"
                )
                raise NonFiniteError(f"step {record['step']}: {what}. {advice(record['lr'])}")
        return records


def advice(lr: float) -> str:
    return f"The previous checkpoint is valid. The learning rate was {lr:g}; a tenth of it, or the method clip_norm, usually helps"
