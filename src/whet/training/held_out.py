"""The training loss of held-out samples, for tasks without labels."""

from __future__ import annotations

import math

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from whet.core.batch import Batch, Outcome, Progress
from whet.data.loader import Loader
from whet.data.table import Table
from whet.training.augmentation import Augmentation, informed
from whet.training.forward import forward
from whet.training.kept_outputs import Batches
from whet.training.plan import Plan
from whet.training.source import training_loader

_VIEW = "held out"


def measured(plan: Plan, fabric: Fabric, table: Table, outputs: Batches) -> Batches:
    """The statistics from which the evidence is computed: the outputs, and for a task without labels before them the training loss
    of each sample."""
    if table.task.needs_labels:
        yield from outputs
        return
    loss_N = held_out_losses(plan, fabric, table, training_loader(table, plan.recipe, plan.net))
    for found, index_B in outputs:
        yield torch.column_stack([torch.from_numpy(loss_N[index_B]), found.double()]), index_B


def held_out_losses(plan: Plan, fabric: Fabric, table: Table, loader: Loader) -> np.ndarray:
    """The loss of each sample, float64 (N,), NaN where it cannot be read: in batches of the training's size, with views drawn as in
    training, the same ones at every call. The network is in evaluation mode, and its mode is restored."""
    net, recipe, task, N = plan.net, plan.recipe, table.task, len(table)
    views = Augmentation([informed(method, net.front) for method in plan.methods], plan.rng, _VIEW)
    batches = math.ceil(N / int(recipe.train.batch_size))
    orders = [np.tile(rows, views.copies) for rows in np.array_split(np.arange(N), batches)]
    loss_N, training = np.full(N, np.nan), net.training
    net.eval()
    rendered = loader.batches(orders, recipe.size, views.draw(0, views.copies), net.front.receive)
    for number, one in enumerate(rendered):
        if not len(one.index_B):
            continue
        x = net.front(views.transform_batch(one.content, 0, one.index_B, views.copies))
        targets = task.collate(table.labels[one.index_B], len(table.classes), one.masks).to(x.device)
        batch = Batch(x, targets, one.index_B, torch.ones(len(x), device=x.device))  # type: ignore[arg-type]
        with torch.no_grad(), plan.rng.torch_scope(_VIEW, number, fabric.device):
            loss_B = _loss(plan, fabric, batch).double().cpu().numpy()
        rows, copy_B = np.unique(one.index_B, return_inverse=True)
        loss_N[rows] = np.bincount(copy_B, weights=loss_B) / np.bincount(copy_B)
    net.train(training)
    return loss_N


def _loss(plan: Plan, fabric: Fabric, batch: Batch) -> Tensor:
    with fabric.autocast():
        found = forward(plan, plan.net, batch)
    progress, features = Progress(0, 1, 1), found.features.float()
    return plan.loss(Outcome(found.logits_BK.float(), batch, plan.net, features, progress, fabric.autocast))
