"""Finds the operations that wait for the device: on a GPU, the host stops there until all work before them is done."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_READS = frozenset(
    f"aten::{name}"
    for name in (
        "_local_scalar_dense",
        "is_nonzero",
        "nonzero",
        "equal",
        "masked_select",
        "_unique2",
        "unique_dim",
        "bincount",
    )
)
_INDEXES = frozenset(["aten::index", "aten::index_put", "aten::index_put_"])


class Waits(TorchDispatchMode):
    """Within the block, `places` collects the source lines that read a value from the device. It works on a CPU too. The
    counters of torch's optimizers (a single number) are on the host in any case."""

    def __init__(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        super().__init__()
        self.places: set[str] = set()
        self._optimizer = optimizer

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func._schema.name
        if (name in _READS and not self._is_counter(args[0])) or (name in _INDEXES and _by_mask(args[1])):
            self.places.add(_place(name))
        return func(*args, **(kwargs or {}))

    def _is_counter(self, tensor: Tensor) -> bool:
        states = self._optimizer.state.values() if self._optimizer is not None else ()
        return tensor.dim() == 0 and any(value is tensor for state in states for value in state.values())


def _by_mask(indices: Sequence[Tensor | None]) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


def _place(name: str) -> str:
    """The innermost line outside the machinery of torch; for its optimizers, their own line."""
    found = [
        frame
        for frame in traceback.extract_stack()
        if frame.filename != __file__ and ("/torch/" not in frame.filename or "/torch/optim/" in frame.filename)
    ]
    return f"{found[-1].filename}:{found[-1].lineno} ({name})"
