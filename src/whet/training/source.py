"""Sources of training batches: samples rendered in each epoch, or cached features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from whet.core.batch import Batch, Progress, Settings
from whet.core.errors import DataError
from whet.core.language import Sentence, english
from whet.core.process import available_memory
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.targets import ClassTargets
from whet.data.audio_loader import AudioLoader
from whet.data.image_loader import ImageLoader
from whet.data.loader import Job, Loader, Stream, chunks
from whet.data.media import audio_store, loader_of, masks_beside
from whet.data.store import Cache, DiskCache, ImageStore, MemoryCache, cache_folder, free_disk, kept_bytes, keys_of
from whet.data.table import MAX_LEFT_OUT, UNLABELLED, Table
from whet.models.front import AudioFront, to_device
from whet.models.linear import feature_rows
from whet.models.net import Net
from whet.training.plan import Plan
from whet.training.unlabelled_source import UnlabelledSource, later_epochs, showings

_TRIED = 64
_WINDOW = 32
_PAGE_CACHE_SHARE = (
    0.5  # a cache that the system cannot keep in memory is read from disk, which is slower than decoding a JPEG
)


@dataclass
class Failures:
    """Samples that cannot be used, by id, with the reason. More than 1 % of all samples (and more than one) stops the run."""

    total: int
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, id_: str, reason: str) -> bool:
        """Add a sample; returns whether it is new."""
        if id_ in self.reasons:
            return False
        self.reasons[id_] = reason
        if len(self.reasons) > max(1, MAX_LEFT_OUT * self.total):
            listed = "".join(f"\n  {name}: {why}" for name, why in list(self.reasons.items())[:10])
            raise DataError(
                f"{len(self.reasons)} of {self.total} samples cannot be used, more than {MAX_LEFT_OUT:.0%}:{listed}"
            )
        return True


class Source(Protocol):
    """Batches of the epoch that starts at this progress, from batch number `first`."""

    model: nn.Module
    steps_per_epoch: int

    def batches(self, progress: Progress, settings: Settings, first: int) -> Iterator[Batch]: ...

    @property
    def wait_seconds(self) -> float: ...


def training_loader(
    table: Table, recipe: Recipe, net: Net | None = None, cache: Cache | None = None, size: int | None = None
) -> Loader:
    """The loader for training samples: images decoded to their working size for views of `size` (the recipe's size), and whole
    waves, with `cache`."""
    if net is not None and isinstance(net.front, AudioFront):
        return AudioLoader(audio_store(table.frame, net.front.rate, cache), int(recipe.train.loader_threads))
    if table.medium != "image":
        return eval_loader(table, recipe, net)
    paths, digests = table.frame["path"], table.frame["digest"]
    store = ImageStore(paths, digests, size or recipe.size, cache)
    masks = masks_beside(table.frame, table.task, as_shown=True)
    return ImageLoader(paths, int(recipe.train.loader_threads), recipe.train.fit, store, masks)


def eval_loader(table: Table, recipe: Recipe, net: Net | None = None) -> Loader:
    """The loader for samples at prediction."""
    rate = getattr(net.front, "rate", None) if net is not None else None
    threads = int(recipe.train.loader_threads)
    return loader_of(table.frame, table.medium, threads, fit=recipe.train.fit, rate=rate, task=table.task)


def choose_cache(table: Table, plan: Plan, epochs: int) -> tuple[Cache | None, Sentence | None]:
    """The cache of decoded samples, and a note if it is outside the run folder. `auto`: in memory if all samples fit in the given
    share of it, else on disk if they fit there, else none."""
    recipe, size = plan.recipe, plan.rendered_size
    settings = recipe.train
    if table.medium == "text" or settings.store == "off" or epochs < 2:
        return None, None
    rows = Rng(recipe.data.split_seed).shuffled("sizes", 0, len(table))[:_TRIED]
    if table.medium == "audio":
        loader = training_loader(table, recipe, plan.net)
        (batch,) = loader.batches([rows], recipe.size)
        needed, keys = batch.content.nbytes // max(1, len(batch.index_B)) * len(table), list(table.frame["digest"])
    else:
        sizes = ImageLoader(table.frame["path"], 1).sizes(rows)
        needed = int(len(table) * kept_bytes(sizes, size))
        keys = keys_of(table.frame["digest"], size)
    memory = available_memory()
    if settings.store == "memory" or (settings.store == "auto" and needed <= settings.store_share * memory):
        return MemoryCache(int(settings.store_share * memory)), None
    folder = cache_folder("images")
    disk = int(settings.store_share * free_disk(folder))
    if settings.store == "auto" and (needed > disk or needed > _PAGE_CACHE_SHARE * memory):
        return None, None
    try:
        cache = DiskCache(folder, disk, needed, keys)
    except OSError as error:
        return None, english("decoded images are not cached: {folder}: {reason}", folder=folder, reason=error.strerror)
    return cache, english(
        "decoded images are cached in {folder}, about {size:.1f} GB (train.store: off disables this)",
        folder=folder,
        size=needed / 1000000000.0,
    )


def _shared_by_views(unlabelled: Table, plan: Plan) -> Cache | None:
    """The cache of decoded unlabelled samples, which every view shows: in memory if all fit, else none."""
    cache, _ = choose_cache(unlabelled, plan, len(plan.unlabelled.augmentations))
    return cache if isinstance(cache, MemoryCache) else None


class RenderedSource:
    """Samples rendered with the SAMPLE methods, mixed with the BATCH methods, and moved to the device."""

    def __init__(
        self, table: Table, loader: Loader, plan: Plan, device: torch.device, failed: Callable[[str, str], Any]
    ) -> None:
        self.model: nn.Module = plan.net
        self._table, self._loader, self._plan, self._device, self._failed = table, loader, plan, device, failed
        self._shown, self._high_res = Stream(loader), Stream(loader)
        self._task, self._labels, self._num_classes = table.task, table.labels, len(table.classes)
        self._soft_NK = table.targets.probs_BK if table.has_soft_targets else None
        self._weight_N = torch.tensor(table.frame["weight"].to_numpy(np.float32))
        self._batch_size, self.steps_per_epoch = batch_shape(len(table), plan.recipe.train.batch_size)
        self._unlabelled: UnlabelledSource | None = None
        if plan.unlabelled:
            more = table.part(UNLABELLED)
            more_loader = training_loader(more, plan.recipe, plan.net, _shared_by_views(more, plan), plan.rendered_size)
            self._unlabelled = UnlabelledSource(
                more, more_loader, plan, device, failed, self._batch_size, self.steps_per_epoch
            )

    def _order(self, progress: Progress) -> np.ndarray:
        """The order of the epoch. If cost depends on length, batches contain samples of similar length."""
        order = self._plan.order(progress, self._table.label_N)
        if self._loader.lengths is None:
            return order
        shuffled = self._plan.rng.shuffled("batches", progress.epoch, len(order) // self._batch_size)
        return by_length(order, self._loader.lengths, self._batch_size, shuffled)

    @property
    def wait_seconds(self) -> float:
        more = self._unlabelled
        return self._loader.wait_seconds + (0.0 if more is None else more.wait_seconds)

    def batches(self, progress: Progress, settings: Settings, first: int) -> Iterator[Batch]:
        batches = self._labelled(progress, settings, first)
        if self._unlabelled is None:
            yield from batches
            return
        for batch, more in zip(batches, self._unlabelled.batches(progress, settings, first), strict=True):
            yield batch.replace(unlabelled=more)

    def _labelled(self, progress: Progress, settings: Settings, first: int) -> Iterator[Batch]:
        shown = self._rendered(self._shown, progress, settings, first)
        if self._plan.high_res_size <= settings.size:
            yield from shown
            return
        # Render the same views again instead of resizing the images, because the sharpness depends on the rendered size.
        larger = settings.replace(size=self._plan.high_res_size)
        for batch, high_res in zip(shown, self._rendered(self._high_res, progress, larger, first), strict=True):
            yield batch.replace(high_res=high_res.x)

    def _jobs(self, progress: Progress, settings: Settings, first: int = 0) -> list[Job]:
        copies, front = self._plan.augmentation.copies, self._plan.net.front
        draw = self._plan.augmentation.draw(progress.epoch, copies)
        orders = _cut(showings(self._order(progress), len(self._table)), self._batch_size, settings.batches, first)
        return [Job(np.tile(rows, copies), settings.size, draw, front.receive) for rows in orders]

    def _rendered(self, stream: Stream, progress: Progress, settings: Settings, first: int) -> Iterator[Batch]:
        """Render and mix the batches. The random draws depend on the samples and the epoch, not on the size."""
        augmentation, front, epoch = self._plan.augmentation, self._plan.net.front, progress.epoch
        copies = augmentation.copies
        expected = chain.from_iterable(self._jobs(later, settings) for later in later_epochs(progress))
        for rendered in stream.batches(self._jobs(progress, settings, first), expected):
            for index, reason in rendered.failed:
                self._failed(self._table.frame["id"].iloc[index % len(self._table)], reason)
            if not len(rendered.index_B):
                raise DataError(
                    f"none of the {len(rendered.failed)} files of a batch can be read; last error: {rendered.failed[-1][1]}"
                )
            row_B = rendered.index_B % len(self._table)
            rows = torch.from_numpy(row_B)
            targets = self._task.collate(self._labels[row_B], self._num_classes, rendered.masks)
            if self._soft_NK is not None:
                targets = cast(ClassTargets, targets).having(self._soft_NK[rows])
            batch = Batch(
                x=front(augmentation.transform_batch(rendered.content, epoch, rendered.index_B, copies)),
                targets=cast(ClassTargets, targets.to(self._device)),
                index_B=row_B,
                weight_B=to_device(self._weight_N[rows], self._device),
                epoch=epoch,
            )
            yield augmentation.mix(batch)


class FeatureSource:
    """Features of a frozen backbone, computed once. Requires that samples are the same in every epoch."""

    def __init__(self, features_ND: Tensor, table: Table, plan: Plan, device: torch.device) -> None:
        self.model: nn.Module = plan.net.head
        self._features_ND = features_ND.to(device)
        self._target = table.targets.to(device)
        self._weight_N = torch.tensor(table.frame["weight"].to_numpy(np.float32), device=device)
        self._label_N, self._plan = table.label_N, plan
        self._batch_size, self.steps_per_epoch = batch_shape(len(table), plan.recipe.train.batch_size)
        self.wait_seconds = 0.0

    def batches(self, progress: Progress, settings: Settings, first: int) -> Iterator[Batch]:
        order = self._plan.order(progress, self._label_N)
        for index_B in _cut(order, self._batch_size, settings.batches, first):
            rows = to_device(torch.from_numpy(index_B), self._features_ND.device)
            yield Batch(
                feature_rows(self._features_ND, rows), self._target[rows], index_B, self._weight_N[rows], progress.epoch
            )


def by_length(order_M: np.ndarray, length_N: np.ndarray, batch_size: int, shuffled: np.ndarray) -> np.ndarray:
    """Sort the order by length within windows of _WINDOW batches, then put the full batches in the order `shuffled`. This needs
    little padding, and the composition and order of batches stay random. The rest of a last short batch stays at the end."""
    whole = len(shuffled) * batch_size
    window = _WINDOW * batch_size
    parts = [order_M[start : min(start + window, whole)] for start in range(0, whole, window)]
    batches = np.concatenate([part[np.argsort(length_N[part], kind="stable")] for part in parts] or [order_M[:0]])
    return np.concatenate([batches.reshape(len(shuffled), batch_size)[shuffled].ravel(), order_M[whole:]])


def _cut(order_M: np.ndarray, batch_size: int, together: int, first: int) -> list[np.ndarray]:
    """The full batches of the epoch from number `first`, `together` of them at a time."""
    whole = len(order_M) // batch_size * batch_size
    return chunks(order_M[first * batch_size : whole], batch_size * together)


def batch_shape(samples: int, batch_size: Any) -> tuple[int, int]:
    """(batch size, batches per epoch). The last incomplete batch is dropped; the next epoch is shuffled again."""
    batch_size = min(int(batch_size), samples)
    return batch_size, samples // batch_size


def can_cache_features(plan: Plan, net: Net) -> bool:
    """Whether cached features can replace the samples."""
    return not net.by_pixel and plan.augmentation.nothing and net.backbone_frozen and not plan.unlabelled
