"""The contract that every method keeps, ours and third parties': run it over your own with

    from whet.testing import check_method
    def test_contract(): check_method(MyMethod)

Each check is a function below. A method that cannot keep one says so in its `exceptions`, with the reason.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.util
import pickle
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from whet.core.batch import Batch, Context, Features, FinalizeContext, Instances, Measured, Progress, Settings
from whet.core.card import card
from whet.core.errors import NoEffectError, RecipeError
from whet.core.method import SEGMENTATION, Method
from whet.core.recipe import Recipe, parse_method
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.sound_view import SoundView
from whet.core.spec import ModelSpec
from whet.core.stages import Arranges, Changes, Compresses, Draws, Mixes, Scales, Selects, Sets, Stage, WrapsPredictor
from whet.core.targets import Targets
from whet.core.task import problems
from whet.core.text_view import TextView
from whet.core.view import ImageView
from whet.evaluate.answer import using_weights
from whet.models.build import build_net, load_net, save_net
from whet.models.front import SoundFront, TextFront
from whet.models.mel import MelSettings
from whet.models.net import Net, NetSpec, new_head
from whet.models.token_vectors import TokenVectors
from whet.models.tokens import Tokens
from whet.render.image_cpu import CpuPainter
from whet.render.sound import SoundPainter
from whet.render.text import paint_texts
from whet.tasks import SINGLE_LABEL
from whet.train.checkpoint import digest, flatten, unflatten
from whet.train.crossfit import FOLDS, HALVES, Parts, fit_predictor
from whet.train.loop import stepped
from whet.train.plan import Plan, ordered, select_rows, wrap_predictor

CLASSES = ("glass", "metal", "paper")
_PICTURES, _BATCH, _SIZE, _SOUND_RATE = 24, 8, 16, 8_000


def check_method(cls: type[Method]) -> list[str]:
    """Run every check of the contract on a method class; the names of those that ran. Raises AssertionError."""
    ran = []
    for name, check in CHECKS.items():
        if name in cls.exceptions:
            assert len(cls.exceptions[name].split()) >= 3, (
                f"{cls.name}: the exception '{name}' needs its reason in words"
            )
            continue
        try:
            check(cls)
        except AssertionError as error:
            raise AssertionError(f"{cls.name}, check '{name}': {error}") from error
        ran.append(name)
    unknown = set(cls.exceptions) - set(CHECKS)
    assert not unknown, f"{cls.name}: exceptions name checks that do not exist: {sorted(unknown)}"
    return ran


# --- the checks -----------------------------------------------------------------------------------------------------
def check_defaults(cls: type[Method]) -> None:
    """Builds with defaults, is frozen, and equal settings are equal methods."""
    method = cls()
    assert method == cls()
    for key in cls.model_fields:
        try:
            setattr(method, key, getattr(method, key))
        except (TypeError, ValueError):
            continue
        raise AssertionError(f"{key} can be set on a finished method: it must be frozen")


def check_yaml(cls: type[Method]) -> None:
    """A recipe with this method survives YAML."""
    recipe = Recipe(task=sorted(cls.tasks)[0], methods=(cls(),))
    again = Recipe.from_yaml(recipe.to_yaml())
    assert again == recipe, f"{again} is not {recipe}"
    assert again.hash == recipe.hash


def check_unknown_key(cls: type[Method]) -> None:
    """An unknown key is refused, and the message names the nearest one."""
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
    """The docstring says what it does, when (not) to use it, and gives a source with a year; every setting is described."""
    found = card(cls)
    source = found.sections["Source"]
    assert re.search(r"\b(17|18|19|20)\d\d\b", source), f"the source names no year: {source}"
    missing = [p.name for p in found.parameters if not p.description]
    assert not missing, f"no description of {missing}"


def check_stage(cls: type[Method]) -> None:
    """It acts where it says, on tasks that exist."""
    assert cls.stage in cls.stages() and cls.tasks <= SEGMENTATION | problems().keys()


def check_identity(cls: type[Method]) -> None:
    """The identity setting is bit-equal to absence: drawing, mixing, training and predicting."""
    assert cls.identity is not None, "no identity setting is declared"
    neutral = cls(**{**cls.example, **cls.identity})
    if not _trainable(cls):
        return
    task = _tasks(cls)[0]
    without, with_it = _bench((), task), _bench((neutral,), task)
    assert _train(with_it, 3) == _train(without, 3), "training with the identity setting differs from training without"
    assert _painted((neutral,), task) == _painted((), task), "samples with the identity setting differ"
    assert _answered((neutral,), task) == _answered((), task), "answers with the identity setting differ"


def check_seeded(cls: type[Method]) -> None:
    """The same seed gives the same training twice, the same samples and the same answers."""
    if not _trainable(cls):
        return
    task = _tasks(cls)[0]
    assert _train(_bench((_made(cls),)), 3) == _train(_bench((_made(cls),)), 3)
    assert _painted((_made(cls),), task) == _painted((_made(cls),), task)
    assert _answered((_made(cls),), task) == _answered((_made(cls),), task)


def check_draws_apart(cls: type[Method]) -> None:
    """Adding it leaves the draws of other methods unchanged: they are keyed by name."""
    if not issubclass(cls, Draws | Mixes):
        return
    rng = Rng(7)
    before = rng.batch("someone_else", 3, np.arange(_BATCH)).uniform(shape=(5,))
    if issubclass(cls, Draws):
        _made(cls).draw(_view(cls), rng.batch(cls.name, 3, np.arange(_BATCH)))
    if issubclass(cls, Mixes):
        _made(cls).apply(_batch(), rng.batch(cls.name, 3, np.arange(_BATCH)))
    after = rng.batch("someone_else", 3, np.arange(_BATCH)).uniform(shape=(5,))
    assert (before == after).all()
    alone = rng.batch(cls.name, 3, np.arange(_BATCH)).uniform()
    subset = rng.batch(cls.name, 3, np.arange(_BATCH)[3:5]).uniform()
    assert (alone[3:5] == subset).all(), "a sample's draw depends on the batch it stands in"


def check_inputs_kept(cls: type[Method]) -> None:
    """What it is given is not changed."""
    rng = Rng(1).batch(cls.name, 0, np.arange(_BATCH))
    if issubclass(cls, Draws):
        view = _view(cls)
        kept = copy.deepcopy(view)
        _made(cls).draw(view, rng)
        assert not view.changed_since(kept).any(), "the given view was changed"
    if issubclass(cls, Mixes):
        batch = _batch()
        x, y, index = batch.x.clone(), batch.targets.probs_BK.clone(), batch.index_B.copy()
        _made(cls).apply(batch, rng)
        assert torch.equal(batch.x, x) and torch.equal(batch.targets.probs_BK, y), "the given batch was changed"
        assert (batch.index_B == index).all()
    if issubclass(cls, Arranges):
        order, label = np.arange(_PICTURES), _LABELS.copy()
        _made(cls).arrange(order, label, Progress(0, 20, 5), Rng(1).batch(cls.name, 0, order))
        assert (order == np.arange(_PICTURES)).all() and (label == _LABELS).all(), "the given order was changed"
    if issubclass(cls, Selects):
        rows = _rows(_LABELS)
        kept_rows = rows.copy()
        select_rows((_made(cls),), rows)
        pd.testing.assert_frame_equal(rows, kept_rows)


def check_shapes(cls: type[Method]) -> None:
    """Shapes, dtypes and devices stay; targets stay probabilities."""
    rng = Rng(2).batch(cls.name, 0, np.arange(_BATCH))
    if issubclass(cls, Draws):
        view = _made(cls).draw(_view(cls), rng)
        assert len(view) == _BATCH and view.changed_since(_view(cls)).shape == (_BATCH,)
        if isinstance(view, ImageView):
            assert view.warp_B33.shape == (_BATCH, 3, 3) and np.isfinite(view.warp_B33).all()
            assert view.size == (_SIZE, _SIZE)
            colour = view.colour_B37
            assert colour is None or (colour.shape == (_BATCH, 3, 7) and np.isfinite(colour).all())
    if issubclass(cls, Mixes):
        given = _batch()
        batch = _made(cls).apply(given, rng)
        assert batch.x.shape == given.x.shape and batch.x.dtype == given.x.dtype
        assert batch.x.device == given.x.device
        assert batch.mask_BHW is not None and batch.mask_BHW.shape == (_BATCH, _SIZE, _SIZE)
        assert batch.instances is not None and len(batch.instances) == _BATCH
        assert all(one.mask_NHW.shape == (len(one.label_N), _SIZE, _SIZE) for one in batch.instances)
        total = batch.targets.probs_BK.sum(dim=1)
        assert torch.allclose(total, torch.ones_like(total)), "the targets do not sum to one"
        assert (batch.targets.probs_BK >= 0).all()
    if issubclass(cls, Arranges):
        order = np.arange(_PICTURES)
        arranged = _made(cls).arrange(order, _LABELS, Progress(0, 20, 5), Rng(1).batch(cls.name, 0, order))
        assert arranged.shape == order.shape and set(arranged.tolist()) <= set(order.tolist())
    if issubclass(cls, Scales):
        factors = [_made(cls).factor(Progress(step, 20, 5)) for step in range(21)]
        assert all(np.isfinite(f) and f >= 0 for f in factors), f"factors {factors}"
    if issubclass(cls, Sets):
        found = [_made(cls).settings(Progress(step, 20, 5), Settings(64)) for step in range(0, 21, 5)]
        assert all(8 <= s.size <= 64 and s.batches >= 1 for s in found), f"settings {found}"


def check_trains(cls: type[Method]) -> None:
    """Two finite training steps for every task it declares that whet can train."""
    if not _trainable(cls):
        return
    for task in _tasks(cls):
        bench = _bench((_made(cls),), task)
        _train(bench, 2)
        state = bench.plan.net.state_dict()
        assert all(torch.isfinite(tensor).all() for tensor in state.values() if tensor.is_floating_point()), task


def check_resumes(cls: type[Method]) -> None:
    """Two steps, saved and loaded anew, then two more: the same bits as four steps in one go, for every task it declares.

    As in a resumed run, what was done to the weights before the first step is not done again."""
    for task in _tasks(cls):
        whole = _train(_bench((_made(cls),), task), 4)
        first = _bench((_made(cls),), task)
        _train(first, 2)
        tensors: dict[str, Tensor] = {}
        plain = flatten(first.state(), tensors)
        second = _bench((_made(cls),), task, resumed=True)
        second.load(unflatten(plain, tensors))
        assert _train(second, 2, start=2) == whole, f"{task}: a resumed training differs from an uninterrupted one"


def check_finalizes(cls: type[Method]) -> None:
    """Once training is over, every network that is to answer holds finite weights, and answers the same when it is made plain."""
    if not _trainable(cls):
        return
    bench = _bench((_made(cls),))
    _train(bench, 12)
    bench.plan.finalize(bench.finalize_context())
    net, x = bench.plan.net, bench.batch(0).x
    assert not net.training, "the network is not in evaluation mode"
    for weights in (dict(net.state_dict()), *bench.plan.ensemble_members()):
        assert all(torch.isfinite(tensor).all() for tensor in weights.values()), "weights are not finite"
        with using_weights(net, weights), torch.no_grad():
            assert torch.allclose(net.baked()(x), net(x), atol=1e-5), "the plain network answers differently"


def check_pickles(cls: type[Method]) -> None:
    """It can be sent to another process."""
    assert pickle.loads(pickle.dumps(_made(cls))) == _made(cls)


def check_exports(cls: type[Method]) -> None:
    """A model it changed, and a predictor that it wraps, export to torch.export and, where its exporter is installed, to ONNX."""
    if not issubclass(cls, Changes | WrapsPredictor) or not _trainable(cls):
        return
    bench = _bench((_made(cls),))
    net: nn.Module = bench.plan.net.eval()
    inputs = torch.linspace(-1, 1, 2 * 3 * _SIZE * _SIZE).view(2, 3, _SIZE, _SIZE)
    if issubclass(cls, WrapsPredictor):
        net = _Predicting(bench)
    exported = torch.export.export(net, (inputs,)).module()
    assert torch.allclose(exported(inputs), net(inputs), atol=1e-5), "what was exported predicts otherwise"
    if importlib.util.find_spec("onnxscript") is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert torch.onnx.export(net, (inputs,), dynamo=True, verbose=False) is not None


def check_saves(cls: type[Method]) -> None:
    """A model it changed answers the same after it was saved and loaded, as a finished run saves it."""
    if not issubclass(cls, Changes) or not _trainable(cls):
        return
    bench = _bench((_made(cls),), architecture="resnet9_slim")
    _train(bench, 2)
    net = bench.plan.net.eval().baked()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        save_net(net, Path(folder), {"task": bench.recipe.task})
        again, x_BCHW = load_net(Path(folder)), bench.batch(0).x
        assert torch.allclose(again(x_BCHW), net(x_BCHW), atol=1e-6), "the model that was loaded answers otherwise"


def check_commutes(cls: type[Method]) -> None:
    """Its result does not depend on where a recipe lists it among the other methods."""
    others = [other for other in registry() if other.stage == cls.stage and other is not cls]
    others = [other for other in others if cls.name not in other.conflicts and other.name not in cls.conflicts]
    if not _trainable(cls):
        return
    task = _tasks(cls)[0]
    others = [other for other in others if task in other.tasks and "trains" not in other.exceptions]
    acting = (other for other in others if not _bench((_made(other),), task).plan.weak)
    other = next(acting, None)
    if other is None:
        return
    assert _train(_bench((_made(cls), _made(other))), 2) == _train(_bench((_made(other), _made(cls))), 2), (
        f"the order with {other.name} matters"
    )


def check_no_effect(cls: type[Method]) -> None:
    """Where it finds nothing to touch it raises NoEffectError or trains on; it never fails in another way."""
    if not _trainable(cls):
        return
    try:
        _bench((_made(cls),), labels=np.arange(_PICTURES) % len(CLASSES), strict=True)
    except NoEffectError as error:
        assert len(str(error)) > 10, "NoEffectError must say why"


CHECKS: dict[str, Callable[[type[Method]], None]] = {
    "defaults": check_defaults,
    "yaml": check_yaml,
    "unknown_key": check_unknown_key,
    "card": check_card,
    "stage": check_stage,
    "identity": check_identity,
    "seeded": check_seeded,
    "draws_apart": check_draws_apart,
    "inputs_kept": check_inputs_kept,
    "shapes": check_shapes,
    "trains": check_trains,
    "resumes": check_resumes,
    "finalizes": check_finalizes,
    "pickles": check_pickles,
    "exports": check_exports,
    "saves": check_saves,
    "commutes": check_commutes,
    "no_effect": check_no_effect,
}


# --- a bench to try methods on: a small network, pictures made of numbers, the real plan and the real step ----------
_LABELS = np.array([0] * 12 + [1] * 8 + [2] * 4)  # uneven, so that balancing methods have something to do


class _Pictures:
    """Noise, 24 x 20 pixels."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        drawn = Rng(5).batch("pictures", 0, np.arange(_PICTURES)).uniform(0, 256, (20, 24, 3))
        self._images = drawn.astype(np.uint8)[rows]

    def view(self, index_B: np.ndarray) -> ImageView:
        return ImageView.whole([(20, 24)] * len(index_B), (_SIZE, _SIZE))

    def paint(self, view: ImageView, index_B: np.ndarray) -> np.ndarray:
        painter, out = CpuPainter(view), np.empty((len(index_B), _SIZE, _SIZE, 3), dtype=np.uint8)
        for i, index in enumerate(index_B):
            painter.paint(i, self._images[index], out[i])
        return out

    @staticmethod
    def net() -> Net:
        backbone = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        return Net(NetSpec("zoo", "bench", CLASSES, (0.5,) * 3, (0.25,) * 3), backbone, new_head(4, len(CLASSES)))


class _Texts:
    """Two sentences each, of three to six words."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        self._texts, self._labels = [_texts()[row] for row in rows], labels

    def view(self, index_B: np.ndarray) -> TextView:
        return TextView.whole([self._texts[index] for index in index_B], self._labels[index_B])

    def paint(self, view: TextView, index_B: np.ndarray) -> list[str]:
        return paint_texts(view)

    @staticmethod
    def net() -> Net:
        tokens = Tokens.train(_texts())
        spec = NetSpec("zoo", "bench", CLASSES, medium="text")
        return Net(spec, _MeanOfWords(len(tokens), tokens.pad_id), new_head(4, len(CLASSES)), TextFront(tokens))


class _Sounds:
    """A tenth of a second of noise around a tone."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        noise = Rng(5).batch("sounds", 0, np.arange(_PICTURES)).uniform(-0.1, 0.1, (_SOUND_RATE // 10,))
        tone = np.sin(
            2 * np.pi * np.arange(10, 10 + _PICTURES)[:, None] * 40 * np.arange(_SOUND_RATE // 10) / _SOUND_RATE
        )
        self._waves = (noise + 0.3 * tone).astype(np.float32)[rows]

    def view(self, index_B: np.ndarray) -> SoundView:
        return SoundView.whole([_SOUND_RATE // 10] * len(index_B), _SOUND_RATE, _SOUND_RATE // 10)

    def paint(self, view: SoundView, index_B: np.ndarray) -> np.ndarray:
        painter, out = SoundPainter(view), np.zeros((len(index_B), view.samples), dtype=np.float32)
        for i, index in enumerate(index_B):
            painter.paint(i, self._waves[index], out[i])
        return out

    @staticmethod
    def net() -> Net:
        backbone = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        mel = MelSettings(rate=_SOUND_RATE, n_fft=256, window=256, hop=80, mels=16, high=_SOUND_RATE / 2)
        spec = NetSpec("zoo", "bench", CLASSES, (0.0,), (1.0,), medium="sound")
        return Net(spec, backbone, new_head(4, len(CLASSES)), SoundFront(mel))


class _MeanOfWords(nn.Module):
    """Token ids (B, L) -> (B, 4)."""

    def __init__(self, vocabulary: int, pad_id: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 4, padding_idx=pad_id)
        self.vectors = TokenVectors()
        self.mix = nn.Linear(4, 4)
        self._pad_id = pad_id

    states_width = 4

    @property
    def table(self) -> nn.Embedding:
        return self.embedding

    def states(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        return self.vectors(self.embedding(ids_BL), ids_BL != self._pad_id)

    def forward(self, ids_BL: Tensor) -> Tensor:
        x_BLD, real_BL = self.states(ids_BL)
        seen = real_BL.unsqueeze(2)
        return torch.relu(self.mix((x_BLD * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)))


@functools.cache
def _texts() -> list[str]:
    words = ("old", "small", "red", "glass", "bottle", "paper", "box", "metal", "can", "lid", "heavy", "clean", "dirty")
    drawn_N = Rng(5).batch("texts", 0, np.arange(_PICTURES)).uniform(shape=(14,))
    found = []
    for drawn in drawn_N:
        said = [words[int(unit * len(words))] for unit in drawn[2:]]
        first, second = (3 + int(4 * unit) for unit in drawn[:2])
        found.append(f"The {' '.join(said[:first])}. A {' '.join(said[first : first + second])}!")
    return found


_SAMPLES: dict[str, Any] = {"picture": _Pictures, "text": _Texts, "sound": _Sounds}


class _Bench:
    """A plan on a tiny network and synthetic samples."""

    def __init__(
        self,
        methods: tuple[Method, ...],
        task: str,
        labels: np.ndarray,
        strict: bool,
        architecture: str,
        resumed: bool,
    ) -> None:
        if not any(method.stage is Stage.OPTIMIZER for method in methods):
            methods = (*methods, registry().get("sgd")())
        self.recipe = Recipe(task=task, methods=methods).setting(seed=3, batch_size=_BATCH)
        rows, _ = select_rows(methods, _rows(labels), strict=strict)
        self.labels = rows["label"].to_numpy(copy=True)
        self.samples = _SAMPLES[self.recipe.medium](rows["id"].astype(int).to_numpy(), self.labels)
        with Rng(3).torch_scope("init"):
            net = self.samples.net() if architecture == "bench" else _zoo_net(architecture)
        counts = np.bincount(self.labels, minlength=len(CLASSES))
        self.plan = Plan(
            self.recipe, net, Context(SINGLE_LABEL, CLASSES, counts, self._features, texts=_texts), strict=strict
        )
        if not resumed:
            self.plan.initialise()
        self.plan.start()
        self.fabric = _fabric()
        self.step = self.plan.stepper(self.plan.optimizer)

    def _features(self, backbone: Any = None, training: bool = False) -> Features:
        mode, net = self.plan.net.training, self.plan.net.eval()
        with torch.no_grad(), net.batch_statistics() if training else contextlib.nullcontext():
            features = (backbone or net.backbone)(net.front(self._paint(np.arange(len(self.labels)), None)))
        net.train(mode)
        targets = SINGLE_LABEL.targets(self.labels, len(CLASSES))
        return Features(features, targets, np.arange(len(self.labels)))

    def _paint(self, index_B: np.ndarray, epoch: int | None, copies: int = 1) -> Tensor:
        view = self.samples.view(index_B)
        if epoch is not None:
            view = self.plan.augmentation.draw(epoch, copies)(view, index_B)
        received = self.plan.net.front.receive(self.samples.paint(view, index_B), _SIZE)
        return received if epoch is None else self.plan.augmentation.transform_batch(received, epoch, index_B, copies)

    def batch(self, step: int) -> Batch:
        epoch, place = divmod(step, len(self.labels) // _BATCH)
        per_epoch = len(self.labels) // _BATCH
        begin = Progress(epoch * per_epoch, 4 * per_epoch, per_epoch)
        index_B = self.plan.order(begin, self.labels)[place * _BATCH : (place + 1) * _BATCH]
        index_B = np.tile(index_B, self.plan.augmentation.copies)
        x = self.plan.net.front(self._paint(index_B, epoch, self.plan.augmentation.copies))
        targets = SINGLE_LABEL.targets(self.labels[index_B], len(CLASSES))
        return self.plan.augmentation.mix(Batch(x, targets, index_B, torch.ones(len(index_B)), epoch))

    def finalize_context(self) -> FinalizeContext:
        def validate(weights: dict[str, Tensor]) -> Measured:
            batch = self.batch(0)
            with using_weights(self.plan.net, weights), torch.no_grad():
                right = (self.plan.net(batch.x).argmax(dim=1) == batch.targets.probs_BK.argmax(dim=1)).float()
            return Measured({"accuracy": float(right.mean())}, lambda half: {"accuracy": float(right[half::2].mean())})

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


class _Predicting(nn.Module):
    """The bench's network with its PREDICT methods, fitted to the first batch: inputs -> what people are given."""

    def __init__(self, bench: _Bench) -> None:
        super().__init__()
        self.net = bench.plan.net
        x = bench.batch(0).x
        targets = SINGLE_LABEL.targets(bench.labels[:_BATCH], len(CLASSES))
        with torch.no_grad():
            fitted = _fitted(bench, self.net, x, targets)
        self._predict = wrap_predictor(ordered(bench.recipe.methods), self.net, fitted, SINGLE_LABEL)

    def forward(self, x: Tensor) -> Tensor:
        return self._predict(x)


@functools.cache
def _fabric() -> Fabric:
    """It keeps nothing of what it trained, and each new one looks through all installed packages."""
    return Fabric(accelerator="cpu", devices=1)


def _zoo_net(architecture: str) -> Net:
    return build_net(ModelSpec(architecture=architecture, weights="none"), CLASSES)[0]


def _rows(labels: np.ndarray) -> pd.DataFrame:
    """The training rows that a DATA method is given, as far as it may look at them."""
    names = [str(number) for number in range(len(labels))]
    return pd.DataFrame({"id": names, "label": labels, "weight": 1.0, "digest": names})


_TASKS = (
    "image-classification",
    "text-classification",
    "audio-classification",
)  # those whet trains; the first that a method is for is its main one


def _tasks(cls: type[Method]) -> list[str]:
    """The tasks it declares that whet can train."""
    return [task for task in _TASKS if task in cls.tasks]


def _made(cls: type[Method]) -> Any:
    return cls(**cls.example)


def _trainable(cls: type[Method]) -> bool:
    return bool(_tasks(cls))


def _bench(
    methods: tuple[Method, ...],
    task: str | None = None,
    labels: np.ndarray = _LABELS,
    strict: bool = False,
    architecture: str = "bench",
    resumed: bool = False,
) -> _Bench:
    if task is None:  # that which all of them are for
        task = next(task for task in _TASKS if all(task in method.tasks for method in methods))
    return _Bench(methods, task, labels, strict, architecture, resumed)


def _train(bench: _Bench, steps: int, start: int = 0) -> str:
    """Train some steps, validate once an epoch; a digest of everything that training holds."""
    plan = bench.plan
    per_epoch = len(bench.labels) // _BATCH
    for step in range(start, start + steps):
        plan.net.train()
        progress = Progress(step, 12, per_epoch)
        plan.set_lr(progress)
        stepped(bench.step, plan, bench.fabric, plan.net, plan.optimizer, bench.batch(step), progress)
        progress = Progress(step + 1, 12, per_epoch)
        for runtime in plan.runtimes.values():
            runtime.after_step(progress)
        if (step + 1) % per_epoch == 0:
            found = {"accuracy": 0.5, "macro_f1": 0.5, "log_loss": 1.0 / (step + 1)}
            metrics = Measured(found, lambda half, found=found: found)  # type: ignore[misc]
            for runtime in plan.runtimes.values():
                runtime.after_validation(metrics, plan.weights(final=False), progress)
    state = bench.state()
    for group in state["optimizer"]["param_groups"]:
        group.pop("params")
    return digest({key: state[key] for key in ("net", "optimizer")} | {"predict": plan.weights(final=False)})


def _painted(methods: tuple[Method, ...], task: str) -> str:
    bench = _bench(methods, task)
    return digest({str(epoch): bench._paint(np.arange(_BATCH), epoch) for epoch in range(2)})


def _answered(methods: tuple[Method, ...], task: str) -> str:
    bench = _bench(methods, task)
    net = bench.plan.net.eval()
    for method in bench.plan.methods:
        if isinstance(method, Compresses):
            net = method.compress(net, bench.plan.context)
    x = net.front(bench._paint(np.arange(_BATCH), None))
    with torch.no_grad():
        targets = SINGLE_LABEL.targets(bench.labels[:_BATCH], len(CLASSES))
        fitted = _fitted(bench, net, x, targets)
        return digest(wrap_predictor(ordered(bench.recipe.methods), net, fitted, SINGLE_LABEL)(x))


def _fitted(bench: _Bench, net: Any, x: Tensor, targets: Targets) -> dict[str, Any]:
    """What PREDICT methods find on these answers."""
    parts, methods = Parts(np.arange(len(x)) % FOLDS, np.arange(len(x)) % HALVES), bench.plan.methods
    return fit_predictor(methods, [net], lambda one: (one(x), targets), lambda: parts, {}, SINGLE_LABEL).numbers


def _view(cls: type[Method]) -> Any:
    """Of the first samples of its medium."""
    medium = problems().get(sorted(cls.tasks, key=_known_first)[0], "picture")
    return _SAMPLES[medium](np.arange(_PICTURES), _LABELS).view(np.arange(_BATCH))


def _known_first(task: str) -> bool:
    return task not in _TASKS


@functools.cache
def _pixels() -> Tensor:
    return torch.from_numpy(Rng(6).batch("pixels", 0, np.arange(_BATCH)).normal((3, _SIZE, _SIZE)).astype(np.float32))


def _batch() -> Batch:
    """With masks and things, for methods that need them."""
    labels = torch.arange(_BATCH) % len(CLASSES)
    outline = torch.zeros((1, _SIZE, _SIZE), dtype=torch.bool)
    outline[0, 2:9, 4:12] = True
    return Batch(
        _pixels().clone(), SINGLE_LABEL.targets(labels, len(CLASSES)), np.arange(_BATCH), torch.ones(_BATCH),
        mask_BHW=outline.long().repeat(_BATCH, 1, 1),
        instances=tuple(Instances(outline.clone(), torch.tensor([1])) for _ in range(_BATCH)),
    )  # fmt: skip
