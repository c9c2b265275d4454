"""The eleven stages of a sample's journey, and the roles that a method can play at each.

    files -DATA-> rows -SAMPLE-> views -BATCH-> batch -> model -LOSS-> loss -GRADIENT-> grads -STEP-> weights
                                                         ^ MODEL                ^ OPTIMIZER, SCHEDULE
    weights -PREDICT-> prediction -AFTER-> bundle

A role is an abstract class with the functions that its stage calls. A method derives from its role; one that truly needs two
(an average of the weights: STEP to keep it, PREDICT to use it) derives from both in its one file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from torch import Tensor, nn

    from whet.core.batch import Batch, Context, FinalizeContext, Loss, Predictor, Progress, Settings, Step
    from whet.core.method import Method
    from whet.core.recipe import Recipe
    from whet.core.rng import BatchRng
    from whet.core.runtime import Runtime
    from whet.core.targets import Targets
    from whet.core.task import Task


class Stage(StrEnum):
    """The eleven places where a method can act, in the order of a sample's journey."""

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
        """The training rows -> the training rows to use; once, before training."""


class Arranges(ABC):
    @abstractmethod
    def arrange(self, order_M: np.ndarray, label_N: np.ndarray, progress: Progress, rng: BatchRng) -> np.ndarray:
        """The epoch's shuffled sample numbers -> the epoch's sample numbers, same length. rng draws by position 0 … M - 1;
        `progress` is that of the epoch's beginning."""


# SAMPLE -------------------------------------------------------------------------------------------------------------
class Draws(ABC):
    @abstractmethod
    def draw(self, view: Any, rng: BatchRng) -> Any:
        """The view of a batch (`ImageView`, `TextView` or `AudioView`, by the task) -> the view with this method's wish drawn in.
        Draws are vectorised: never in a loop over samples."""


class TransformsBatch(ABC):
    @abstractmethod
    def transform_batch(self, received: Tensor, rng: BatchRng) -> Tensor:
        """What the network's front received of painted samples, on the device -> the same shape and type. Pixels, uint8
        (B, 3, H, W); token ids, int64 (B, L); log-mel spectrograms, float (B, 1, frames, mels)."""


# MODEL --------------------------------------------------------------------------------------------------------------
class Changes(ABC):
    @abstractmethod
    def change(self, net: Any, context: Context) -> Any:
        """The model (whet.models.Net) -> the changed model; structure only. Runs again on resume. What prediction needs too is
        recorded by `net.built_with(self)`, and runs again on load, where the context knows the task and the classes only; a
        parametrised weight needs no record, it is saved as the plain weight it comes to. torch's own draws are keyed. Who adds
        or renames weights comes first (`order` below 50), as freezing and learning rates go by name."""


class Initialises(ABC):
    @abstractmethod
    def initialise(self, net: Any, context: Context) -> None:
        """Give the model better starting weights; only at a fresh start, never on resume."""


class Shortens(ABC):
    @abstractmethod
    def shortened(self, recipe: Recipe, epochs: float) -> tuple[Recipe, str] | None:
        """The recipe to train in this one's place where a budget in minutes fits so few epochs, and what it does instead, for a
        note; None where these are enough. Asked once, before the first step, of a recipe whose `auto` is resolved."""

    @abstractmethod
    def steady(self) -> Method:
        """The same method, which never does so: for a run that is to tell what this recipe costs."""


# OPTIMIZER ----------------------------------------------------------------------------------------------------------
class Optimizes(ABC):
    @abstractmethod
    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        """Groups {params, lr_scale, decay} -> an optimizer whose groups carry `lr` (base rate times lr_scale). `decay` says
        whether weight decay should apply: false for norms and biases. `net` (whet.models.Net) owns the weights: for optimizers
        that treat layers by their kind, or look at what flows through them."""


# SCHEDULE -----------------------------------------------------------------------------------------------------------
class Scales(ABC):
    @abstractmethod
    def factor(self, progress: Progress) -> float:
        """The factor on the learning rate for the coming step. The factors of all schedules are multiplied."""


class Sets(ABC):
    @abstractmethod
    def settings(self, progress: Progress, settings: Settings) -> Settings:
        """The settings for the coming epoch, given the recipe's own as the schedules before this one left them."""


@dataclass(frozen=True)
class RangeTest:
    """What `trial_steps` found: the schedule with its setting filled in, and the curve that led to it."""

    schedule: Method
    lr_T: tuple[float, ...]
    loss_T: tuple[float, ...]
    chosen: float
    """The learning rate that was chosen, of the fastest parameters."""


class FindsBeforeTraining(ABC):
    @abstractmethod
    def trial_steps(self, trial: Callable[[Iterable[float]], Iterator[tuple[float, float]]]) -> RangeTest | None:
        """Before training, at a fresh start: find out what only some steps of training can tell; None where it is known.
        `trial` takes factors on the learning rate and gives (learning rate, loss) step by step, on a copy of the network; it
        ends where the loss is no longer finite. What comes out takes this method's place in the run's recipe."""


# BATCH --------------------------------------------------------------------------------------------------------------
class Mixes(ABC):
    @abstractmethod
    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        """A batch with soft targets -> a batch with soft targets; the given one is not changed."""


# LOSS ---------------------------------------------------------------------------------------------------------------
class WrapsLoss(ABC):
    @abstractmethod
    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        """A loss function -> a loss function, each giving one value a sample."""


class Follows(ABC):
    @abstractmethod
    def predecessor(self, recipe: Recipe) -> Recipe | None:
        """The recipe of the run to train first, within the same run folder, given this run's recipe; None where none is needed."""

    @abstractmethod
    def following(self, run: str) -> Method:
        """The same method, knowing the folder of the finished run that came first."""


# GRADIENT -----------------------------------------------------------------------------------------------------------
class WrapsStep(ABC):
    @abstractmethod
    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        """A step function -> a step function. A step is given a closure (forward, backward, loss) and may call it often.
        torch's own draws within a step are keyed by its number."""


class WrapsUpdate(ABC):
    @abstractmethod
    def wrap_update(self, step: Step, optimizer: torch.optim.Optimizer) -> Step:
        """As `wrap_step`, for what must know the learning rates: `optimizer.param_groups` at the time of the step."""


class Divides(ABC):
    @abstractmethod
    def parts(self, samples: int) -> int:
        """Into how many parts a batch of so many samples is cut; they pass the network one after another, and their gradients
        add up to that of the batch."""


# STEP ---------------------------------------------------------------------------------------------------------------
class Watches(ABC):
    @abstractmethod
    def start(self, net: Any, context: Context) -> Runtime:
        """What it keeps during training, new."""


# PREDICT ------------------------------------------------------------------------------------------------------------
class ChoosesWeights(ABC):
    @abstractmethod
    def weights(self, weights: dict[str, Tensor], runtime: Any, final: bool) -> dict[str, Tensor]:
        """The weights prediction would use -> those it should use. `final` once training is over, false at a validation."""


class Finalizes(ABC):
    @abstractmethod
    def finalize(self, net: Any, runtime: Any, context: FinalizeContext) -> None:
        """Once training is over: the network, which holds the weights that prediction uses, set right in place. For what takes a
        pass over the data: statistics of averaged weights, a choice by validation."""


class KeepsEnsembleMembers(ABC):
    @abstractmethod
    def ensemble_members(self, runtime: Any) -> list[dict[str, Tensor]]:
        """Further weights of the same network; prediction is the mean of the probabilities of all, the final weights among them."""


class UsesExternalModels(ABC):
    @abstractmethod
    def external_models(self, recipe: Recipe) -> list[str | Recipe]:
        """Whose models are to answer beside this one: folders of finished runs, or recipes to train first, within the same run.
        The predictor then answers (B, M, K), this model first, and `wrap_predictor` makes one answer of them."""


class Fits(ABC):
    @abstractmethod
    def fit(self, logits_NK: Tensor, targets: Targets) -> dict[str, Any]:
        """Validation answers of the predictor so far, (N, M, K) where the method joins several models -> numbers (as JSON) to keep
        with the model."""


class WrapsPredictor(ABC):
    @abstractmethod
    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        """A predictor -> a predictor; `fitted` is what `fit` gave, or empty. task: knows how outputs are combined."""


# AFTER --------------------------------------------------------------------------------------------------------------
class Compresses(ABC):
    @abstractmethod
    def compress(self, net: Any, context: Context) -> Any:
        """A trained model -> the one to keep: smaller, or with a part fitted anew."""


ROLES: dict[Stage, tuple[type, ...]] = {
    Stage.DATA: (Selects, Arranges),
    Stage.SAMPLE: (Draws, TransformsBatch),
    Stage.MODEL: (Changes, Initialises, Shortens),
    Stage.OPTIMIZER: (Optimizes,),
    Stage.SCHEDULE: (Scales, Sets, FindsBeforeTraining),
    Stage.BATCH: (Mixes,),
    Stage.LOSS: (WrapsLoss, Follows),
    Stage.GRADIENT: (WrapsStep, WrapsUpdate, Divides),
    Stage.STEP: (Watches,),
    Stage.PREDICT: (ChoosesWeights, Finalizes, KeepsEnsembleMembers, UsesExternalModels, Fits, WrapsPredictor),
    Stage.AFTER: (Compresses,),
}
