"""Outcomes of a training step with two views of unlabelled samples, for the tests of the methods that learn from them."""

import numpy as np
import torch

from whet.core.batch import Batch, Context, Outcome, Progress
from whet.core.rng import Rng
from whet.tasks import SINGLE_LABEL

CLASSES = ("a", "b", "c")


def logits(count, name, shape=(3,), scale=2.0):
    """Distinct float64 logits (count, *shape)."""
    return torch.from_numpy(scale * Rng(9).batch(name, 0, np.arange(count)).normal(shape))


def context(task=SINGLE_LABEL, unlabelled=6):
    return Context(task, CLASSES, np.array([4, 4, 4]), lambda: None, unlabelled=unlabelled)


def outcome(labelled, weak=None, strong=None, *, targets=None, task=SINGLE_LABEL, step=0, model=None):
    """Step `step` of 100 for these logits. x of the views: their logits, so that an identity is a network for them."""
    B = len(labelled)
    targets = task.targets(torch.arange(B) % 3, 3) if targets is None else targets
    batch = Batch(labelled.detach(), targets, np.arange(B), torch.ones(B))
    if weak is None:
        return Outcome(labelled, batch, model, progress=Progress(step, 100, 10))
    U = len(weak)
    unknown = task.unknown(
        np.zeros((U, 3), bool) if task.name == "multi-label" else np.zeros(U, int), 3, weak.shape[2:]
    )
    views = {"weak": weak, "strong": strong}
    more = Batch(weak, unknown, np.arange(U), torch.ones(U), views=views)
    return Outcome(labelled, batch.replace(unlabelled=more), model, progress=Progress(step, 100, 10), views=views)
