"""What the bare backbone makes of the training samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.core.batch import Features
from whet.data.table import Table
from whet.train.plan import Plan

Ask = Callable[[Table, Any, int | None], tuple[Tensor, np.ndarray]]
"""(samples, predictor, batch size) -> (answers, numbers of the samples that could be read)."""


def training_features(plan: Plan, train: Table, ask: Ask, backbone: Any, *, training: bool) -> Features:
    """The features of a backbone; training: as it gives them while it trains (see `Context.features`)."""
    features_ND, index = _as_in_training(plan, train, ask, backbone) if training else ask(train, backbone, None)
    groups = train.frame["group"].to_numpy()[index]
    return Features(features_ND, train.targets[torch.from_numpy(index)], index, groups)


def _as_in_training(plan: Plan, train: Table, ask: Ask, backbone: Any) -> tuple[Tensor, np.ndarray]:
    """In shuffled batches of the training's size: the rows lie class by class, and BatchNorm would find other statistics in a batch
    of one class than in any batch of the training."""

    def features(x: Tensor) -> Tensor:
        with plan.net.batch_statistics():
            return backbone(x)

    order_N = plan.rng.shuffled("features", 0, len(train))
    shuffled = train.with_frame(train.frame.iloc[order_N])
    features_ND, index = ask(shuffled, features, int(plan.recipe.train.batch_size))
    rows_N = order_N[index]
    sorted_N = np.argsort(rows_N)
    return features_ND[torch.from_numpy(sorted_N)], rows_N[sorted_N]
