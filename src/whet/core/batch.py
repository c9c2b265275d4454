"""What travels between the stages of a training step: the batch, what the model made of it, and where training stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from whet.core.duration import Duration
from whet.core.targets import Targets
from whet.core.task import ClassTask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Instances:
    """The things on one image: mask_NHW bool (N, H, W), label_N int64 (N,)."""

    mask_NHW: Tensor
    label_N: Tensor


@dataclass(frozen=True)
class HiddenMix:
    """A change to what flows inside the network in this step: `change`, rows first, is applied to the output of a block of the
    backbone, `depth` being its place, 0 for the first block, 1 for the last. Of texts the first is the vectors of their tokens,
    zero where there is padding, and `change` is applied to what tells padding apart (1 for a token, 0) as well."""

    depth: float
    change: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Batch:
    """Painted, normalised samples on the device.

    x: what the backbone takes. Images: float (B, C, H, W); texts: token ids, int64 (B, L), padded; audio clips: log-mel
    spectrograms, float (B, 1, frames, mels); or features (B, D) where these are kept and stand in for samples. index_B: int64,
    the samples' numbers in the training table (the key of every draw). weight_B: float (B,), the samples' own weights. Where a
    method asks for several copies of each sample, the rows are all samples, then all of them again, and so on. high_res: the same
    views with more pixels, where a method wants them.
    """

    x: Tensor
    targets: Targets
    index_B: np.ndarray
    weight_B: Tensor
    epoch: int = 0
    mask_BHW: Tensor | None = None
    instances: tuple[Instances, ...] | None = None
    hidden_mix: tuple[HiddenMix, ...] = ()
    high_res: Tensor | None = None

    def replace(self, **changes: Any) -> Batch:
        return replace(self, **changes)

    @property
    def cached_features(self) -> bool:
        """Whether features of a frozen backbone stand in for samples."""
        return self.x.dim() == 2 and self.x.is_floating_point()

    def rows(self, chosen: slice | Tensor) -> Batch:
        """Some of its samples: a slice, or their places, int64. What is changed inside the network stays as it is."""
        places = chosen if isinstance(chosen, slice) else chosen.cpu().numpy()
        return replace(
            self,
            x=self.x[chosen],
            targets=self.targets[chosen],
            index_B=self.index_B[places],
            weight_B=self.weight_B[chosen],
            mask_BHW=None if self.mask_BHW is None else self.mask_BHW[chosen],
            high_res=None if self.high_res is None else self.high_res[chosen],
            instances=None
            if self.instances is None
            else tuple(self.instances[i] for i in np.arange(len(self))[places]),
        )

    def __len__(self) -> int:
        return len(self.index_B)


@dataclass(frozen=True)
class Settings:
    """What an epoch is trained with besides its learning rate: the size at which samples are shown (see `Recipe.size`), and how
    many of the recipe's batches one step takes together."""

    size: int
    batches: int = 1

    def replace(self, **changes: Any) -> Settings:
        return replace(self, **changes)


@dataclass(frozen=True)
class Progress:
    """Where training stands. `step` counts finished steps, one for each of the recipe's batches: a step that takes several of
    them together counts as so many."""

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
    """Metrics of a validation, by name; `half(0)` and `half(1)` give the same of each half of the samples, for a choice that the
    other half is to judge."""

    def __init__(self, metrics: Mapping[str, float], half: Callable[[int], Mapping[str, float]]) -> None:
        super().__init__(metrics)
        self.half = half


@dataclass(frozen=True)
class FinalizeContext:
    """What a method may use once training is over.

    inputs: one epoch of training inputs (`Batch.x`), as the model saw them in training. validate: the metrics of the network's
    answers to the validation samples with these weights in it; afterwards it is as it was. precision: that of the training; within
    it weights must stay as they are, as their casts are kept.
    """

    inputs: Callable[[], Iterator[Tensor]]
    validate: Callable[[dict[str, Tensor]], Measured]
    precision: Callable[[], AbstractContextManager[Any]] = nullcontext


@dataclass(frozen=True)
class Outcome:
    """What a loss is given: the answer, the question, and the model that gave it, for a loss that needs another look at it; the
    features that the answer was made of (what the head was given), and where training stands. The model is what is trained on
    `batch.x`: the head alone where kept features stand in for images."""

    logits_BK: Tensor
    batch: Batch
    model: nn.Module
    features_BD: Tensor | None = None
    progress: Progress = Progress(0, 1, 1)
    precision: Callable[[], AbstractContextManager[Any]] = nullcontext

    def ask(self, x: Tensor) -> Tensor:
        """The model's answer to other inputs, float (B, K), in the precision of the training."""
        with self.precision():
            return self.model(x).float()

    def rows(self, count: int) -> Outcome:
        """The first rows of the answer and of the question."""
        features_BD = None if self.features_BD is None else self.features_BD[:count]
        return replace(
            self, logits_BK=self.logits_BK[:count], batch=self.batch.rows(slice(count)), features_BD=features_BD
        )

    def with_logits(self, logits_BK: Tensor) -> Outcome:
        return replace(self, logits_BK=logits_BK)

    def with_targets(self, targets: Targets) -> Outcome:
        return replace(self, batch=self.batch.replace(targets=targets))


Loss = Callable[[Outcome], "Tensor"]
"""A loss gives one value a sample, (B,); a penalty on the weights is added to each."""

Closure = Callable[[], "Tensor"]
"""Clears the gradients, runs forward and backward, returns the scalar loss. May be called several times a step."""

Step = Callable[[Closure], "Tensor"]
"""Takes one optimizer step with the help of a closure and returns the loss."""

Predictor: TypeAlias = "nn.Module"
"""A module: normalised inputs (`Batch.x`) -> logits (B, K), or (B, M, K) of several models beside each other."""


class Features(NamedTuple):
    """What the bare backbone makes of the training samples. x_ND: float (N, D), sparse where most of them are zero. index_N: int64,
    their rows in the training table, which lacks those that cannot be read. group_N: the groups they belong to, names, empty for
    none."""

    x_ND: Tensor
    targets: Targets
    index_N: np.ndarray
    group_N: np.ndarray | None = None


@dataclass(frozen=True)
class Context:
    """What a method may know of the training it takes part in, beyond its own hyper-parameters.

    class_counts_K: training samples a class, int64 (K,). features: features(backbone=None, training=False) runs the bare backbone
    (the network's own, or another that takes the same inputs) once over the training samples as they are shown at prediction
    time; it is costly, so call it once. training: as it answers while it trains, BatchNorm going by the statistics of each batch
    in place of those it keeps.
    texts: those of the
    training, where samples are texts. optimizer: another optimizer as the recipe asks for, for a network of the same structure (a
    copy, say); known once the STEP methods start.
    """

    task: ClassTask
    classes: tuple[str, ...]
    class_counts_K: np.ndarray
    features: Callable[..., Features]
    texts: Callable[[], Sequence[str]] = tuple
    optimizer: Callable[[Any], torch.optim.Optimizer] | None = None
