"""Means of weights, and the BatchNorm statistics of a network with mean weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from whet.core.batch import Progress
from whet.core.duration import Duration
from whet.models.net import Net

Weights = dict[str, Tensor]


def stored(weights: Weights) -> Weights:
    """A copy in main memory, because several copies would fill the memory of a GPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights.items()}


def mean_of(copies: Sequence[Weights]) -> Weights:
    """The mean of every weight. Integer counters are those of the last copy."""
    return {
        name: torch.stack([part[name] for part in copies]).mean(dim=0) if last.is_floating_point() else last.clone()
        for name, last in copies[-1].items()
    }


def is_due(progress: Progress, every: Duration) -> bool:
    """Whether the remaining training time is a multiple of `every`. The last weights of a training are therefore always due."""
    return (progress.total_steps - progress.step) % max(1, progress.steps(every)) == 0


@torch.no_grad()
def renew_statistics(net: Net, inputs: Iterable[Tensor]) -> None:
    """Recompute the statistics of every BatchNorm layer that was trained, as the mean over these batches, with the rest of the
    network in evaluation mode. The average of the statistics does not fit averaged weights."""
    net.train()  # layers in `eval_only` stay in evaluation mode
    norms = [
        m
        for m in net.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training and m.track_running_stats
    ]
    net.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch then computes the mean over all batches
        norm.train()
    for x in inputs:
        net(x)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    net.eval()
