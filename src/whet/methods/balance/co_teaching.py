from __future__ import annotations

import copy
from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Closure, Context, Loss, Outcome, Progress, Step
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Watches, WrapsLoss, WrapsUpdate
from whet.models.net import Net


class CoTeaching(
    Method, Watches, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Train two networks; each learns from the samples with the lowest loss in the other, because wrong labels have a high loss.

    Use when: many labels are wrong (20 % and more), and nobody can correct them.
    Do not use when: labels are correct, because hard samples are then the most useful ones. Every step trains two networks.
    Source: Han et al. 2018, arXiv:1804.06872.
    Deviates: only one of the two networks is kept. The other has a different random initialization (with pretrained weights only
    of the head), its own state of the same optimizer, and no weight penalties.
    Shapes: loss (B,), zero for the fraction of the batch with the highest loss in the twin network, the rest scaled up to the
    same mean weight.
    """

    identity = {"noise": 0.0}
    one_class = True
    # The twin has one gradient per step: methods that need several, or the curvature, would have none for it.
    conflicts = frozenset(
        {
            "accumulate",
            "asam",
            "awp",
            "gauss_newton",
            "kfac",
            "lbfgs",
            "label_spreading",
            "logistic_regression",
            "newton_cg",
            "sam",
            "sophia",
        }
    )

    noise: Annotated[
        float, Field(ge=0, lt=1, description="estimated fraction of wrong labels: this fraction of a batch is excluded at the end"),
        Search(0.05, 0.5),
    ] = 0.2  # fmt: skip
    full_at: Annotated[
        float,
        Field(gt=0, le=1, description="fraction of training after which that many are excluded; none at the start"),
    ] = 0.3

    def start(self, net: Net, context: Context) -> _Pair:
        return _Pair(net, self, context)

    def excluded(self, progress: Progress) -> float:
        """The fraction of a batch that is excluded."""
        return self.noise * min(1.0, progress.fraction / self.full_at)


class _Pair(Runtime, WrapsLoss, WrapsUpdate):
    """The twin network, its optimizer, and the selection of samples."""

    def __init__(self, net: Net, method: CoTeaching, context: Context) -> None:
        self._net, self._method, self._new_optimizer = net, method, context.optimizer
        self._twin = copy.deepcopy(net) if method.noise else None
        self._optimizer: torch.optim.Optimizer | None = None
        self._kept_state: dict[str, Any] | None = None  # state of the optimizer until the optimizer is created
        self._twin_has_gradients = False  # whether the twin already has its gradients for this step
        if self._twin is not None:
            _reinitialize(self._twin)

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if (twin := self._twin) is None:
            return loss

        def selected(outcome: Outcome) -> Tensor:
            ours_B, theirs = loss(outcome), self._twin_outcome(twin, outcome)
            theirs_B = loss(theirs)
            count = len(ours_B) - round(self._method.excluded(outcome.progress) * len(ours_B))
            if not self._twin_has_gradients:
                self._train_twin(twin, theirs_B * easiest(ours_B, count), outcome)
            return ours_B * easiest(theirs_B, count)

        return selected

    def wrap_update(self, step: Step, optimizer: torch.optim.Optimizer) -> Step:
        if (twin := self._twin) is None:
            return step
        assert self._new_optimizer is not None
        self._optimizer = theirs = self._new_optimizer(twin)
        if self._kept_state is not None:
            theirs.load_state_dict(self._kept_state)

        def both(closure: Closure) -> Tensor:
            self._twin_has_gradients = False
            loss = step(closure)
            for ours, group in zip(optimizer.param_groups, theirs.param_groups):
                group["lr"] = ours["lr"]
            theirs.step()
            return loss

        return both

    def _twin_outcome(self, twin: Net, outcome: Outcome) -> Outcome:
        """The twin's outcome for the same batch."""
        batch = outcome.batch
        model: nn.Module = twin.head if batch.cached_features else twin
        twin.train(self._net.training)
        with twin.hidden_mix(batch.hidden_mix), twin.keeping_features() as features:
            theirs = replace(outcome, model=model)
            return replace(theirs, logits_BK=theirs.forward(batch.x), features_BD=features[0].float())

    def _train_twin(self, twin: Net, loss_B: Tensor, outcome: Outcome) -> None:
        weight_B = outcome.batch.weight_B
        learning = [p for p in twin.parameters() if p.requires_grad]
        mean = (loss_B * weight_B).sum() / weight_B.sum().clamp(min=1e-12)
        for parameter, gradient in zip(learning, torch.autograd.grad(mean, learning, allow_unused=True)):
            parameter.grad = gradient
        self._twin_has_gradients = True

    def state_dict(self) -> dict[str, Any]:
        if self._twin is None:
            return {}
        optimizer = self._kept_state if self._optimizer is None else self._optimizer.state_dict()
        return {"twin": dict(self._twin.state_dict()), "optimizer": optimizer}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._twin is None:
            return
        self._twin.load_state_dict(state["twin"])
        self._kept_state = state["optimizer"]
        if self._optimizer is not None and self._kept_state is not None:
            self._optimizer.load_state_dict(self._kept_state)


def easiest(loss_B: Tensor, count: int) -> Tensor:
    """B / count for the `count` samples with the lowest loss, otherwise 0, (B,)."""
    chosen = loss_B.detach().argsort(stable=True)[:count]
    return torch.zeros_like(loss_B).index_fill_(0, chosen, len(loss_B) / max(count, 1))


def _reinitialize(net: Net) -> None:
    """Reinitialize the weights. Pretrained weights stay, and only the last layer is reinitialized."""
    with torch.no_grad():
        for module in () if net.spec.pretrained else net.backbone.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
        nn.init.normal_(net.linear.weight, std=0.01)
        if net.linear.bias is not None:
            nn.init.zeros_(net.linear.bias)
