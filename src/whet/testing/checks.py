"""The contract checks, one function per check."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import re
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from whet.core.batch import Progress, Settings
from whet.core.card import card
from whet.core.errors import NoEffectError, RecipeError
from whet.core.mask_targets import MaskTargets
from whet.core.method import Method
from whet.core.recipe import Recipe, parse_method
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.stages import Arranges, Changes, Draws, Mixes, Scales, Selects, Sets, WrapsPredictor
from whet.core.task import problems
from whet.core.view import ImageView
from whet.evaluate.inference import using_weights
from whet.models.build import load_net, save_net
from whet.testing.bench import (
    BenchPredictor,
    digests,
    digests_without,
    example_batch,
    example_view,
    has_effect,
    made,
    make_bench,
    tasks_of,
    train_steps,
    trainable,
    training_rows,
)
from whet.testing.samples import (
    BATCH_SIZE,
    CLASSES,
    IMAGE_SIZE,
    LABELS,
    NUM_SAMPLES,
)
from whet.testing.waits import Waits
from whet.training.checkpoint import flatten, unflatten
from whet.training.loop import stepped
from whet.training.plan import select_rows


def check_defaults(cls: type[Method]) -> None:
    """The method can be created with defaults, is frozen, and is equal to a method with equal settings."""
    method = cls()
    assert method == cls()
    for key in cls.model_fields:
        try:
            setattr(method, key, getattr(method, key))
        except (TypeError, ValueError):
            continue
        raise AssertionError(f"{key} can be set on a finished method: it must be frozen")


def check_yaml(cls: type[Method]) -> None:
    """A recipe with this method is unchanged by a YAML round trip."""
    if not (known := sorted(cls.tasks & problems().keys())):
        return  # no task that it is for exists yet
    recipe = Recipe(task=known[0], methods=(cls(),))
    again = Recipe.from_yaml(recipe.to_yaml())
    assert again == recipe, f"{again} differs from {recipe}"
    assert again.hash == recipe.hash


def check_unknown_key(cls: type[Method]) -> None:
    """An unknown key raises an error whose message names the nearest key."""
    for key in cls.model_fields or ("strength",):
        wrong = key + "x"
        try:
            parse_method({cls.name: {wrong: 1}})
        except RecipeError as error:
            assert wrong in str(error) and cls.name in str(error), f"the message does not name the key: {error}"
            assert not cls.model_fields or f"'{key}'" in str(error), f"the message does not name '{key}': {error}"
        else:
            raise AssertionError(f"the unknown key '{wrong}' was accepted")


def check_card(cls: type[Method]) -> None:
    """The docstring gives a summary, when (not) to use the method, and a source with a year; every setting has a description."""
    found = card(cls)
    source = found.sections["Source"]
    assert re.search(r"\b(17|18|19|20)\d\d\b", source), f"the source has no year: {source}"
    missing = [p.name for p in found.parameters if not p.description]
    assert not missing, f"no description of {missing}"


def check_stage(cls: type[Method]) -> None:
    """The method acts at its declared stages, on existing tasks."""
    assert cls.stage in cls.stages() and cls.tasks <= problems().keys()


def check_identity(cls: type[Method]) -> None:
    """The identity setting is bit-identical to absence in drawing, mixing, training and prediction."""
    assert cls.identity is not None, "no identity setting is declared"
    neutral = cls(**{**cls.example, **cls.identity})
    if not trainable(cls):
        return
    task = tasks_of(cls)[0]
    with_it, without = digests((neutral,), task), digests_without(task)
    for what, expected in without.items():
        assert with_it[what] == expected, f"the {what} with the identity setting differ from those without the method"


def check_seeded(cls: type[Method]) -> None:
    """The same seed gives the same training, samples and predictions."""
    if not trainable(cls):
        return
    task = tasks_of(cls)[0]
    once, again = digests((made(cls),), task), digests((made(cls),), task)
    for what, expected in once.items():
        assert again[what] == expected, f"the {what} of two trainings with one seed differ"


def check_draws_independent(cls: type[Method]) -> None:
    """Adding the method does not change the random draws of other methods, which are keyed by name."""
    if not issubclass(cls, Draws | Mixes):
        return
    rng = Rng(7)
    before = rng.batch("someone_else", 3, np.arange(BATCH_SIZE)).uniform(shape=(5,))
    if issubclass(cls, Draws):
        made(cls).draw(example_view(cls), rng.batch(cls.name, 3, np.arange(BATCH_SIZE)))
    if issubclass(cls, Mixes):
        made(cls).apply(
            example_batch(masks="image-classification" not in cls.tasks), rng.batch(cls.name, 3, np.arange(BATCH_SIZE))
        )
    after = rng.batch("someone_else", 3, np.arange(BATCH_SIZE)).uniform(shape=(5,))
    assert (before == after).all()
    alone = rng.batch(cls.name, 3, np.arange(BATCH_SIZE)).uniform()
    subset = rng.batch(cls.name, 3, np.arange(BATCH_SIZE)[3:5]).uniform()
    assert (alone[3:5] == subset).all(), "the random draw of a sample depends on its batch"


def check_inputs_kept(cls: type[Method]) -> None:
    """The inputs of the method are not modified."""
    rng = Rng(1).batch(cls.name, 0, np.arange(BATCH_SIZE))
    if issubclass(cls, Draws):
        view = example_view(cls)
        kept = copy.deepcopy(view)
        made(cls).draw(view, rng)
        assert not view.changed_since(kept).any(), "the given view was changed"
    if issubclass(cls, Mixes):
        batch = example_batch(masks="image-classification" not in cls.tasks)
        x, targets, index = batch.x.clone(), copy.deepcopy(batch.targets), batch.index_B.copy()
        made(cls).apply(batch, rng)
        same = torch.equal(batch.x, x) and not batch.targets.differs(targets).any()
        assert same, "the given batch was changed"
        assert (batch.index_B == index).all()
    if issubclass(cls, Arranges):
        order, label = np.arange(NUM_SAMPLES), LABELS.copy()
        made(cls).arrange(order, label, Progress(0, 20, 5), Rng(1).batch(cls.name, 0, order))
        assert (order == np.arange(NUM_SAMPLES)).all() and (label == LABELS).all(), "the given order was changed"
    if issubclass(cls, Selects):
        rows = training_rows(LABELS)
        kept_rows = rows.copy()
        select_rows((made(cls),), rows)
        pd.testing.assert_frame_equal(rows, kept_rows)


def check_shapes(cls: type[Method]) -> None:
    """Shapes, dtypes and devices are preserved; targets remain probabilities."""
    rng = Rng(2).batch(cls.name, 0, np.arange(BATCH_SIZE))
    if issubclass(cls, Draws):
        view = made(cls).draw(example_view(cls), rng)
        assert len(view) == BATCH_SIZE and view.changed_since(example_view(cls)).shape == (BATCH_SIZE,)
        if isinstance(view, ImageView):
            assert view.warp_B33.shape == (BATCH_SIZE, 3, 3) and np.isfinite(view.warp_B33).all()
            assert view.size == (IMAGE_SIZE, IMAGE_SIZE)
            colour = view.colour_B37
            assert colour is None or (colour.shape == (BATCH_SIZE, 3, 7) and np.isfinite(colour).all())
    if issubclass(cls, Mixes):
        given = example_batch(masks="image-classification" not in cls.tasks)
        batch = made(cls).apply(given, rng)
        assert batch.x.shape == given.x.shape and batch.x.dtype == given.x.dtype
        assert batch.x.device == given.x.device
        assert batch.instances is not None and len(batch.instances) == BATCH_SIZE
        assert all(one.mask_NHW.shape == (len(one.label_N), IMAGE_SIZE, IMAGE_SIZE) for one in batch.instances)
        targets: Any = batch.targets
        share = targets.weight_MB.T if isinstance(targets, MaskTargets) else targets.probs_BK
        total = share.sum(dim=1)
        assert torch.allclose(total, torch.ones_like(total)), "the targets do not sum to one"
        assert (share >= 0).all()
    if issubclass(cls, Arranges):
        order = np.arange(NUM_SAMPLES)
        arranged = made(cls).arrange(order, LABELS, Progress(0, 20, 5), Rng(1).batch(cls.name, 0, order))
        assert arranged.shape == order.shape and set(arranged.tolist()) <= set(order.tolist())
    if issubclass(cls, Scales):
        factors = [made(cls).factor(Progress(step, 20, 5)) for step in range(21)]
        assert all(np.isfinite(f) and f >= 0 for f in factors), f"factors {factors}"
    if issubclass(cls, Sets):
        found = [made(cls).settings(Progress(step, 20, 5), Settings(64)) for step in range(0, 21, 5)]
        assert all(8 <= s.size <= 64 and s.batches >= 1 for s in found), f"settings {found}"


def check_trains(cls: type[Method]) -> None:
    """For every declared task that whet can train, two training steps give finite weights, and a training loaded from what was
    saved then goes on as the uninterrupted one does, bit for bit.

    As in a resumed run, changes to the weights before the first step are not repeated."""
    for task in tasks_of(cls):
        first = make_bench((made(cls),), task)
        train_steps(first, 2)
        weights = first.plan.net.state_dict().values()
        assert all(torch.isfinite(tensor).all() for tensor in weights if tensor.is_floating_point()), task
        tensors: dict[str, Tensor] = {}
        plain = flatten(first.state(), tensors)
        second = make_bench((made(cls),), task, resumed=True)
        second.load(unflatten(plain, tensors))
        assert train_steps(second, 2, start=2) == train_steps(first, 2, start=2), (
            f"{task}: a resumed training differs from an uninterrupted one"
        )


def check_finalizes(cls: type[Method]) -> None:
    """After training, every network for prediction has finite weights and gives the same outputs when baked."""
    if not trainable(cls):
        return
    bench = make_bench((made(cls),))
    train_steps(bench, 2 if issubclass(cls, Draws) else 12)  # the whole training; draws end with their batch
    bench.plan.finalize(bench.finalize_context())
    net, x = bench.plan.net, bench.batch(0).x
    assert not net.training, "the network is not in evaluation mode"
    for weights in (dict(net.state_dict()), *bench.plan.ensemble_members()):
        assert all(torch.isfinite(tensor).all() for tensor in weights.values()), "weights are not finite"
        with using_weights(net, weights), torch.no_grad():
            assert torch.allclose(net.baked()(x), net(x), atol=1e-5), "the baked network gives different outputs"


def check_pickles(cls: type[Method]) -> None:
    """The method can be pickled."""
    assert pickle.loads(pickle.dumps(made(cls))) == made(cls)


def check_exports(cls: type[Method]) -> None:
    """A model changed by the method and a predictor wrapped by it can be exported with torch.export."""
    if (net := _net_to_export(cls)) is not None:
        _exported(net)


def check_onnx(cls: type[Method]) -> None:
    """What `check_exports` exports can be exported to ONNX with batches of any size, and onnxruntime gives the outputs of torch to
    within 0.001 (1 + the largest), where both are installed. Takes seconds for new operations."""
    missing = [name for name in ("onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing or "exports" in cls.exceptions or (net := _net_to_export(cls)) is None:
        return
    if (operations := _operations(_exported(net))) <= _IN_ONNX:
        return
    import onnxruntime

    from whet.exporting.graph import INPUT, onnx_model

    session = onnxruntime.InferenceSession(onnx_model(net, _export_input(2), (0,)), providers=["CPUExecutionProvider"])
    for count in (1, 2, 3):
        with torch.no_grad():
            wanted = net(inputs := _export_input(count))
        (found,) = session.run(None, {INPUT: inputs.numpy()})
        apart, most = (torch.from_numpy(found) - wanted).abs().max(), wanted.abs().max()
        assert apart <= 1e-3 * (1 + most), f"the ONNX model gives other outputs for a batch of {count}, by {apart:.2g}"
    _IN_ONNX.update(operations)


def _net_to_export(cls: type[Method]) -> nn.Module | None:
    """None for methods that change neither the model nor the predictor."""
    if not issubclass(cls, Changes | WrapsPredictor) or not trainable(cls):
        return None
    bench = make_bench((made(cls),))
    net = bench.plan.net.eval()
    return BenchPredictor(bench) if issubclass(cls, WrapsPredictor) else net


def _exported(net: nn.Module) -> torch.export.ExportedProgram:
    inputs = _export_input(2)
    exported = torch.export.export(net, (inputs,))
    assert torch.allclose(exported.module()(inputs), net(inputs), atol=1e-5), (
        "the exported model gives different outputs"
    )
    return exported


def _export_input(count: int) -> Tensor:
    return torch.linspace(-1, 1, count * 3 * IMAGE_SIZE * IMAGE_SIZE).view(count, 3, IMAGE_SIZE, IMAGE_SIZE)


_IN_ONNX: set[str] = (
    set()
)  # operations that were exported: each export takes seconds, and most methods add no operation


def _operations(exported: torch.export.ExportedProgram) -> set[str]:
    """The operations of a graph with the kinds of their arguments: what ONNX must have to hold it."""
    calls = [node for node in exported.graph.nodes if node.op == "call_function"]
    return {f"{node.target} {[type(arg).__name__ for arg in node.args]} {sorted(node.kwargs)}" for node in calls}


def check_saves(cls: type[Method]) -> None:
    """A model changed by the method gives the same outputs after it is saved and loaded like a finished run."""
    if not issubclass(cls, Changes) or not trainable(cls):
        return
    of_texts = problems()[tasks_of(cls)[0]] == "text"
    bench = make_bench((made(cls),), architecture="text_transformer" if of_texts else "resnet9_slim")
    train_steps(bench, 2)
    net = bench.plan.net.eval().baked()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        save_net(net, Path(folder), {"task": bench.recipe.task})
        again, x_BCHW = load_net(Path(folder)), bench.batch(0).x
        assert torch.allclose(again(x_BCHW), net(x_BCHW), atol=1e-6), "the loaded model gives different outputs"


def check_waits(cls: type[Method]) -> None:
    """A training step does not wait for the device, unless the method declares why (`waits`)."""
    if not trainable(cls) or "trains" in cls.exceptions:
        return
    bench = make_bench((made(cls),))
    plan, bench.unread.every = bench.plan, 3  # more than the steps, so that no loss is read
    plan.net.train()
    for step in range(2):
        batch, progress = bench.batch(step), Progress(step, 12, 6)
        with Waits(plan.optimizer) as waits:
            stepped(bench.step, plan, bench.fabric, plan.net, plan.optimizer, plan.augmentation.mix(batch), progress)
            for runtime in plan.runtimes.values():
                runtime.after_step(progress)
    if cls.waits:
        assert waits.places, "the method declares `waits`, but reads nothing from the device"
    else:
        assert not waits.places, f"a training step waits for the device at {', '.join(sorted(waits.places))}"


def check_commutes(cls: type[Method]) -> None:
    """The result does not depend on the position of the method in the recipe."""
    others = [other for other in registry() if other.stage == cls.stage and other is not cls]
    others = [other for other in others if cls.name not in other.conflicts and other.name not in cls.conflicts]
    if not trainable(cls):
        return
    task = tasks_of(cls)[0]
    others = [other for other in others if task in other.tasks and "trains" not in other.exceptions]
    other = next((other for other in others if has_effect(other, task)), None)
    if other is None:
        return
    assert train_steps(make_bench((made(cls), made(other))), 2) == train_steps(
        make_bench((made(other), made(cls))), 2
    ), f"the order with {other.name} matters"


def check_no_effect(cls: type[Method]) -> None:
    """If the method has nothing to change, it raises NoEffectError or trains; it never fails in another way."""
    if not trainable(cls):
        return
    try:
        make_bench((made(cls),), labels=np.arange(NUM_SAMPLES) % len(CLASSES), strict=True)
    except NoEffectError as error:
        assert len(str(error)) > 10, "NoEffectError must give a reason"


def check_unlabelled(cls: type[Method]) -> None:
    """A method that learns from unlabelled samples has no effect without them, and says how they are given."""
    for task in tasks_of(cls):
        if made(cls).unlabelled(task) is None:
            continue
        try:
            make_bench((made(cls),), task, strict=True, unlabelled=0)
        except NoEffectError as error:
            assert "--unlabelled" in str(error), f"the message does not name --unlabelled: {error}"
        else:
            raise AssertionError(f"{task}: no NoEffectError without unlabelled samples")
        with_it, without = (train_steps(make_bench(methods, task, unlabelled=0), 3) for methods in ((made(cls),), ()))
        assert with_it == without, f"{task}: training without unlabelled samples differs from that without the method"


CHECKS: dict[str, Callable[[type[Method]], None]] = {
    "defaults": check_defaults,
    "yaml": check_yaml,
    "unknown_key": check_unknown_key,
    "card": check_card,
    "stage": check_stage,
    "identity": check_identity,
    "seeded": check_seeded,
    "draws_independent": check_draws_independent,
    "inputs_kept": check_inputs_kept,
    "shapes": check_shapes,
    "trains": check_trains,
    "finalizes": check_finalizes,
    "pickles": check_pickles,
    "exports": check_exports,
    "onnx": check_onnx,
    "saves": check_saves,
    "waits": check_waits,
    "commutes": check_commutes,
    "no_effect": check_no_effect,
    "unlabelled": check_unlabelled,
}


def check_method(cls: type[Method], leave_out: Collection[str] = ()) -> list[str]:
    """Run all contract checks on a method class, but for those to leave out, and return the names of the executed checks. Raises
    AssertionError."""
    ran = []
    for name, check in CHECKS.items():
        if name in leave_out:
            continue
        if name in cls.exceptions:
            assert len(cls.exceptions[name].split()) >= 3, f"{cls.name}: the exception '{name}' needs a reason"
            continue
        try:
            check(cls)
        except AssertionError as error:
            raise AssertionError(f"{cls.name}, check '{name}': {error}") from error
        ran.append(name)
    unknown = set(cls.exceptions) - set(CHECKS)
    assert not unknown, f"{cls.name}: exceptions contain unknown checks: {sorted(unknown)}"
    return ran
