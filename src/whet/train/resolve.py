"""Every `auto` of a recipe, resolved once: what comes out is written into the run and used again on resume."""

from __future__ import annotations

import math
import os
import time

import numpy as np
import torch
from lightning_fabric import Fabric

from whet.core.duration import Duration
from whet.core.errors import DataError
from whet.core.process import hush_fabric, keep_freed_memory
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.data.image_loader import ImageLoader
from whet.data.table import Table
from whet.models.build import resolve
from whet.models.front import TextFront
from whet.models.net import Net
from whet.train import budget
from whet.train.plan import Plan
from whet.train.precision import choose_precision
from whet.train.source import batch_shape

_TRIED = 64
_COUNTED, _MOST_TOKENS = 5000, 512
_PROBE_SIZE = 128


def resolve_threads(recipe: Recipe) -> Recipe:
    """Torch's threads and the loader's: as many as there are cores. The process is set up accordingly."""
    cores = os.cpu_count() or 1
    chosen = {}
    if recipe.train.torch_threads == "auto":
        chosen["torch_threads"] = cores
    if recipe.train.loader_threads == "auto":
        chosen["loader_threads"] = min(cores, 8)
    recipe = recipe.setting(**chosen)
    torch.set_num_threads(int(recipe.train.torch_threads))
    keep_freed_memory()
    return recipe


def usual_size(recipe: Recipe, table: Table) -> int:
    """The median shorter side of some pictures; 0 of what has no sides."""
    if table.medium != "picture":
        return 0
    rows = Rng(recipe.data.split_seed).shuffled("sizes", 0, len(table))[:_TRIED]
    shorter = [min(size) for size in ImageLoader(table.frame["path"], 1).sizes(rows)]
    if not shorter:
        raise DataError(
            f"data {recipe.data.path}: none of the {len(rows)} pictures tried can be decoded; whet check names them"
        )
    return int(np.median(shorter))


def resolve_model(recipe: Recipe, picture_size: int, samples: int) -> Recipe:
    """Architecture and weights, and a batch size."""
    recipe = recipe.replace(model=resolve(recipe.model, picture_size, recipe.medium))
    if recipe.train.batch_size == "auto":
        recipe = recipe.setting(batch_size=usual_batch_size(samples))
    return recipe


def usual_batch_size(samples: int) -> int:
    """About a fiftieth of the training samples, a power of two from 16 to 128."""
    return int(2 ** min(7, max(4, round(math.log2(max(samples, 1) / 50)))))


def resolve_size(recipe: Recipe, net: Net, picture_size: int, table: Table) -> Recipe:
    """Pictures: the size the weights were trained with; from scratch, that of the pictures, in steps of 8 from 32 to 224. Shares of
    it go in steps of 32, as most networks halve a picture five times. Texts: so many tokens that 99 of 100 are shown whole, as
    far as the weights allow, and at most _MOST_TOKENS."""
    if recipe.medium == "text":
        return _resolve_tokens(recipe, net, table)
    native = net.spec.native_size or min(224, max(32, -(-picture_size // 8) * 8))
    step = 32 if native >= 64 else 8

    def pixels(size: int | str, auto: int) -> int:
        if isinstance(size, int):
            return size
        return auto if size == "auto" else max(step, round(native * int(size.removesuffix("%")) / 100 / step) * step)

    size = pixels(recipe.train.image_size, native)
    return recipe.setting(image_size=size, eval_size=pixels(recipe.train.eval_size, size))


def _resolve_tokens(recipe: Recipe, net: Net, table: Table) -> Recipe:
    if recipe.train.max_tokens != "auto":
        return recipe
    assert isinstance(net.front, TextFront)
    texts = table.part("train").frame["text"]
    rows = Rng(recipe.data.split_seed).shuffled("lengths", 0, len(texts))[:_COUNTED]
    longest = int(np.quantile(net.front.lengths([texts.iloc[row] for row in rows]), 0.99))
    most = min(_MOST_TOKENS, net.spec.native_size or _MOST_TOKENS)
    return recipe.setting(max_tokens=min(most, max(8, -(-longest // 8) * 8)))


def make_fabric(recipe: Recipe) -> Fabric:
    """Lightning Fabric for the recipe's device and precision (float32 while that is still `auto`)."""
    hush_fabric()
    bf16 = recipe.train.precision == "bf16"
    fabric = Fabric(accelerator=recipe.train.device, devices=1, precision="bf16-mixed" if bf16 else "32-true")
    fabric.launch()
    return fabric


def resolve_precision(recipe: Recipe, net: Net) -> Recipe:
    if recipe.train.precision != "auto":
        return recipe
    with Rng(recipe.train.seed).torch_scope("probe"):
        device = make_fabric(recipe).device
        size = min(recipe.size, _PROBE_SIZE) if recipe.medium == "picture" else recipe.size
        chosen = choose_precision(net, device, size)
    return recipe.setting(precision=chosen)


def resolve_budget(
    recipe: Recipe, table: Table, plan: Plan, fabric: Fabric, started: float, tail_seconds: float
) -> Recipe:
    """The budget as whole steps. A budget in minutes counts from `started` and covers everything up to the finished run."""
    train, shown, allowed = table.part("train"), len(table), None
    _, per_epoch = batch_shape(len(train), recipe.train.batch_size)
    if recipe.train.budget.is_time:
        speed = budget.measure(recipe, plan.net, plan.context, fabric, train)
        ending = speed.final_answer_seconds * (shown - len(train)) + tail_seconds
        ending += speed.answer_seconds * len(train) if plan.settles else 0.0
        if plan.answers_anew:  # the plain answers, to compare with
            ending += speed.answer_seconds * len(table.part("test"))
        allowed = max(1.0, recipe.train.budget.seconds - (time.monotonic() - started) - ending)
        counted, validation = allowed * budget.SAFETY, speed.answer_seconds * len(table.part("val"))
        epochs = budget.epochs_that_fit(plan, speed, counted, recipe.size, per_epoch, validation)
        steps = epochs * per_epoch
    else:
        steps = max(1, recipe.train.budget.steps(per_epoch, per_epoch))
        epochs = math.ceil(steps / per_epoch)
    every, save = recipe.train.validate_every, recipe.train.checkpoint_every
    return recipe.setting(
        epochs=epochs,
        steps=steps,
        seconds=allowed,
        validate_every=Duration(budget.validate_every(epochs), "ep") if every == "auto" else every,
        checkpoint_every=Duration(1, "ep") if save == "auto" else save,
    )
