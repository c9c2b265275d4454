"""Training steps on a copy of the network, for timing or for a learning rate range test. The network itself is not changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from whet.core.batch import Context, Progress, Settings
from whet.core.errors import NonFiniteError
from whet.core.recipe import Recipe
from whet.data.table import Table
from whet.models.net import Net
from whet.training.loop import stepped
from whet.training.plan import Plan
from whet.training.source import FeatureSource, RenderedSource, Source, can_cache_features, training_loader
from whet.training.unread import Unread

_LONG = 1_000_000  # steps, so that late methods never start


class TrialSteps:
    """A training of this recipe that starts like the real one, with parallel rendering, and writes nothing."""

    def __init__(self, recipe: Recipe, net: Net, context: Context, fabric: Fabric, train: Table) -> None:
        self.plan = Plan(recipe, copy.deepcopy(net), context)
        self.kept, self._fabric = can_cache_features(self.plan, self.plan.net), fabric
        model = self.plan.net.head if self.kept else self.plan.net
        self._model, self._optimizer = fabric.setup(model, self.plan.optimizer)
        self.plan.start()
        self._take_step = self.plan.stepper(self._optimizer, Unread().check)
        self.loader = training_loader(train, recipe, self.plan.net, size=self.plan.rendered_size)
        self._source: Source
        if self.kept:
            features_ND = torch.ones(len(train), self.plan.net.width)
            self._source = FeatureSource(features_ND, train, self.plan, fabric.device)
        else:
            self._source = RenderedSource(train, self.loader, self.plan, fabric.device, lambda *failed: None)

    def steps(self, size: int) -> Iterator[Callable[[], Tensor]]:
        """Yield training steps at this image size; calling one runs it and returns its loss."""
        self.plan.net.train()
        per_epoch = self._source.steps_per_epoch
        begins = (Progress(epoch * per_epoch, _LONG, per_epoch) for epoch in count())
        batches = chain.from_iterable(self._source.batches(begin, Settings(size), 0) for begin in begins)
        return (self._step(batch, Progress(step, _LONG, per_epoch)) for step, batch in enumerate(batches))

    def try_rates(self, factors: Iterable[float], size: int) -> Iterator[tuple[float, float]]:
        """Yield (learning rate, loss) of consecutive steps, each with its factor on the recipe's learning rate. Ends if the loss
        is not finite."""
        for factor, step in zip(factors, self.steps(size)):
            for group, base in zip(self.plan.optimizer.param_groups, self.plan.base_lrs):
                group["lr"] = base * factor
            try:
                loss = float(step())
            except NonFiniteError:
                return
            yield max(self.plan.base_lrs) * factor, loss

    def _step(self, batch: Any, progress: Progress) -> Callable[[], Tensor]:
        return lambda: stepped(self._take_step, self.plan, self._fabric, self._model, self._optimizer, batch, progress)
