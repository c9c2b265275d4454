"""Features of the backbone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.core.batch import Features
from whet.data.table import Table
from whet.models.linear import SparseFeatures, feature_rows
from whet.models.net import Net
from whet.training.plan import Plan

_AT_ONCE = 256

Predict = Callable[[Table, Any, int | None], tuple[Tensor, np.ndarray]]
"""(samples, predictor, batch size) -> (outputs, indices of the samples that could be read)."""


def training_features(plan: Plan, train: Table, predict: Predict, backbone: Any, *, training: bool) -> Features:
    """The features of a backbone. training: in training mode (see `Context.features`)."""
    features_ND, index = _as_in_training(plan, train, predict, backbone) if training else predict(train, backbone, None)
    groups = train.frame["group"].to_numpy()[index]
    return Features(features_ND, train.targets[torch.from_numpy(index)], index, groups)


def _as_in_training(plan: Plan, train: Table, predict: Predict, backbone: Any) -> tuple[Tensor, np.ndarray]:
    """Use shuffled batches of the training's batch size: rows are sorted by class, and BatchNorm statistics of single-class batches
    would differ from those in training."""

    def features(x: Tensor) -> Tensor:
        with plan.net.batch_statistics():
            return backbone(x)

    order_N = plan.rng.shuffled("features", 0, len(train))
    shuffled = train.with_frame(train.frame.iloc[order_N])
    features_ND, index = predict(shuffled, features, int(plan.recipe.train.batch_size))
    rows_N = order_N[index]
    sorted_N = np.argsort(rows_N)
    return features_ND[torch.from_numpy(sorted_N)], rows_N[sorted_N]


class FrozenFeatures:
    """The features of a frozen backbone, computed once per split."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[list[str], tuple[Tensor, np.ndarray]]] = {}

    def has(self, part: Table) -> bool:
        """Whether the features of these samples are cached."""
        name, ids = self._key(part)
        return name in self._found and self._found[name][0] == ids

    @staticmethod
    def _key(part: Table) -> tuple[str, list[str]]:
        return "/".join(sorted(set(part.frame["split"]))), part.frame["id"].tolist()

    def of(
        self, part: Table, backbone: Any, predict: Callable[[Table, Any], tuple[Tensor, np.ndarray]]
    ) -> tuple[Tensor, np.ndarray]:
        """(features, sparse if most of them are zero, indices of the samples that could be read)."""
        name, ids = self._key(part)
        if not self.has(part):
            bare = backbone.sparse if isinstance(backbone, SparseFeatures) else backbone
            found = predict(part, bare)
            if len(ids) < len(self._found.get(name, ([],))[0]):  # a subset of a split
                return found
            self._found[name] = ids, found
        return self._found[name][1]


def head_of(net: Net, features_ND: Tensor, autocast: Callable[[], AbstractContextManager[Any]]) -> Tensor:
    """The output of the head for these features at prediction, float (N, K)."""
    training, found = net.head.training, []
    net.head.eval()
    with torch.inference_mode(), autocast():
        for rows in torch.arange(len(features_ND)).split(_AT_ONCE):
            found.append(net.head(feature_rows(features_ND, rows).to(net.device)).float().cpu())
    net.head.train(training)
    return torch.cat(found)
