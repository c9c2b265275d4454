"""Batches of unlabelled samples, in the views that the methods of a plan request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial, reduce
from itertools import chain
from typing import Any, cast

import numpy as np
import torch

from whet.core.batch import Batch, Progress, Settings
from whet.core.errors import DataError
from whet.core.targets import ClassTargets
from whet.data.loader import Job, Loader, Rendered, Stream, chunks
from whet.data.table import Table
from whet.training.plan import Plan


class UnlabelledSource:
    """`ratio` unlabelled samples for each labelled sample of a batch. All of them are used once in random order, then again in
    another, independently of the epochs. Each batch depends on its step alone, so a resumed run sees the same ones."""

    def __init__(
        self,
        table: Table,
        loader: Loader,
        plan: Plan,
        device: torch.device,
        failed: Callable[[str, str], Any],
        batch_size: int,
        steps_per_epoch: int,
    ) -> None:
        self._table, self._loader, self._plan, self._device, self._failed = table, loader, plan, device, failed
        self._streams = {view: Stream(loader) for view in plan.unlabelled.augmentations}
        self._shuffled = lru_cache(maxsize=4)(partial(plan.rng.shuffled, "unlabelled"))
        self._batch_size = max(1, round(plan.unlabelled.ratio * batch_size))
        self._steps_per_epoch = steps_per_epoch

    @property
    def wait_seconds(self) -> float:
        return self._loader.wait_seconds

    def _order(self, epoch: int) -> np.ndarray:
        """The sample numbers of an epoch of the labelled samples."""
        count, N = self._steps_per_epoch * self._batch_size, len(self._table)
        first, start = divmod(epoch * count, N)
        passes = range(first, first + -(-(start + count) // N))
        return np.concatenate([self._shuffled(number, N) for number in passes])[start : start + count]

    def batches(self, progress: Progress, settings: Settings, first: int) -> Iterator[Batch]:
        """As `Source.batches`."""
        rendered = (self._rendered(view, progress, settings, first) for view in self._streams)
        for found in zip(*rendered, strict=True):
            yield self._batch(found, progress.epoch)

    def _rendered(self, view: str, progress: Progress, settings: Settings, first: int) -> Iterator[Rendered]:
        expected = chain.from_iterable(self._jobs(view, later, settings) for later in later_epochs(progress))
        return self._streams[view].batches(self._jobs(view, progress, settings, first), expected)

    def _jobs(self, view: str, progress: Progress, settings: Settings, first: int = 0) -> list[Job]:
        order = showings(self._order(progress.epoch), len(self._table))
        orders = chunks(order[first * self._batch_size :], self._batch_size * settings.batches)
        draw = self._plan.unlabelled.augmentations[view].draw(progress.epoch)
        return [Job(rows, settings.size, draw, self._plan.net.front.receive) for rows in orders]

    def _batch(self, rendered: tuple[Rendered, ...], epoch: int) -> Batch:
        for index, reason in rendered[0].failed:
            self._failed(self._table.frame["id"].iloc[index % len(self._table)], reason)
        index_B = reduce(np.intersect1d, [one.index_B for one in rendered])
        if not len(index_B):
            raise DataError(
                f"none of the {len(rendered[0].failed)} unlabelled files of a batch can be read; last error: "
                f"{rendered[0].failed[-1][1]}"
            )
        front, views = self._plan.net.front, {}
        for (name, view), one in zip(self._plan.unlabelled.augmentations.items(), rendered):
            x = front(view.transform_batch(one.content, epoch, one.index_B))
            kept_B = np.isin(one.index_B, index_B)
            views[name] = x if kept_B.all() else x[torch.from_numpy(np.flatnonzero(kept_B))]
        first = rendered[0].index_B
        row_B = first[np.isin(first, index_B)] % len(self._table)
        x = next(iter(views.values()))
        targets = cast(ClassTargets, self._table.unlabelled_targets(len(row_B), x.shape[2:]).to(self._device))
        return Batch(x, targets, row_B, torch.ones(len(row_B), device=self._device), epoch, views=views)


def later_epochs(progress: Progress) -> Iterator[Progress]:
    """The starts of the epochs after this one."""
    per_epoch = progress.steps_per_epoch
    for step in range((progress.epoch + 1) * per_epoch, progress.total_steps, per_epoch):
        yield Progress(step, progress.total_steps, per_epoch)


def showings(order_M: np.ndarray, rows: int) -> np.ndarray:
    """The sample numbers of the epoch. The number of the second occurrence of a sample is increased by `rows`, of the third by
    twice that, and so on, so that each occurrence has its own random draws."""
    place = np.argsort(order_M, kind="stable")
    in_turn = order_M[place]
    first = np.flatnonzero(np.diff(in_turn, prepend=-1))
    again = np.arange(len(order_M)) - np.repeat(first, np.diff(first, append=len(order_M)))
    shown = order_M.copy()
    shown[place] += again * rows
    return shown
