"""The data passed between the stages of a training step: the batch, the model's output, and the training progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from whet.core.duration import Duration
from whet.core.errors import RunError
from whet.core.rng import Rng
from whet.core.targets import ClassTargets, Targets
from whet.core.task import ClassTask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Instances:
    """The objects on one image: mask_NHW bool (N, H, W), label_N int64 (N,)."""

    mask_NHW: Tensor
    label_N: Tensor


@dataclass(frozen=True)
class HiddenMix:
    """A change to the hidden activations of this step. `change` maps a tensor whose first axis is the batch, and is applied to the
    output of one block of the backbone. depth: relative position of the block, 0 for the first, 1 for the last. For texts, the
    first block is the token embedding, which is zero at padding; `change` is then also applied to the attention mask (1 for a
    token, 0 for padding)."""

    depth: float
    change: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Batch:
    """Rendered, normalised samples on the device.

    x: the input of the backbone. Images: float (B, C, H, W); texts: token ids, int64 (B, L), padded; audio clips: log-mel
    spectrograms, float (B, 1, frames, mels); or cached features (B, D) in place of samples. index_B: int64, row numbers in the
    training table (the key of every random draw). weight_B: float (B,), the sample weights. Where a method requests several copies
    of each sample, the rows are all samples, then all of them again, and so on. high_res: the same views at a higher resolution,
    where a method requests them.

    unlabelled: further samples without a label, where a method requests them and the data have some. Their `index_B` are row
    numbers among the unlabelled samples. views: of unlabelled samples, the requested views by name, each like `x`, which is the
    first of them.
    """

    x: Tensor
    targets: ClassTargets
    index_B: np.ndarray
    weight_B: Tensor
    epoch: int = 0
    instances: tuple[Instances, ...] | None = None
    hidden_mix: tuple[HiddenMix, ...] = ()
    high_res: Tensor | None = None
    unlabelled: Batch | None = None
    views: Mapping[str, Tensor] = field(default_factory=dict)

    def replace(self, **changes: Any) -> Batch:
        return replace(self, **changes)

    @property
    def cached_features(self) -> bool:
        """Whether `x` holds features of a frozen backbone in place of samples."""
        return self.x.dim() == 2 and self.x.is_floating_point()

    def rows(self, chosen: slice | Tensor) -> Batch:
        """A subset of the samples: a slice, or row numbers, int64, on the CPU. `hidden_mix` and `unlabelled` stay the same."""
        places = chosen if isinstance(chosen, slice) else chosen.numpy()
        if not isinstance(chosen, slice):
            chosen = chosen.to(self.x.device, non_blocking=True)
        return replace(
            self,
            x=self.x[chosen],
            targets=self.targets[chosen],
            index_B=self.index_B[places],
            weight_B=self.weight_B[chosen],
            high_res=None if self.high_res is None else self.high_res[chosen],
            views={name: x[chosen] for name, x in self.views.items()},
            instances=None
            if self.instances is None
            else tuple(self.instances[i] for i in np.arange(len(self))[places]),
        )

    def __len__(self) -> int:
        return len(self.index_B)


@dataclass(frozen=True)
class Settings:
    """Settings of one epoch besides the learning rate: the size of the samples (see `Recipe.size`), and how many batches of the
    recipe form one step."""

    size: int
    batches: int = 1

    def replace(self, **changes: Any) -> Settings:
        return replace(self, **changes)


@dataclass(frozen=True)
class Progress:
    """Training progress. `step` counts finished steps in batches of the recipe: a step over several batches counts once for each of
    them."""

    step: int
    total_steps: int
    steps_per_epoch: int

    @property
    def fraction(self) -> float:
        """0 at the first step, 1 after the last."""
        return self.step / max(self.total_steps, 1)

    @property
    def epoch(self) -> int:
        return self.step // max(self.steps_per_epoch, 1)

    def steps(self, duration: Duration) -> int:
        """A duration in whole steps of this training."""
        return duration.steps(self.steps_per_epoch, self.total_steps)


class Measured(dict[str, float]):
    """Metrics of a validation, by name. `half(0)` and `half(1)` return the metrics of each half of the samples, so that a choice
    made on one half can be verified on the other."""

    def __init__(self, metrics: Mapping[str, float], half: Callable[[int], Mapping[str, float]]) -> None:
        super().__init__(metrics)
        self.half = half


@dataclass(frozen=True)
class FinalizeContext:
    """What a method may use after training.

    inputs: one epoch of training inputs (`Batch.x`), as in training. validate: returns the validation metrics of the network with
    the given weights; the network's own weights are restored afterwards. precision: the autocast context of the training; weights
    must not change within it, because their casts are cached.
    """

    inputs: Callable[[], Iterator[Tensor]]
    validate: Callable[[dict[str, Tensor]], Measured]
    precision: Callable[[], AbstractContextManager[Any]] = nullcontext


ACCEPTED = "accepted"
"""A figure of a training step (`Outcome.record`): the share of the predictions for unlabelled samples that are targets, or the mean
weight that they have as targets, 0 to 1."""


def _unrecorded(figure: str, value: Tensor) -> None:
    pass


@dataclass(frozen=True)
class Outcome:
    """The input of a loss: the logits, the batch, the model that computed them (for a loss with further forward passes), the
    features (the input of the head; `maps` in place of them where it gets feature maps, the finest first), and the training
    progress. The model is the one trained on `batch.x`: the head alone where features are cached. views: the outputs for those
    views of the unlabelled samples that methods request (`core.method.Unlabelled`). record: takes the name and the value () of a
    figure of this step for the log, such as ACCEPTED; a step that computes its loss several times logs the mean."""

    logits_BK: Tensor
    batch: Batch
    model: nn.Module
    features_BD: Tensor | None = None
    progress: Progress = Progress(0, 1, 1)
    precision: Callable[[], AbstractContextManager[Any]] = nullcontext
    maps: tuple[Tensor, ...] = ()
    views: Mapping[str, Tensor] = field(default_factory=dict)
    record: Callable[[str, Tensor], None] = _unrecorded

    def forward(self, x: Tensor) -> Tensor:
        """The model's logits for other inputs, float (B, K), in the precision of the training."""
        with self.precision():
            return self.model(x).float()

    def rows(self, count: int) -> Outcome:
        """The first rows of the logits and of the batch."""
        features_BD = None if self.features_BD is None else self.features_BD[:count]
        return replace(
            self, logits_BK=self.logits_BK[:count], batch=self.batch.rows(slice(count)), features_BD=features_BD,
            maps=tuple(one[:count] for one in self.maps),
        )  # fmt: skip

    def with_logits(self, logits_BK: Tensor) -> Outcome:
        return replace(self, logits_BK=logits_BK)

    def with_targets(self, targets: Targets) -> Outcome:
        return replace(self, batch=self.batch.replace(targets=targets))


Loss = Callable[[Outcome], "Tensor"]
"""A loss returns one value per sample, (B,). A penalty on the weights is added to each value."""

Closure = Callable[[], "Tensor"]
"""Clears the gradients, runs forward and backward, returns the scalar loss. It may be called several times per step."""

Step = Callable[[Closure], "Tensor"]
"""Takes one optimizer step with a closure and returns the loss."""

Predictor: TypeAlias = "nn.Module"
"""A module: normalised inputs (`Batch.x`) -> logits (B, K), or (B, M, K) for M models."""


class Features(NamedTuple):
    """Backbone features of the training samples. x_ND: float (N, D), sparse where most of them are zero. index_N: int64, row
    numbers in the training table, without unreadable samples. group_N: group names, empty for samples without a group."""

    x_ND: Tensor
    targets: ClassTargets
    index_N: np.ndarray
    group_N: np.ndarray | None = None


@dataclass(frozen=True)
class Context:
    """Information about the training, in addition to the method's own hyper-parameters.

    class_counts_K: training samples per class, int64 (K,). features: features(backbone=None, training=False) runs the backbone
    (the network's own, or another that takes the same inputs) once over the training samples, prepared as at prediction. It is
    expensive, so call it once. training: run the backbone in training mode, where BatchNorm uses batch statistics instead of
    running statistics. texts: the training texts, where samples are texts. optimizer: creates another optimizer as configured in
    the recipe, for a network of the same structure (for example a copy); available once the STEP methods start. unlabelled: the
    number of samples without a label. pixel_counts: for masks, counts the pixels of each class in the training masks, int64 (K,);
    it reads them all. unlabelled_features: the features of the samples without a label, (M, D), as `features`. rng: the random
    numbers of the run, for a loss that draws by sample.
    """

    task: ClassTask
    classes: tuple[str, ...]
    class_counts_K: np.ndarray
    features: Callable[..., Features]
    texts: Callable[[], Sequence[str]] = tuple
    optimizer: Callable[[Any], torch.optim.Optimizer] | None = None
    unlabelled: int = 0
    pixel_counts: Callable[[], np.ndarray] | None = None
    unlabelled_features: Callable[[], Tensor] | None = None
    rng: Rng = field(default_factory=lambda: Rng(0))

    @classmethod
    def of_loaded(cls, task: ClassTask, classes: tuple[str, ...]) -> Context:
        """For a method that acts on a loaded network: without training data. RunError where it asks for their features."""

        def features(*of: Any, **how: Any) -> Features:
            raise RunError("a loaded network has no training data")

        return cls(task, classes, np.zeros(len(classes), dtype=np.int64), features)

    @property
    def target_counts_K(self) -> np.ndarray:
        """How often each class is a target: in training samples, or for masks in their pixels."""
        return self.class_counts_K if self.pixel_counts is None else self.pixel_counts()
