"""Every `auto` of a recipe, resolved once: what comes out is written into the run and used again on resume."""

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
from whet.core.process import hush_fabric, keep_freed_memory, torch_cores, usable_cores
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.stages import Shortens
from whet.data.audio import AudioInfo, UnreadableAudio, audio_info
from whet.data.extent import MOST_TOKENS, Truncation, clip_seconds
from whet.data.image import UnreadableImage, uncertain_pixels
from whet.data.image_loader import ImageLoader
from whet.data.loader import chunks
from whet.data.media import USUAL_RATE, loader_of
from whet.data.table import Table
from whet.models.build import resolve, standardised
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
_TAIL_SECONDS = 5.0  # what saving, the images and the report take after the last answer
MAX_EPOCHS = 1000


def resolve_threads(recipe: Recipe) -> Recipe:
    """Torch's threads and the loader's: as many as there are cores to use. The process is set up accordingly."""
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
    """The median shorter side of some images; 0 of what has no sides."""
    if table.medium != "image":
        return 0
    rows = Rng(recipe.data.split_seed).shuffled("sizes", 0, len(table))[:_TRIED]
    shorter = [min(size) for size in ImageLoader(table.frame["path"], 1).sizes(rows)]
    if not shorter:
        raise DataError(
            f"data {recipe.data.path}: none of the {len(rows)} images tried can be decoded; whet check names them"
        )
    return int(np.median(shorter))


def usual_rate(recipe: Recipe, table: Table) -> int:
    """The median rate of some audio clips, in samples a second."""
    return (
        int(np.median([info.rate for info, _ in _some_audio(recipe, table)])) if table.medium == "audio" else USUAL_RATE
    )


def usual_seconds(recipe: Recipe, table: Table) -> float:
    """How much of an audio clip is heard at once: as the recipe says, or so much that 95 of 100 are heard whole."""
    if recipe.train.clip_seconds != "auto":
        return float(recipe.train.clip_seconds)
    return clip_seconds([seconds for _, seconds in _some_audio(recipe, table)])


def unseen_note(recipe: Recipe, net: Net, table: Table) -> str:
    """How many texts or audio clips the network is not shown whole, and how much of them, of all parts (of very many samples, of
    some);
    how many images hold values that are cut off; "" for none."""
    if recipe.medium == "text":
        assert isinstance(net.front, TextFront)
        texts, rows = table.frame["text"], Rng(recipe.data.split_seed).shuffled("lengths", 0, len(table))[:_COUNTED]
        found = Truncation.of(net.front.lengths([texts.iloc[row] for row in rows]), recipe.size)
        limit, held = f"{recipe.size} tokens (train.max_tokens)", "tokens"
    elif recipe.medium == "audio":
        found = Truncation.of([seconds for _, seconds in _some_audio(recipe, table, _COUNTED)], recipe.size / 1000)
        limit, held = f"{recipe.size / 1000:g} s (train.clip_seconds)", "seconds"
    else:
        return _out_of_range(recipe, table)
    return found.text(f"{recipe.medium}s", limit, held) if found.cut else ""


def _out_of_range(recipe: Recipe, table: Table) -> str:
    """How many of some images hold values that the rules of `data.image` cut off, "" for none."""
    bad, looked_at = 0, 0
    for row in Rng(recipe.data.split_seed).shuffled("sizes", 0, len(table))[:_TRIED]:
        with contextlib.suppress(OSError, UnreadableImage):
            outside, not_finite = uncertain_pixels(Path(table.frame["path"].iloc[row]).read_bytes())
            bad, looked_at = bad + bool(outside or not_finite), looked_at + 1
    if not bad:
        return ""
    return (
        f"{bad} of {looked_at} images looked at hold values that are cut off or are no numbers: floating-point images are read "
        "as 0 to 1, those of 32 bits as 0 to 65,535; whet check names them"
    )


def _some_audio(recipe: Recipe, table: Table, most: int = _COUNTED_AUDIO) -> list[tuple[AudioInfo, float]]:
    """What some files say of themselves, and how many seconds each sample has."""
    found, frame = [], table.frame
    for row in Rng(recipe.data.split_seed).shuffled("sizes", 0, len(table))[:most]:
        start, end = float(frame["start"].iloc[row]), float(frame["end"].iloc[row])
        try:
            info = audio_info(Path(frame["path"].iloc[row]))
        except (OSError, UnreadableAudio):
            continue
        found.append((info, (info.seconds if np.isnan(end) else min(end, info.seconds)) - np.nan_to_num(start)))
    if not found:
        raise DataError(f"data {recipe.data.path}: none of the audio clips tried can be decoded; whet check names them")
    return found


def resolve_model(recipe: Recipe, image_size: int, samples: int) -> Recipe:
    """Architecture and weights, and a batch size."""
    recipe = recipe.replace(model=resolve(recipe.model, image_size, recipe.medium))
    if recipe.train.batch_size == "auto":
        recipe = recipe.setting(batch_size=usual_batch_size(samples))
    return recipe


def usual_batch_size(samples: int) -> int:
    """About a fiftieth of the training samples, a power of two from 16 to 128."""
    return int(2 ** min(7, max(4, round(math.log2(max(samples, 1) / 50)))))


def resolve_size(recipe: Recipe, net: Net, image_size: int, table: Table) -> Recipe:
    """Images: the size the weights were trained with; from scratch, that of the images, in steps of 8 from 32 to 224. Shares of
    it go in steps of 32, as most networks halve an image five times. Texts: so many tokens that 99 of 100 are shown whole, as
    far as the weights allow, and at most MOST_TOKENS. Audio clips: so many seconds that 95 of 100 are heard whole, at most
    LONGEST_CLIP; where the network wants its spectrograms at mean 0 and deviation 1, it is told those of some."""
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

    size = pixels(recipe.train.image_size, native)
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
    heard = loader.batches(chunks(rows, 16), recipe.size, receive=net.front.receive)
    standardised(net, torch.cat([painted.content for painted in heard]))
    return recipe


def make_fabric(recipe: Recipe) -> Fabric:
    """Lightning Fabric for the recipe's device and precision (float32 while that is still `auto`)."""
    hush_fabric()
    bf16, device = recipe.train.precision == "bf16", recipe.train.device
    try:
        fabric = Fabric(accelerator=device, devices=1, precision="bf16-mixed" if bf16 else "32-true")
    except RuntimeError:  # Fabric's word for an accelerator that is not there
        raise RecipeError(f"train.device = {device}: this machine has none; accepted here: auto, cpu") from None
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
    """The kind of device, once known; a resumed run stays on it."""
    found = make_fabric(recipe).device.type
    return recipe.setting(device=found)


def most_steps(recipe: Recipe, per_epoch: int) -> int:
    """How many a budget in minutes is filled with at most."""
    return (recipe.train.max_epochs or MAX_EPOCHS) * per_epoch


def shortened(recipe: Recipe, table: Table, state: State) -> tuple[Recipe, str] | None:
    """What a method of the recipe makes of it where a budget in minutes fits too few epochs, and a note that says so."""
    if not recipe.train.budget.is_time:
        return None
    _, per_epoch = batch_shape(len(table.part("train")), recipe.train.batch_size)
    epochs = state.total_steps / per_epoch
    for method in recipe.methods:
        if isinstance(method, Shortens) and (found := method.shortened(recipe, epochs)) is not None:
            return found[0], f"the budget fits {epochs:.1f} epochs: {found[1]}"
    return None


def resolve_budget(
    recipe: Recipe, table: Table, plan: Plan, fabric: Fabric, spent: Callable[[], float], clock: Clock
) -> tuple[Recipe, State, Pace | None]:
    """The recipe with how often it is validated and saved, the state before the first step with the budget as whole steps, and what
    keeps it to its minutes: they count from the start of the run and cover everything up to its end. spent: the seconds since it
    began."""
    train, shown, pace = table.part("train"), len(table), None
    _, per_epoch = batch_shape(len(train), recipe.train.batch_size)
    if recipe.train.budget.is_time:
        speed = budget.measure(recipe, plan.net, plan.context, fabric, train, clock)
        ending = speed.final_answer_seconds * (shown - len(train)) + _TAIL_SECONDS
        ending += speed.answer_seconds * len(train) if plan.finalizes else 0.0
        if plan.predicts_otherwise:  # the plain answers, to compare with
            ending += speed.answer_seconds * len(table.part("test"))
        validation = speed.answer_seconds * len(table.part("val"))
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
