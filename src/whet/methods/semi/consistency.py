"""Losses of unlabelled samples: the prediction for one view is the target of another."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from whet.core.task import ClassTask, Task


def log_outcomes(logits: Tensor, task: Any) -> Tensor:
    """The log-probabilities of the outcomes of every decision, (B, …, C): of the classes of a sample (B, K) or of a pixel
    (B, h, w, K), or of the presence and absence of each label (B, K, 2)."""
    log_p: Tensor = task.log_probs(logits)
    return log_p if log_p.dim() > logits.dim() else log_p.movedim(1, -1)


def by_sample(decision_B: Tensor, task: Task) -> Tensor:
    """The loss of each sample (B,) from that of its decisions (B, …), as in the losses of the tasks: the sum over labels, the mean
    over pixels."""
    flat = decision_B.flatten(1) if decision_B.dim() > 1 else decision_B[:, None]
    return flat.sum(dim=1) if isinstance(task, ClassTask) else flat.mean(dim=1)


def cross_entropy(strong: Tensor, outcome_B: Tensor, task: Any) -> Tensor:
    """The cross-entropy of decisions (B, …) for logits (B, K, …), where the outcomes int64 (B, …) are the targets."""
    return -log_outcomes(strong, task).gather(-1, outcome_B[..., None])[..., 0]
