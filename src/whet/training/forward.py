"""The forward pass of a training step: of the labelled samples, and of the views of unlabelled ones that methods request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whet.core.batch import Batch
from whet.training.plan import Plan


@dataclass(frozen=True)
class Outputs:
    """logits_BK: of the labelled samples. features: the input of the head for them, vectors or maps. views: the float outputs of
    the unlabelled views."""

    logits_BK: Tensor
    features: Any
    views: Mapping[str, Tensor]


def forward(plan: Plan, model: Any, batch: Batch) -> Outputs:
    """Where BatchNorm is trained, all samples pass in one batch, so that its statistics are those of all of them. Otherwise the
    views pass one by one, and those that are only predicted need no gradient. Nothing passes where the losses do it themselves."""
    if plan.own_forward:
        nothing_B0 = torch.zeros((len(batch), 0), device=batch.x.device)
        return Outputs(nothing_B0, nothing_B0, {})
    names = sorted(plan.unlabelled.trained | plan.unlabelled.predicted)
    if batch.unlabelled is None or not names:
        return _labelled(plan, model, batch, {})
    views = {name: batch.unlabelled.views[name] for name in names}
    alike = all(x.shape[1:] == batch.x.shape[1:] for x in views.values())
    if alike and not batch.hidden_mix and _uses_batch_statistics(plan.net):
        return _joint(plan, model, batch, views)
    found = {}
    for name, x in views.items():
        with torch.set_grad_enabled(name in plan.unlabelled.trained):
            found[name] = model(x).float()
    return _labelled(plan, model, batch, found)


def _labelled(plan: Plan, model: Any, batch: Batch, views: Mapping[str, Tensor]) -> Outputs:
    with plan.net.hidden_mix(batch.hidden_mix), plan.net.keeping_features() as kept:
        logits_BK = model(batch.x)
    return Outputs(logits_BK, kept[0], views)


def _joint(plan: Plan, model: Any, batch: Batch, views: Mapping[str, Tensor]) -> Outputs:
    parts = [batch.x, *views.values()]
    sizes = [len(part) for part in parts]
    with plan.net.keeping_features() as kept:
        logits_BK, *others = model(torch.cat(parts)).split(sizes)
    features = kept[0][: sizes[0]] if isinstance(kept[0], Tensor) else tuple(one[: sizes[0]] for one in kept[0])
    found = {
        name: (output if name in plan.unlabelled.trained else output.detach()).float()
        for name, output in zip(views, others)
    }
    return Outputs(logits_BK, features, found)


def _uses_batch_statistics(net: nn.Module) -> bool:
    return any(isinstance(one, nn.modules.batchnorm._BatchNorm) and one.training for one in net.modules())
