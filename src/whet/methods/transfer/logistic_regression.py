from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, Initialises, Optimizes
from whet.models.linear import fit_best_linear, fit_linear, folds_of
from whet.models.net import Net


class LogisticRegression(
    Method,
    Optimizes,
    Changes,
    Initialises,
    family="transfer",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Freeze the backbone and fit the last layer to its features as a logistic regression with a cross-validated penalty.

    Use when: you want a baseline that any training must beat, in the time of one pass over the samples; samples are very few; or
    the budget is less than a few epochs.
    Do not use when: the samples differ much from the pretraining data and there is time to fine-tune.
    Source: Cox 1958, "The regression analysis of binary sequences"; on frozen features: Donahue et al. 2014, arXiv:1310.1531.
    Deviates: the penalty applies to standardized features (TF-IDF features are not standardized). It is chosen by the log-loss
    over five folds of the training samples.
    Shapes: features (N, D), computed once with the preprocessing of inference -> weights (K, D) and biases (K,), fitted by
    L-BFGS. Later training steps change no weights.
    """

    identity = None
    exceptions = {
        "identity": "training requires an optimizer",
        "commutes": "a recipe has exactly one optimizer",
    }
    conflicts = frozenset(
        ("linear_probe", "finetune", "linear_probe_then_finetune", "layerwise_lr", "freeze", "gradual_unfreeze")
        + ("lora", "adapter", "bitfit", "mixout", "head", "discriminative_lr", "l2_sp")
    )

    l2: Annotated[
        float | None,
        Field(
            gt=0,
            description="penalty: half the squared norm of the weights times this; none: chosen by cross-validation",
        ),
        Search(1e-4, 1.0, log=True),
    ] = None

    def change(self, net: Net, context: Context) -> Net:
        if not any(True for _ in net.backbone.parameters()):
            raise NoEffectError("the backbone has no weights to freeze")
        net.freeze(net.backbone)
        return net

    def initialise(self, net: Net, context: Context) -> None:
        features_ND, targets, _, group_N = context.features()
        if self.l2 is None:
            fit_best_linear(net.linear, features_ND, targets, folds_of(features_ND, targets, group_N=group_N))
        else:
            fit_linear(net.linear, features_ND, targets, self.l2)

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return AtOptimum([{**group, "lr": group["lr_scale"]} for group in groups])


class AtOptimum(torch.optim.Optimizer):
    """Evaluates the loss and changes no weights."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        with torch.enable_grad():
            return closure()
