"""The eleven stages of training, and the roles that a method can have at each.

    files -DATA-> rows -SAMPLE-> views -BATCH-> batch -> model -LOSS-> loss -GRADIENT-> grads -STEP-> weights
                                                         ^ MODEL                ^ OPTIMIZER, SCHEDULE
    weights -PREDICT-> prediction -AFTER-> bundle

A role is an abstract class with the functions that its stage calls. A method derives from its role. A method that needs two
(an average of the weights: STEP to update it, PREDICT to use it) derives from both in its one file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from whet.core.language import Sentence

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from torch import Tensor, nn

    from whet.core.batch import Batch, Context, FinalizeContext, Loss, Predictor, Progress, Settings, Step
    from whet.core.masks import IdMap, Kind, Masks
    from whet.core.method import Method
    from whet.core.outputs import Outputs
    from whet.core.recipe import Recipe
    from whet.core.rng import BatchRng
    from whet.core.runtime import Runtime
    from whet.core.task import Task


class Stage(StrEnum):
    """The eleven stages where a method can act, in order."""

    DATA = "data"
    SAMPLE = "sample"
    MODEL = "model"
    OPTIMIZER = "optimizer"
    SCHEDULE = "schedule"
    BATCH = "batch"
    LOSS = "loss"
    GRADIENT = "gradient"
    STEP = "step"
    PREDICT = "predict"
    AFTER = "after"


# DATA ---------------------------------------------------------------------------------------------------------------
class Selects(ABC):
    @abstractmethod
    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The training rows -> the training rows to use. Called once, before training."""


MaskMaker = Callable[["np.ndarray", "Masks"], Mapping[str, "np.ndarray | IdMap"]]
"""An upright image, RGB uint8 (H, W, 3), and its weak annotation -> maps of classes, uint8 (H, W) with IGNORE, or objects (from
boxes), one for each step of the method, by name. The last is trained on; the others are only measured. Several threads call it."""


class MakesMasks(ABC):
    """Makes masks of boxes or of the classes of an image, for training images that have no masks. Called once, before the first
    step; the masks are kept in the run folder, where a resumed run reads them. makes_of: the kinds of annotation."""

    makes_of: ClassVar[frozenset[Kind]]

    @abstractmethod
    def mask_maker(self, net: Any, classes: tuple[str, ...]) -> MaskMaker:
        """net: the network before the first step, for its device. Runs that the method follows are finished."""


class LabelsSamples(ABC):
    """Labels unlabelled samples by the predictions of the run that the method follows (`Follows`). They then are training samples
    with soft targets and a weight; of masks, pixels without a label are ignored. Called once, before the first step; the labels are
    kept in the run folder, where a resumed run reads them."""

    @abstractmethod
    def confidence_temperature(self, outputs: Outputs) -> float:
        """The validation outputs of that run -> the number by which its logits are divided. Not called for masks, whose outputs
        are not kept."""

    @abstractmethod
    def least_confidences(self, confidence_KM: Sequence[np.ndarray]) -> np.ndarray:
        """The confidences of the predictions of each class, (M,) for each -> the confidence from which a prediction of each class
        becomes a label, (K,)."""

    @abstractmethod
    def pseudo_targets(self, probs_MK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities of the chosen samples -> targets (M, K) and sample weights (M,). Not called for masks."""


class LabelsByFeatures(LabelsSamples):
    """Labels unlabelled samples by the features that the network of that run gives to all samples, not by its predictions."""

    @abstractmethod
    def labelled_by(self, features_ND: Any, label_NK: np.ndarray) -> np.ndarray:
        """The features of the training samples and then the unlabelled ones, an array or a sparse matrix, and the probabilities of
        their classes, all zero where they are unknown -> the probabilities of all, (N, K)."""

    def confidence_temperature(self, outputs: Outputs) -> float:
        """Not used: nothing is predicted."""
        return 1.0


class Arranges(ABC):
    @abstractmethod
    def arrange(self, order_M: np.ndarray, label_N: np.ndarray, progress: Progress, rng: BatchRng) -> np.ndarray:
        """The epoch's shuffled sample numbers -> the epoch's sample numbers, same length. rng draws by position 0 … M - 1;
        `progress` is that of the start of the epoch."""


# SAMPLE -------------------------------------------------------------------------------------------------------------
class Draws(ABC):
    @abstractmethod
    def draw(self, view: Any, rng: BatchRng) -> Any:
        """The view of a batch (`ImageView`, `TextView` or `AudioView`, by the task) -> the view with this method's transforms
        added. Draws are vectorised; do not loop over samples."""


class TransformsBatch(ABC):
    @abstractmethod
    def transform_batch(self, received: Tensor, rng: BatchRng) -> Tensor:
        """Rendered samples, as received by the network's front, on the device -> the same shape and type. Pixels, uint8
        (B, 3, H, W); token ids, int64 (B, L); log-mel spectrograms, float (B, 1, frames, mels)."""


# MODEL --------------------------------------------------------------------------------------------------------------
class Changes(ABC):
    @abstractmethod
    def change(self, net: Any, context: Context) -> Any:
        """The model (whet.models.Net) -> the changed model; structure only. Runs again on resume. A change that prediction needs is
        recorded by `net.built_with(self)` and runs again on load, where the context has only the task and the classes. A
        parametrised weight needs no record: it is saved as the resulting plain weight. torch's own draws are seeded. Methods that
        add or rename weights come first (`order` below 50), because freezing and learning rates refer to names."""


class Initialises(ABC):
    @abstractmethod
    def initialise(self, net: Any, context: Context) -> None:
        """Set better initial weights. Called only on a fresh start, never on resume."""


class Shortens(ABC):
    @abstractmethod
    def shortened(self, recipe: Recipe, epochs: float) -> tuple[Recipe, Sentence] | None:
        """The recipe to train instead, if a budget in minutes allows only this many epochs, and a description of the change for a
        note; None where the epochs suffice. Called once, before the first step, with all `auto` settings resolved."""

    @abstractmethod
    def steady(self) -> Method:
        """The same method without shortening, for a run that measures the cost of this recipe."""


# OPTIMIZER ----------------------------------------------------------------------------------------------------------
class Optimizes(ABC):
    @abstractmethod
    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        """Groups {params, lr_scale, decay} -> an optimizer whose groups have `lr` (base rate times lr_scale). `decay`: whether
        weight decay applies; false for norms and biases. `net` (whet.models.Net) owns the weights, for optimizers that treat layers
        by type or read their activations."""


# SCHEDULE -----------------------------------------------------------------------------------------------------------
class Scales(ABC):
    @abstractmethod
    def factor(self, progress: Progress) -> float:
        """The learning rate factor for the next step. The factors of all schedules are multiplied."""


class Sets(ABC):
    @abstractmethod
    def settings(self, progress: Progress, settings: Settings) -> Settings:
        """The settings for the next epoch, given those returned by the previous schedule (the recipe's own for the first)."""


@dataclass(frozen=True)
class RangeTest:
    """The result of `trial_steps`: the schedule with its setting filled in, and the measured curve."""

    schedule: Method
    lr_T: tuple[float, ...]
    loss_T: tuple[float, ...]
    chosen: float
    """The chosen learning rate, that of the parameters with the highest rate."""


class FindsBeforeTraining(ABC):
    @abstractmethod
    def trial_steps(self, trial: Callable[[Iterable[float]], Iterator[tuple[float, float]]]) -> RangeTest | None:
        """Called before training, on a fresh start: find a setting that needs some training steps; None where it is already set.
        `trial` takes learning rate factors and yields (learning rate, loss) step by step, on a copy of the network; it ends when
        the loss is no longer finite. The resulting schedule replaces this method in the run's recipe."""


# BATCH --------------------------------------------------------------------------------------------------------------
class Mixes(ABC):
    @abstractmethod
    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        """A batch with soft targets -> a batch with soft targets. The input is not modified."""


# LOSS ---------------------------------------------------------------------------------------------------------------
class WrapsLoss(ABC):
    @abstractmethod
    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        """A loss function -> a loss function, each returning one value per sample."""


class Follows(ABC):
    @abstractmethod
    def predecessor(self, recipe: Recipe) -> Recipe | None:
        """The recipe of the run to train first, inside the same run folder, given this run's recipe; None where none is needed."""

    @abstractmethod
    def following(self, run: str) -> Method:
        """The same method with the folder of the finished first run."""


class Guarded(Follows):
    """A run whose network predicts only where it is better on validation samples than that of the run it follows; else that network
    is handed over (`whet.training.guard`)."""


# GRADIENT -----------------------------------------------------------------------------------------------------------
class WrapsStep(ABC):
    @abstractmethod
    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        """A step function -> a step function. A step receives a closure (forward, backward, loss) and may call it several times.
        torch's own draws within a step are seeded by its number."""


class WrapsUpdate(ABC):
    @abstractmethod
    def wrap_update(self, step: Step, optimizer: torch.optim.Optimizer) -> Step:
        """Like `wrap_step`, with access to the learning rates: `optimizer.param_groups` at the time of the step."""


class Divides(ABC):
    @abstractmethod
    def parts(self, samples: int) -> int:
        """The number of parts into which a batch of this size is split. They pass through the network one after another, and their
        gradients sum to that of the batch."""


# STEP ---------------------------------------------------------------------------------------------------------------
class Watches(ABC):
    @abstractmethod
    def start(self, net: Any, context: Context) -> Runtime:
        """Create the method's runtime state for training."""


# PREDICT ------------------------------------------------------------------------------------------------------------
class ChoosesWeights(ABC):
    @abstractmethod
    def weights(self, weights: dict[str, Tensor], runtime: Any, final: bool) -> dict[str, Tensor]:
        """The weights for prediction so far -> the weights to use. `final`: true after training, false at a validation."""


class Finalizes(ABC):
    @abstractmethod
    def finalize(self, net: Any, runtime: Any, context: FinalizeContext) -> None:
        """Called after training: modify the network, which holds the weights for prediction, in place. For methods that need a pass
        over the data, such as statistics of averaged weights or a choice by validation."""


class KeepsEnsembleMembers(ABC):
    @abstractmethod
    def ensemble_members(self, runtime: Any) -> list[dict[str, Tensor]]:
        """Additional weights of the same network. The prediction is the mean of the probabilities of all, including the final
        weights."""


class UsesExternalModels(ABC):
    @abstractmethod
    def external_models(self, recipe: Recipe) -> list[str | Recipe]:
        """The models to predict with in addition to this one: folders of finished runs, or recipes to train first, within the same
        run. The predictor then returns (B, M, K), this model first, and `wrap_predictor` combines them."""


class Fits(ABC):
    @abstractmethod
    def fit(self, outputs: Outputs) -> dict[str, Any]:
        """Validation outputs of the predictor so far, chunks (B, K), or (B, M, K) where the method combines several models ->
        numbers (as JSON) to save with the model."""


class WrapsPredictor(ABC):
    @abstractmethod
    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        """A predictor -> a predictor; `fitted` is the result of `fit`, or empty. task: defines how outputs are combined."""


# AFTER --------------------------------------------------------------------------------------------------------------
class Compresses(ABC):
    @abstractmethod
    def compress(self, net: Any, context: Context) -> Any:
        """A trained model -> the model to save: smaller, or with a part refitted."""


class Quantizes(ABC):
    """Acts when the run is exported, on the ONNX graph: the run itself trains and predicts without it."""

    @abstractmethod
    def quantize(self, trial: Any) -> list[Any]:
        """An exported graph and what measures others against it (`whet.exporting.trial.Trial`) -> the quantized graphs that were
        measured (`Measured`). The export hands over the best of them, or none."""


ROLES: dict[Stage, tuple[type, ...]] = {
    Stage.DATA: (Selects, MakesMasks, LabelsSamples, Arranges),
    Stage.SAMPLE: (Draws, TransformsBatch),
    Stage.MODEL: (Changes, Initialises, Shortens),
    Stage.OPTIMIZER: (Optimizes,),
    Stage.SCHEDULE: (Scales, Sets, FindsBeforeTraining),
    Stage.BATCH: (Mixes,),
    Stage.LOSS: (WrapsLoss, Follows, Guarded),
    Stage.GRADIENT: (WrapsStep, WrapsUpdate, Divides),
    Stage.STEP: (Watches,),
    Stage.PREDICT: (ChoosesWeights, Finalizes, KeepsEnsembleMembers, UsesExternalModels, Fits, WrapsPredictor),
    Stage.AFTER: (Compresses, Quantizes),
}
