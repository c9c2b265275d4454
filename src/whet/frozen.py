"""A pretrained network with its settings, used without training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.data.table import Table

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models.net import Net


@dataclass(frozen=True)
class FrozenNet:
    """net: in evaluation mode, on its device. recipe: with the settings that prediction needs resolved."""

    net: Net
    recipe: Recipe
    autocast: Callable[[], AbstractContextManager[Any]]


def frozen_net(table: Table, spec: DataSpec, weights: str, threads: int) -> FrozenNet:
    """The network of these weights (a local folder or a hub name), for these samples."""
    from whet import recipes

    model = ModelSpec(weights=weights)
    return built(table, recipes.default(spec, model).replace(data=spec, model=model))


def built(table: Table, recipe: Recipe) -> FrozenNet:
    """The network of a recipe's model, for these samples."""
    from whet.models.build import build_net
    from whet.training import resolve

    recipe = resolve.resolve_threads(recipe)
    size = resolve.usual_size(recipe, table)
    recipe = resolve.resolve_model(recipe, size, len(table), table.task)
    with Rng(recipe.train.seed).torch_scope("init"):
        rate = resolve.usual_rate(recipe, table)
        net, _ = build_net(recipe.model, table.classes, table.medium, table.frame.get("text", ()), rate)
    recipe = resolve.resolve_precision(resolve.resolve_size(recipe, net, size, table), net)
    fabric = resolve.make_fabric(recipe)
    return FrozenNet(net.on(fabric.device).eval(), recipe, fabric.autocast)


def frozen_features(
    frozen: FrozenNet,
    table: Table,
    threads: int,
    failed: Callable[[int, str], Any] = lambda row, reason: None,
    advance: Callable[[int], None] = lambda count: None,
) -> tuple[Any, np.ndarray]:
    """(features of the backbone, float32 (R, D), the rows (R,) that could be rendered). failed: receives the other rows, each with
    the reason. advance: receives the number of samples of every batch."""
    from whet.data.media import loader_of
    from whet.evaluate.inference import run_inference

    rate = getattr(frozen.net.front, "rate", None)
    loader = loader_of(table.frame, table.medium, threads, fit=frozen.recipe.train.fit, rate=rate)
    size = frozen.recipe.eval_size

    def backbone(x: Tensor) -> Tensor:
        advance(len(x))
        return frozen.net.backbone(x)

    features_RD, row_R = run_inference(frozen.net, backbone, loader, size, frozen.autocast, failed)
    order_R = np.argsort(row_R)
    return features_RD[order_R], row_R[order_R]
