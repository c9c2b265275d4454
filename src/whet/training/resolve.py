"""Resolve every `auto` of a recipe once. The result is saved in the run and used again on resume."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from whet.core.duration import Duration
from whet.core.errors import DataError, RecipeError
from whet.core.language import Sentence, english
from whet.core.media import plural
from whet.core.process import hush_fabric, keep_freed_memory, torch_cores, usable_cores
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.stages import Shortens
from whet.core.task import Task
from whet.data.audio import AudioInfo, UnreadableAudio, audio_info
from whet.data.extent import MOST_TOKENS, Truncation, clip_seconds
from whet.data.image import UnreadableImage, uncertain_pixels
from whet.data.image_loader import ImageLoader
from whet.data.loader import chunks
from whet.data.media import USUAL_RATE, loader_of
from whet.data.table import Table
from whet.models.build import resolve, standardised, usual_head
from whet.models.front import AudioFront, TextFront
from whet.models.net import Net
from whet.training import budget
from whet.training.budget import Clock
from whet.training.loop import State
from whet.training.pace import Costs, Pace, validate_every
from whet.training.plan import Plan
from whet.training.precision import choose_precision
from whet.training.source import batch_shape

_TRIED = 64
_COUNTED, _COUNTED_AUDIO = 5000, 200
_PROBE_SIZE = 128
_TAIL_SECONDS = 5.0  # saving, samples and report after the last prediction
MAX_EPOCHS = 1000


def resolve_threads(recipe: Recipe) -> Recipe:
    """Set the threads of torch and the loader to the number of available cores, and configure the process."""
    chosen = {}
    if recipe.train.torch_threads == "auto":
        chosen["torch_threads"] = torch_cores()
    if recipe.train.loader_threads == "auto":
        chosen["loader_threads"] = min(usable_cores(), 8)
    recipe = recipe.setting(**chosen)
    torch.set_num_threads(int(recipe.train.torch_threads))
    keep_freed_memory()
    return recipe


def usual_size(recipe: Recipe, table: Table) -> int:
    """The median shorter side of a sample of the images; 0 for other media."""
    if table.medium != "image":
        return 0
    rows = Rng(recipe.data.split_seed).shuffled("sizes", 0, len(table))[:_TRIED]
    shorter = [min(size) for size in ImageLoader(table.frame["path"], 1).sizes(rows)]
    if not shorter:
        raise DataError(
            f"data {recipe.data.path}: none of the {len(rows)} tested images can be decoded; whet check lists them"
        )
    return int(np.median(shorter))


def usual_rate(recipe: Recipe, table: Table) -> int:
    """The median rate of a sample of the audio clips, in samples per second."""
    return (
        int(np.median([info.rate for info, _ in _some_audio(recipe, table)])) if table.medium == "audio" else USUAL_RATE
    )


def usual_seconds(recipe: Recipe, table: Table) -> float:
    """The length of an audio clip that the network uses: the recipe's, or the length that covers 95 % of the clips."""
    if recipe.train.clip_seconds != "auto":
        return float(recipe.train.clip_seconds)
    return clip_seconds([seconds for _, seconds in _some_audio(recipe, table)])


def unseen_note(recipe: Recipe, net: Net, table: Table) -> Sentence | None:
    """A note on texts or audio clips that are truncated, and on images with clipped values; None if there are none. Very large data
    sets are sampled."""
    if recipe.medium == "text":
        assert isinstance(net.front, TextFront)
        texts, rows = table.frame["text"], Rng(recipe.data.split_seed).shuffled("lengths", 0, len(table))[:_COUNTED]
        found = Truncation.of(net.front.lengths([texts.iloc[row] for row in rows]), recipe.size)
        limit, held = english("{n} tokens (train.max_tokens)", n=recipe.size), english("tokens")
    elif recipe.medium == "audio":
        found = Truncation.of([seconds for _, seconds in _some_audio(recipe, table, _COUNTED)], recipe.size / 1000)
        limit = english("{s:g} s (train.clip_seconds)", s=recipe.size / 1000)
        held = english("seconds")
    else:
        return _out_of_range(recipe, table)
    return found.text(plural(recipe.medium), limit, held) if found.cut else None


def _out_of_range(recipe: Recipe, table: Table) -> Sentence | None:
    """A note on the number of images with values that `data.image` clips; None if there are none."""
    bad, looked_at = 0, 0
    for row in Rng(recipe.data.split_seed).shuffled("sizes", 0, len(table))[:_TRIED]:
        with contextlib.suppress(OSError, UnreadableImage):
            outside, not_finite = uncertain_pixels(Path(table.frame["path"].iloc[row]).read_bytes())
            bad, looked_at = bad + bool(outside or not_finite), looked_at + 1
    if not bad:
        return None
    return english(
        "{bad} of {n} tested images have values that are clipped or not finite: floating-point images are read as 0 to "
        "1, those of 32 bits as 0 to 65,535; whet check lists them",
        bad=bad,
        n=looked_at,
    )


def _some_audio(recipe: Recipe, table: Table, most: int = _COUNTED_AUDIO) -> list[tuple[AudioInfo, float]]:
    """The file information and duration in seconds of a sample of the audio clips."""
    found, frame = [], table.frame
    for row in Rng(recipe.data.split_seed).shuffled("sizes", 0, len(table))[:most]:
        start, end = float(frame["start"].iloc[row]), float(frame["end"].iloc[row])
        try:
            info = audio_info(Path(frame["path"].iloc[row]))
        except (OSError, UnreadableAudio):
            continue
        found.append((info, (info.seconds if np.isnan(end) else min(end, info.seconds)) - np.nan_to_num(start)))
    if not found:
        raise DataError(
            f"data {recipe.data.path}: none of the tested audio clips can be decoded; whet check lists them"
        )
    return found


def resolve_model(recipe: Recipe, image_size: int, samples: int, task: Task) -> Recipe:
    """Resolve architecture, weights, head and batch size."""
    recipe = recipe.replace(model=resolve(recipe.model, image_size, recipe.medium))
    if recipe.model.head == "auto":
        recipe = recipe.replace(model=recipe.model.replace(head=usual_head(recipe.model, task)))
    if recipe.train.batch_size == "auto":
        recipe = recipe.setting(batch_size=min(usual_batch_size(samples), task.most_in_batch))
    return recipe


def usual_batch_size(samples: int) -> int:
    """About 1/50 of the training samples, as a power of two from 16 to 128."""
    return int(2 ** min(7, max(4, round(math.log2(max(samples, 1) / 50)))))


def resolve_size(recipe: Recipe, net: Net, image_size: int, table: Table) -> Recipe:
    """Resolve the input size. Images: the size of the pretrained weights; from scratch, the size of the images, in steps of 8 from
    32 to 224. Images with masks of objects: their own size, from once to twice that one, in steps of 32. Percentages of it are
    rounded to steps of 32, because most networks halve an image five times. Texts: the number of tokens that covers 99 % of the
    texts, as far as the weights allow, at most MOST_TOKENS. Audio: the seconds that cover 95 % of the clips, at most LONGEST_CLIP.
    If the network expects spectrograms with mean 0 and standard deviation 1, it gets the statistics of a sample."""
    if recipe.medium == "text":
        return _resolve_tokens(recipe, net, table)
    if recipe.medium == "audio":
        return _resolve_clip(recipe, net, table)
    native = net.spec.native_size or min(224, max(32, -(-image_size // 8) * 8))
    step = 32 if native >= 64 else 8

    def pixels(size: int | str, auto: int) -> int:
        if isinstance(size, int):
            return size
        return auto if size == "auto" else max(step, round(native * int(size.removesuffix("%")) / 100 / step) * step)

    usual = min(max(native, image_size // 32 * 32), native * table.task.most_enlarged)
    size = pixels(recipe.train.image_size, usual)
    return recipe.setting(image_size=size, eval_size=pixels(recipe.train.eval_size, size))


def _resolve_tokens(recipe: Recipe, net: Net, table: Table) -> Recipe:
    if recipe.train.max_tokens != "auto":
        return recipe
    assert isinstance(net.front, TextFront)
    texts = table.part("train").frame["text"]
    rows = Rng(recipe.data.split_seed).shuffled("lengths", 0, len(texts))[:_COUNTED]
    longest = int(np.quantile(net.front.lengths([texts.iloc[row] for row in rows]), 0.99))
    most = min(MOST_TOKENS, net.spec.native_size or MOST_TOKENS)
    return recipe.setting(max_tokens=min(most, max(8, -(-longest // 8) * 8)))


def _resolve_clip(recipe: Recipe, net: Net, table: Table) -> Recipe:
    assert isinstance(net.front, AudioFront)
    train = table.part("train")
    recipe = recipe.setting(clip_seconds=usual_seconds(recipe, train))
    rows = np.sort(Rng(recipe.data.split_seed).shuffled("levels", 0, len(train))[:_COUNTED_AUDIO])
    loader = loader_of(train.frame, "audio", int(recipe.train.loader_threads), rate=net.front.rate)
    batches = loader.batches(chunks(rows, 16), recipe.size, receive=net.front.receive)
    standardised(net, torch.cat([rendered.content for rendered in batches]))
    return recipe


def make_fabric(recipe: Recipe) -> Fabric:
    """Lightning Fabric for the recipe's device and precision (float32 while the precision is still `auto`)."""
    hush_fabric()
    bf16, device = recipe.train.precision == "bf16", recipe.train.device
    try:
        fabric = Fabric(accelerator=device, devices=1, precision="bf16-mixed" if bf16 else "32-true")
    except RuntimeError:  # Fabric raises it if the accelerator does not exist
        raise RecipeError(f"train.device = {device}: not available on this machine; accepted: auto, cpu") from None
    fabric.launch()
    return fabric


def resolve_precision(recipe: Recipe, net: Net) -> Recipe:
    if recipe.train.precision != "auto":
        return recipe
    device = make_fabric(recipe).device
    with Rng(recipe.train.seed).torch_scope("probe", device=device):
        size = min(recipe.size, _PROBE_SIZE) if recipe.medium == "image" else recipe.size
        chosen = choose_precision(net, device, size)
    return recipe.setting(precision=chosen)


def resolve_device(recipe: Recipe) -> Recipe:
    """Resolve the kind of device; a resumed run uses the same kind."""
    found = make_fabric(recipe).device.type
    return recipe.setting(device=found)


def most_steps(recipe: Recipe, per_epoch: int) -> int:
    """The maximum number of steps for a budget in minutes."""
    return (recipe.train.max_epochs or MAX_EPOCHS) * per_epoch


def shortened(recipe: Recipe, table: Table, state: State) -> tuple[Recipe, Sentence] | None:
    """The recipe as changed by one of its methods if a budget in minutes allows too few epochs, and a note about it."""
    if not recipe.train.budget.is_time:
        return None
    _, per_epoch = batch_shape(len(table.part("train")), recipe.train.batch_size)
    epochs = state.total_steps / per_epoch
    for method in recipe.methods:
        if isinstance(method, Shortens) and (found := method.shortened(recipe, epochs)) is not None:
            return found[0], english(
                "the budget allows {epochs:.1f} epochs: {change!t}", epochs=epochs, change=found[1]
            )
    return None


def resolve_budget(
    recipe: Recipe, table: Table, plan: Plan, fabric: Fabric, spent: Callable[[], float], clock: Clock
) -> tuple[Recipe, State, Pace | None]:
    """Resolve the budget. Returns the recipe with its validation and checkpoint intervals, the state before the first step with
    the budget as a number of steps, and the `Pace` of a budget in minutes, which covers the whole run. spent: the seconds since
    the start of the run."""
    train, shown, pace = table.part("train"), len(table), None
    _, per_epoch = batch_shape(len(train), recipe.train.batch_size)
    if recipe.train.budget.is_time:
        speed = budget.measure(recipe, plan.net, plan.context, fabric, train, clock)
        passes = 1 if table.task.needs_labels else 1 + plan.augmentation.copies  # also for their training loss
        ending = passes * speed.final_inference_seconds * (shown - len(train)) + _TAIL_SECONDS
        ending += speed.inference_seconds * len(train) if plan.finalizes else 0.0
        if plan.predicts_otherwise:  # also the plain predictions, for the comparison
            ending += speed.inference_seconds * len(table.part("test"))
        validation = passes * speed.inference_seconds * len(table.part("val"))
        costs = Costs(recipe.train.budget.seconds, speed.step_seconds, validation, ending)
        pace = Pace(plan, recipe.size, costs, per_epoch, most_steps(recipe, per_epoch))
        steps = pace.steps_that_fit(0, spent())
    else:
        steps = max(1, recipe.train.budget.steps(per_epoch, per_epoch))
    if recipe.train.validate_every == "auto":
        recipe = recipe.setting(validate_every=Duration(validate_every(-(-steps // per_epoch)), "ep"))
    if recipe.train.checkpoint_every == "auto":
        recipe = recipe.setting(checkpoint_every=Duration(1, "ep"))
    every, save = (
        max(1, Duration.parse(each).steps(per_epoch, steps))
        for each in (recipe.train.validate_every, recipe.train.checkpoint_every)
    )
    return recipe, State(steps, every, save), pace
