"""A preview of training samples: the originals and their augmented variants per epoch, with the methods that changed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from whet.core.batch import Batch
from whet.core.errors import DataError
from whet.core.recipe import Recipe
from whet.core.targets import ClassTargets
from whet.data.loader import Loader
from whet.data.table import Table
from whet.models.front import AudioFront, Front, TextFront
from whet.models.mel import MelSettings
from whet.models.tokens import Tokens
from whet.training.augmentation import Augmentation, Watch
from whet.training.resolve import usual_seconds


@dataclass(frozen=True)
class Tile:
    """A rendered sample: an image (H, W, 3) uint8, a text, a wave, or a wave and its spectrogram; the methods that changed it;
    and its target classes in descending order of their share (its own label if it was not mixed)."""

    content: Any
    methods: tuple[str, ...]
    target: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Row:
    """A training sample and its variants, one per epoch."""

    id: str
    label: str
    original: Any
    variants: tuple[Tile, ...]


def draw_preview(
    augmentation: Augmentation,
    table: Table,
    loader: Loader,
    size: int,
    rows: int = 6,
    variants: int = 5,
    front: Front | None = None,
) -> list[Row]:
    """Render the first samples of each class in turn at this size in the first epochs. Images are also mixed with each other. For
    texts and audio, `front` shows the transformations after the front."""
    (original,) = loader.batches([_one_of_each(table, rows)], size)
    index_B = original.index_B
    if not len(index_B):
        raise DataError(f"none of the {rows} tested samples can be read; first error: {original.failed[0][1]}")
    columns = [_variants(augmentation, table, loader, size, index_B, epoch, front) for epoch in range(variants)]
    names = [(table.frame["id"].iloc[i], table.text_of(table.label_N[i])) for i in index_B]
    return [
        Row(id_, label, original.content[b], tuple(column[b] for column in columns))
        for b, (id_, label) in enumerate(names)
    ]


def front_to_look_through(table: Table, recipe: Recipe) -> tuple[Front | None, int]:
    """(a front that shows these samples without a network, the size to render them at)."""
    match table.medium:
        case "text":
            tokens = recipe.train.max_tokens
            return TextFront(Tokens.train(table.frame["text"])), tokens if isinstance(tokens, int) else 512
        case "audio":
            return AudioFront(MelSettings()), round(1000 * usual_seconds(recipe, table))
        case _:
            pixels = recipe.train.image_size
            return None, pixels if isinstance(pixels, int) else 224


def listed(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as JSON-serializable dicts, without their content."""
    return [
        {
            "id": row.id,
            "label": row.label,
            "variants": [{"methods": list(tile.methods), "target": dict(tile.target)} for tile in row.variants],
        }
        for row in rows
    ]


def _variants(
    augmentation: Augmentation,
    table: Table,
    loader: Loader,
    size: int,
    index_B: np.ndarray,
    epoch: int,
    front: Front | None,
) -> list[Tile]:
    copies, shown = augmentation.copies, len(index_B)
    index_B = np.tile(index_B, copies)
    acted: list[list[str]] = [[] for _ in index_B]

    def watch(name: str, changed_B: np.ndarray) -> None:
        for b in np.flatnonzero(changed_B):
            acted[b].append(name)

    (rendered,) = loader.batches([index_B], size, augmentation.draw(epoch, copies, watch))
    targets: Any = table.task.collate(table.labels[index_B], len(table.classes), rendered.masks)
    content, share_BK = rendered.content, targets.share_BK
    if table.medium == "image":
        content, mixed = _mixed(augmentation, content, targets, index_B, epoch, watch)
        content, share_BK = table.task.drawn(content, mixed), mixed.share_BK
    elif front is not None:
        received = front.receive(content, size)
        transformed = augmentation.transform_batch(received, epoch, index_B, copies, watch)
        changed_B = (transformed != received).flatten(1).any(dim=1).tolist()
        content = [front.seen(*pair) if changed else pair[0] for *pair, changed in zip(content, transformed, changed_B)]
    own = [((table.text_of(label), 1.0),) for label in table.label_N[index_B]]
    tiles = [
        Tile(one, tuple(names), _shares(probs_K.tolist(), table.classes) if (probs_K != own_K).any() else label)
        for one, names, probs_K, own_K, label in zip(content, acted, share_BK, targets.share_BK, own)
    ]
    return tiles[-shown:]  # the last copies, because the first may be unchanged


def _mixed(
    augmentation: Augmentation,
    images_BHWC: np.ndarray,
    targets: ClassTargets,
    index_B: np.ndarray,
    epoch: int,
    watch: Watch,
) -> tuple[np.ndarray, Any]:
    """Apply pixel transformations and mixing to rendered images. Returns the images and their targets."""
    pixels = torch.from_numpy(images_BHWC).permute(0, 3, 1, 2)
    pixels = augmentation.transform_batch(pixels, epoch, index_B, augmentation.copies, watch)
    mixed = augmentation.mix(Batch(pixels.float(), targets, index_B, torch.ones(len(index_B)), epoch), watch)
    return mixed.x.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy(), mixed.targets


def _shares(probs: list[float], classes: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    found = [(name, share) for name, share in zip(classes, probs) if share > 0.005]
    return tuple(sorted(found, key=lambda pair: -pair[1]))


def _one_of_each(table: Table, count: int) -> np.ndarray:
    """The first samples of the classes in turn."""
    label_N = table.label_N
    turn_N = np.zeros(len(label_N), dtype=np.int64)
    for k in np.unique(label_N):
        turn_N[label_N == k] = np.arange((label_N == k).sum())
    return np.lexsort((label_N, turn_N))[:count]
