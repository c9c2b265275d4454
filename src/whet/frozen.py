"""A pretrained network with its settings, used without training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.data.table import Table

if TYPE_CHECKING:
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
    from whet.models.build import build_net
    from whet.training import resolve

    model = ModelSpec(weights=weights)
    recipe: Recipe = resolve.resolve_threads(recipes.default(spec, model).replace(data=spec, model=model))
    size = resolve.usual_size(recipe, table)
    recipe = resolve.resolve_model(recipe, size, len(table), table.task)
    with Rng(recipe.train.seed).torch_scope("init"):
        rate = resolve.usual_rate(recipe, table)
        net, _ = build_net(recipe.model, table.classes, table.medium, table.frame.get("text", ()), rate)
    recipe = resolve.resolve_precision(resolve.resolve_size(recipe, net, size, table), net)
    fabric = resolve.make_fabric(recipe)
    return FrozenNet(net.on(fabric.device).eval(), recipe, fabric.autocast)
