"""A test bench for methods: synthetic samples, a small network, the real plan and the real training step."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from whet.core.batch import Batch, Context, Features, FinalizeContext, Instances, Measured, Progress
from whet.core.mask_targets import MaskTargets
from whet.core.method import Method
from whet.core.outputs import Outputs
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.core.stages import Stage
from whet.core.task import problems, task_named
from whet.evaluate.inference import using_weights
from whet.models.build import build_net
from whet.models.net import Net
from whet.tasks import SEMANTIC_SEGMENTATION, SINGLE_LABEL
from whet.testing.samples import (
    BATCH_SIZE,
    CLASSES,
    IMAGE_SIZE,
    LABELS,
    NUM_SAMPLES,
    SAMPLES,
    example_texts,
)
from whet.training.checkpoint import digest
from whet.training.crossfit import FOLDS, HALVES, Parts, fit_predictor
from whet.training.loop import stepped
from whet.training.plan import Plan, ordered, select_rows, wrap_predictor
from whet.training.unread import Unread


class Bench:
    """A plan on a tiny network and synthetic samples."""

    def __init__(
        self,
        methods: tuple[Method, ...],
        task: str,
        labels: np.ndarray,
        strict: bool,
        architecture: str,
        resumed: bool,
        unlabelled: int,
    ) -> None:
        if not any(method.stage is Stage.OPTIMIZER for method in methods):
            methods = (*methods, registry().get("sgd")())
        self.recipe = Recipe(task=task, methods=methods).setting(seed=3, batch_size=BATCH_SIZE)
        rows, _ = select_rows(methods, training_rows(labels), strict=strict)
        self.labels = rows["label"].to_numpy(copy=True)
        self.samples = SAMPLES[task](rows["id"].astype(int).to_numpy(), self.labels)
        self.task: Any = self.samples.task
        with Rng(3).torch_scope("init"):
            net = self.samples.net() if architecture == "bench" else _zoo_net(architecture, task, self.task.name)
        counts = np.bincount(self.labels, minlength=len(CLASSES))
        context = Context(self.task, CLASSES, counts, self._features, texts=example_texts, unlabelled=unlabelled)
        self.plan = Plan(self.recipe, net, context, strict=strict)
        if not resumed:
            self.plan.initialise()
        self.plan.start()
        self.fabric = _fabric()
        self.unread = Unread()
        self.step = self.plan.stepper(self.plan.optimizer, self.unread.check)

    def _features(self, backbone: Any = None, training: bool = False) -> Features:
        mode, net = self.plan.net.training, self.plan.net.eval()
        with torch.no_grad(), net.batch_statistics() if training else contextlib.nullcontext():
            features = (backbone or net.backbone)(net.front(self.render(np.arange(len(self.labels)), None)))
        net.train(mode)
        targets = SINGLE_LABEL.targets(self.labels, len(CLASSES))
        return Features(features, targets, np.arange(len(self.labels)))

    def render(self, index_B: np.ndarray, epoch: int | None, copies: int = 1) -> Tensor:
        return self._rendered(index_B, epoch, copies)[0]

    def _rendered(self, index_B: np.ndarray, epoch: int | None, copies: int = 1) -> tuple[Tensor, Any]:
        """(samples as received by the front, their targets); without augmentation if there is no epoch."""
        view = self.samples.view(index_B)
        if epoch is not None:
            view = self.plan.augmentation.draw(epoch, copies)(view, index_B)
        received = self.plan.net.front.receive(self.samples.render(view, index_B), IMAGE_SIZE)
        if epoch is not None:
            received = self.plan.augmentation.transform_batch(received, epoch, index_B, copies)
        return received, self.samples.targets(view, index_B)

    def unchanged_targets(self) -> Any:
        """The targets of the first samples without augmentation."""
        return self._rendered(np.arange(BATCH_SIZE), None)[1]

    def batch(self, step: int) -> Batch:
        epoch, place = divmod(step, len(self.labels) // BATCH_SIZE)
        per_epoch = len(self.labels) // BATCH_SIZE
        begin = Progress(epoch * per_epoch, 4 * per_epoch, per_epoch)
        index_B = self.plan.order(begin, self.labels)[place * BATCH_SIZE : (place + 1) * BATCH_SIZE]
        index_B = np.tile(index_B, self.plan.augmentation.copies)
        received, targets = self._rendered(index_B, epoch, self.plan.augmentation.copies)
        batch = Batch(self.plan.net.front(received), targets, index_B, torch.ones(len(index_B)), epoch)
        return self.plan.augmentation.mix(batch).replace(unlabelled=self._unlabelled(step, epoch))

    def _unlabelled(self, step: int, epoch: int) -> Batch | None:
        """The views that methods request of the same samples, without their labels."""
        if not self.plan.unlabelled:
            return None
        count, front, views = round(self.plan.unlabelled.ratio * BATCH_SIZE), self.plan.net.front, {}
        index_B = (np.arange(count) + step * count) % len(self.labels)
        for name, augmentation in self.plan.unlabelled.augmentations.items():
            view = augmentation.draw(epoch)(self.samples.view(index_B), index_B)
            received = front.receive(self.samples.render(view, index_B), IMAGE_SIZE)
            views[name] = front(augmentation.transform_batch(received, epoch, index_B))
        x = next(iter(views.values()))
        targets: Any = self.task.unknown(self.labels[index_B], len(CLASSES), x.shape[2:])
        return Batch(x, targets, index_B, torch.ones(count), epoch, views=views)

    def finalize_context(self) -> FinalizeContext:
        def validate(weights: dict[str, Tensor]) -> Measured:
            batch = self.batch(0)
            with using_weights(self.plan.net, weights), torch.no_grad():
                right = torch.exp(-self.task.loss(self.plan.net(batch.x), batch.targets))

            def mean(right_B: Tensor) -> dict[str, float]:
                return dict.fromkeys(("score", "accuracy"), float(right_B.mean()))

            return Measured(mean(right), lambda half: mean(right[half::2]))

        return FinalizeContext(lambda: (self.batch(step).x for step in range(12, 15)), validate)

    def state(self) -> dict[str, Any]:
        runtimes = {name: runtime.state_dict() for name, runtime in self.plan.runtimes.items()}
        return {
            "net": dict(self.plan.net.state_dict()),
            "optimizer": self.plan.optimizer.state_dict(),
            "runtimes": runtimes,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.plan.net.load_state_dict(state["net"])
        self.plan.optimizer.load_state_dict(state["optimizer"])
        for name, runtime in self.plan.runtimes.items():
            runtime.load_state_dict(state["runtimes"][name])


class BenchPredictor(nn.Module):
    """The network of the bench with its PREDICT methods, fitted on the first batch. Maps inputs to final predictions."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.net = bench.plan.net
        x, targets = bench.batch(0).x, bench.unchanged_targets()
        with torch.no_grad():
            fitted = _fitted(bench, self.net, x, targets)
        self._predict = wrap_predictor(ordered(bench.recipe.methods), self.net, fitted, bench.task)

    def forward(self, x: Tensor) -> Tensor:
        return self._predict(x)


@functools.cache
def _fabric() -> Fabric:
    """Cached, because creating Fabric scans all installed packages and it keeps no state of earlier trainings."""
    return Fabric(accelerator="cpu", devices=1)


def _zoo_net(architecture: str, problem: str, task: str) -> Net:
    spec = ModelSpec(architecture=architecture, weights="none", head=task_named(task).heads[0])
    return build_net(spec, CLASSES, problems()[problem], example_texts(), task=task)[0]


def training_rows(labels: np.ndarray) -> pd.DataFrame:
    """The training rows for a DATA method, with the columns that it may use."""
    return _training_rows(tuple(labels.tolist())).copy()


@functools.cache
def _training_rows(labels: tuple[int, ...]) -> pd.DataFrame:
    names = [str(number) for number in range(len(labels))]
    return pd.DataFrame({"id": names, "label": labels, "weight": 1.0, "digest": names})


def tasks_of(cls: type[Method]) -> list[str]:
    """The declared tasks that whet can train."""
    return [task for task in SAMPLES if task in cls.tasks]


def made(cls: type[Method]) -> Any:
    return cls(**cls.example)


def trainable(cls: type[Method]) -> bool:
    return bool(tasks_of(cls))


def make_bench(
    methods: tuple[Method, ...],
    task: str | None = None,
    labels: np.ndarray = LABELS,
    strict: bool = False,
    architecture: str = "bench",
    resumed: bool = False,
    unlabelled: int | None = None,
) -> Bench:
    """unlabelled: how many samples without a label there are, by default as many as labelled ones where a method requests them."""
    if task is None:  # a task that all methods support
        task = next(task for task in SAMPLES if all(task in method.tasks for method in methods))
    if unlabelled is None:
        unlabelled = NUM_SAMPLES if any(method.unlabelled(task) is not None for method in methods) else 0
    return Bench(methods, task, labels, strict, architecture, resumed, unlabelled)


@functools.cache
def has_effect(cls: type[Method], task: str) -> bool:
    return not make_bench((made(cls),), task).plan.ineffective


def train_steps(bench: Bench, steps: int, start: int = 0) -> str:
    """Train some steps, validate once per epoch, and return a digest of the full training state."""
    plan = bench.plan
    per_epoch = len(bench.labels) // BATCH_SIZE
    for step in range(start, start + steps):
        plan.net.train()
        progress = Progress(step, 12, per_epoch)
        plan.set_lr(progress)
        stepped(bench.step, plan, bench.fabric, plan.net, plan.optimizer, bench.batch(step), progress)
        progress = Progress(step + 1, 12, per_epoch)
        for runtime in plan.runtimes.values():
            runtime.after_step(progress)
        if (step + 1) % per_epoch == 0:
            found = dict.fromkeys(("score", *bench.task.followed), 0.5) | {"log_loss": 1.0 / (step + 1)}
            metrics = Measured(found, lambda half, found=found: found)  # type: ignore[misc]
            for runtime in plan.runtimes.values():
                runtime.after_validation(metrics, plan.weights(final=False), progress)
    state = bench.state()
    for group in state["optimizer"]["param_groups"]:
        group.pop("params")
    return digest({key: state[key] for key in ("net", "optimizer")} | {"predict": plan.weights(final=False)})


def digests(methods: tuple[Method, ...], task: str) -> dict[str, str]:
    """Digests of the samples of two epochs, of the weights after an epoch of three steps, and of their predictions."""
    bench = make_bench(methods, task)
    samples = digest({str(epoch): bench.render(np.arange(BATCH_SIZE), epoch) for epoch in range(2)})
    weights = train_steps(bench, 3)
    return {"samples": samples, "weights": weights, "predictions": _predicted_digest(bench)}


@functools.cache
def digests_without(task: str) -> dict[str, str]:
    """What `digests` are without a method."""
    return digests((), task)


def _predicted_digest(bench: Bench) -> str:
    net = bench.plan.compressed(bench.plan.net.eval())
    x = net.front(bench.render(np.arange(BATCH_SIZE), None))
    with torch.no_grad():
        fitted = _fitted(bench, net, x, bench.unchanged_targets())
        return digest(wrap_predictor(ordered(bench.recipe.methods), net, fitted, bench.task)(x))


def _fitted(bench: Bench, net: Any, x: Tensor, targets: Any) -> dict[str, Any]:
    """The values that PREDICT methods fit on these outputs."""
    parts, methods = Parts(np.arange(len(x)) % FOLDS, np.arange(len(x)) % HALVES), bench.plan.methods
    outputs = lambda one: Outputs.of(one(x), targets)  # noqa: E731
    return fit_predictor(methods, [net], outputs, lambda index_N: parts, {}, bench.task).numbers


def example_view(cls: type[Method]) -> Any:
    """A view of the first samples of the method's main task."""
    samples = SAMPLES[next(iter(tasks_of(cls)), "image-classification")]
    return samples(np.arange(NUM_SAMPLES), LABELS).view(np.arange(BATCH_SIZE))


@functools.cache
def _pixels() -> Tensor:
    return torch.from_numpy(
        Rng(6).batch("pixels", 0, np.arange(BATCH_SIZE)).normal((3, IMAGE_SIZE, IMAGE_SIZE)).astype(np.float32)
    )


def example_batch(*, masks: bool = False) -> Batch:
    """A batch with outlines of objects, for methods that need them. masks: with targets of pixels in place of classes."""
    labels = torch.arange(BATCH_SIZE) % len(CLASSES)
    outline = torch.zeros((1, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.bool)
    outline[0, 2:9, 4:12] = True
    targets: Any = SINGLE_LABEL.targets(labels, len(CLASSES))
    if masks:
        targets = MaskTargets.of(outline.to(torch.uint8).repeat(BATCH_SIZE, 1, 1), SEMANTIC_SEGMENTATION, len(CLASSES))
    return Batch(
        _pixels().clone(), targets, np.arange(BATCH_SIZE), torch.ones(BATCH_SIZE),
        instances=tuple(Instances(outline.clone(), torch.tensor([1])) for _ in range(BATCH_SIZE)),
    )  # fmt: skip
