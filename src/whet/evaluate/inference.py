"""Inference: the logits of a predictor for all readable samples."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.core.errors import NonFiniteError
from whet.core.outputs import rows_joined
from whet.data.loader import Loader, Rendered, chunks
from whet.models.net import Net

# On a CPU, small batches use the cache better and avoid allocating new memory for every tensor.
_BATCH = {"cpu": 16, "cuda": 128}


Keep = Callable[[Tensor, Any], Tensor]
"""The outputs of a batch, and the masks of its samples where they have any -> what is kept of them, on the CPU."""


def as_it_is(outputs: Tensor, masks: Any) -> Tensor:
    return outputs.cpu()


def run_inference(
    net: Net,
    predictor: Callable[[Tensor], Tensor],
    loader: Loader,
    size: int,
    autocast: Callable[[], AbstractContextManager[Any]],
    failed: Callable[[int, str], Any] = lambda index, reason: None,
    batch_size: int | None = None,
    keep: Keep = as_it_is,
) -> tuple[Tensor, np.ndarray]:
    """(outputs float32 (N, …) on the CPU, sample numbers (N,)); samples that cannot be read are passed to `failed` and left out.
    keep: what is kept of each batch, such as `Task.statistics`.
    NonFiniteError for NaN or infinite logits."""
    return concatenated(
        infer_batches(net, predictor, loader, size, autocast, failed, batch_size, keep), len(net.spec.classes)
    )


def concatenated(batches: Iterable[tuple[Tensor, np.ndarray]], num_classes: int = 0) -> tuple[Tensor, np.ndarray]:
    """The outputs and sample numbers of all batches. num_classes: the width of the outputs if there is no batch."""
    found = list(batches)
    if not found:
        return torch.empty((0, num_classes)), np.empty(0, dtype=np.int64)
    if len(found) == 1:
        return found[0]
    return rows_joined([outputs for outputs, _ in found]), np.concatenate([index_B for _, index_B in found])


def infer_batches(
    net: Net,
    predictor: Callable[[Tensor], Tensor],
    loader: Loader,
    size: int,
    autocast: Callable[[], AbstractContextManager[Any]],
    failed: Callable[[int, str], Any] = lambda index, reason: None,
    batch_size: int | None = None,
    keep: Keep = as_it_is,
) -> Iterator[tuple[Tensor, np.ndarray]]:
    """The same batch by batch."""
    for x, rendered in prepared(net, loader, size, failed, batch_size):
        with torch.inference_mode(), autocast():
            found = predictor(x).float()
        given = found.coalesce().values() if found.is_sparse else found
        if not given.isfinite().all():
            row, index_B = int((~found.to_dense().isfinite()).flatten(1).any(dim=1).nonzero()[0]), rendered.index_B
            raise NonFiniteError(
                f"{net.spec.architecture} returns NaN or an infinite number for sample {int(index_B[row])}; its weights cannot be "
                "used for prediction"
            )
        yield keep(found, rendered.masks), rendered.index_B


def prepared(
    net: Net,
    loader: Loader,
    size: int,
    failed: Callable[[int, str], Any] = lambda index, reason: None,
    batch_size: int | None = None,
) -> Iterator[tuple[Tensor, Rendered]]:
    """Batches of network inputs, prepared as at prediction, with what was rendered."""
    batch_size = batch_size or _BATCH.get(net.device.type, 16)
    order_N = np.arange(len(loader)) if loader.lengths is None else np.argsort(loader.lengths, kind="stable")
    for batch in loader.batches(chunks(order_N, batch_size), size, receive=net.front.receive):
        for index, reason in batch.failed:
            failed(index, reason)
        if len(batch.index_B):
            yield net.front(batch.content), batch


@contextlib.contextmanager
def using_weights(net: Net, weights: dict[str, Tensor]) -> Iterator[None]:
    """Within the block, the network has these weights, in evaluation mode; its own weights and mode are restored afterwards."""
    training, own = net.training, dict(net.state_dict(keep_vars=True))
    kept = {name: tensor.data for name, tensor in own.items()}
    try:
        for name, tensor in own.items():
            tensor.data = weights[name].data.to(tensor.device)
        net.eval()
        yield
    finally:
        for name, tensor in own.items():
            tensor.data = kept[name]
        net.train(training)
