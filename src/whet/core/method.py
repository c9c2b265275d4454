"""A method: one technique, its typed hyper-parameters, and the one place on a sample's journey where it acts.

    files -DATA-> rows -SAMPLE-> views -BATCH-> batch -> model -LOSS-> loss -GRADIENT-> grads -STEP-> weights
                                                         ^ MODEL                ^ OPTIMIZER, SCHEDULE
    weights -PREDICT-> answer -AFTER-> bundle

The protocols below are the eleven stages. A method implements the protocol of its stage; one that truly needs two (an
average of the weights: STEP to keep it, PREDICT to use it) implements both in its one file.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from whet.core.batch import Batch, Context, Ending, Loss, Predictor, Progress, Settings, Step
from whet.core.rng import BatchRng
from whet.core.strict import Strict
from whet.core.targets import Targets
from whet.core.task import Task, problems

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import Tensor, nn

    from whet.core.recipe import Recipe


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


FAMILIES = frozenset(
    ("augment", "mix", "transfer", "architecture", "regularize", "distill", "optimize", "schedule", "average")
    + ("balance", "semi", "ensemble", "compress")
)
SEGMENTATION = frozenset(["semantic-segmentation", "instance-segmentation"])
"""Problems that methods declare already and no task solves yet."""


# DATA ---------------------------------------------------------------------------------------------------------------
@runtime_checkable
class Selects(Protocol):
    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The training rows -> the training rows to use; once, before training."""
        ...


@runtime_checkable
class Arranges(Protocol):
    def arrange(self, order_M: np.ndarray, label_N: np.ndarray, progress: Progress, rng: BatchRng) -> np.ndarray:
        """The epoch's shuffled sample numbers -> the epoch's sample numbers, same length. rng draws by position 0 … M - 1;
        `progress` is that of the epoch's beginning."""
        ...


# SAMPLE -------------------------------------------------------------------------------------------------------------
@runtime_checkable
class Draws(Protocol):
    def draw(self, view: Any, rng: BatchRng) -> Any:
        """The view of a batch (`ImageView`, `TextView` or `SoundView`, by the task) -> the view with this method's wish drawn in.
        Draws are vectorised: never in a loop over samples."""
        ...


@runtime_checkable
class Repaints(Protocol):
    def repaint(self, received: Tensor, rng: BatchRng) -> Tensor:
        """What the network's front received of painted samples, on the device -> the same shape and type. Pixels, uint8
        (B, 3, H, W); token ids, int64 (B, L); log-mel spectrograms, float (B, 1, frames, mels)."""
        ...


# MODEL --------------------------------------------------------------------------------------------------------------
@runtime_checkable
class Changes(Protocol):
    def change(self, net: Any, context: Context) -> Any:
        """The model (whet.models.Net) -> the changed model; structure only. Runs again on resume. What prediction needs too is
        recorded by `net.built_with(self)`, and runs again on load, where the context knows the task and the classes only; a
        parametrised weight needs no record, it is saved as the plain weight it comes to. torch's own draws are keyed. Who adds
        or renames weights comes first (`order` below 50), as freezing and learning rates go by name."""
        ...


@runtime_checkable
class Initialises(Protocol):
    def initialise(self, net: Any, context: Context) -> None:
        """Give the model better starting weights; only at a fresh start, never on resume."""
        ...


# OPTIMIZER ----------------------------------------------------------------------------------------------------------
@runtime_checkable
class Optimizes(Protocol):
    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        """Groups {params, lr_scale, decay} -> an optimizer whose groups carry `lr` (base rate times lr_scale). `decay` says
        whether weight decay should apply: false for norms and biases. `net` (whet.models.Net) owns the weights: for optimizers
        that treat layers by their kind, or look at what flows through them."""
        ...


# SCHEDULE -----------------------------------------------------------------------------------------------------------
@runtime_checkable
class Scales(Protocol):
    def factor(self, progress: Progress) -> float:
        """The factor on the learning rate for the coming step. The factors of all schedules are multiplied."""
        ...


@runtime_checkable
class Sets(Protocol):
    def settings(self, progress: Progress, settings: Settings) -> Settings:
        """The settings for the coming epoch, given the recipe's own as the schedules before this one left them."""
        ...


@dataclass(frozen=True)
class RangeTest:
    """What `rehearse` found: the schedule with its setting filled in, and the curve that led to it."""

    schedule: Method
    lr_T: tuple[float, ...]
    loss_T: tuple[float, ...]
    chosen: float
    """The learning rate that was chosen, of the fastest parameters."""


@runtime_checkable
class Rehearses(Protocol):
    def rehearse(self, trial: Callable[[Iterable[float]], Iterator[tuple[float, float]]]) -> RangeTest | None:
        """Before training, at a fresh start: find out what only some steps of training can tell; None where it is known.
        `trial` takes factors on the learning rate and gives (learning rate, loss) step by step, on a copy of the network; it
        ends where the loss is no longer finite. What comes out takes this method's place in the run's recipe."""
        ...


# BATCH --------------------------------------------------------------------------------------------------------------
@runtime_checkable
class Mixes(Protocol):
    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        """A batch with soft targets -> a batch with soft targets; the given one is not changed."""
        ...


# LOSS ---------------------------------------------------------------------------------------------------------------
@runtime_checkable
class WrapsLoss(Protocol):
    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        """A loss function -> a loss function, each giving one value a sample."""
        ...


@runtime_checkable
class Follows(Protocol):
    def predecessor(self, recipe: Recipe) -> Recipe | None:
        """The recipe of the run to train first, within the same run folder, given this run's recipe; None where none is needed."""
        ...

    def following(self, run: str) -> Method:
        """The same method, knowing the folder of the finished run that came first."""
        ...


@runtime_checkable
class Shortens(Protocol):
    def shortened(self, recipe: Recipe, epochs: float) -> tuple[Recipe, str] | None:
        """The recipe to train in this one's place where a budget in minutes fits so few epochs, and what it does instead, for a
        note; None where these are enough. Asked once, before the first step, of a recipe whose `auto` is resolved."""
        ...

    def steady(self) -> Method:
        """The same method, which never does so: for a run that is to tell what this recipe costs."""
        ...


@runtime_checkable
class SeesCloser(Protocol):
    def seen_size(self) -> int | None:
        """The side in pixels at which this method wants to see every training picture, if the network is shown a smaller one."""
        ...


# GRADIENT -----------------------------------------------------------------------------------------------------------
@runtime_checkable
class WrapsStep(Protocol):
    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        """A step function -> a step function. A step is given a closure (forward, backward, loss) and may call it often.
        torch's own draws within a step are keyed by its number."""
        ...


@runtime_checkable
class WrapsUpdate(Protocol):
    def wrap_update(self, step: Step, optimizer: torch.optim.Optimizer) -> Step:
        """As `wrap_step`, for what must know the learning rates: `optimizer.param_groups` at the time of the step."""
        ...


@runtime_checkable
class Divides(Protocol):
    def parts(self, samples: int) -> int:
        """Into how many parts a batch of so many samples is cut; they pass the network one after another, and their gradients
        add up to that of the batch."""
        ...


@runtime_checkable
class TakesOver(Protocol):
    def take_over(self, other: Method) -> Method | None:
        """Another method of the recipe without the part that this one does in its place; None where they do not overlap. The
        recipe of the run holds what remains, and a note says it."""
        ...


# STEP ---------------------------------------------------------------------------------------------------------------
class Runtime:
    """What a STEP method keeps during training. Everything that matters lies in `state_dict`, or a resumed run differs.

    Where what it keeps decides at another stage, the runtime itself implements that stage's protocol: `Arranges` (easy samples
    first), `Scales` (a learning rate that falls when validation stalls), `WrapsLoss` (a penalty towards the starting weights),
    `WrapsStep` (noise that fades) or `WrapsUpdate`. It says so in its class line and comes after the methods of that stage:

        class _Falling(Runtime, acts={Stage.SCHEDULE}):
    """

    stop: bool = False

    def __init_subclass__(cls, acts: Iterable[Stage] = ()) -> None:
        super().__init_subclass__()
        _check_declared(cls, frozenset(acts), (Arranges, Scales, WrapsLoss, WrapsStep, WrapsUpdate), "acts")

    def after_step(self, progress: Progress) -> None:
        """After every optimizer step."""

    def after_validation(self, metrics: Mapping[str, float], weights: dict[str, Tensor], progress: Progress) -> None:
        """After every validation; `weights` are those that were validated."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Back to what `state_dict` gave."""


@runtime_checkable
class Watches(Protocol):
    def start(self, net: Any, context: Context) -> Runtime: ...


# PREDICT ------------------------------------------------------------------------------------------------------------
@runtime_checkable
class ChoosesWeights(Protocol):
    def weights(self, weights: dict[str, Tensor], runtime: Any, final: bool) -> dict[str, Tensor]:
        """The weights prediction would use -> those it should use. `final` once training is over, false at a validation."""
        ...


@runtime_checkable
class Settles(Protocol):
    def settle(self, net: Any, runtime: Any, ending: Ending) -> None:
        """Once training is over: the network, which holds the weights that prediction uses, set right in place. For what takes a
        pass over the data: statistics of averaged weights, a choice by validation."""
        ...


@runtime_checkable
class Gathers(Protocol):
    def gather(self, runtime: Any) -> list[dict[str, Tensor]]:
        """Further weights of the same network; prediction is the mean of the probabilities of all, the final weights among them."""
        ...


@runtime_checkable
class Joins(Protocol):
    def companions(self, recipe: Recipe) -> list[str | Recipe]:
        """Whose models are to answer beside this one: folders of finished runs, or recipes to train first, within the same run.
        The predictor then answers (B, M, K), this model first, and `wrap_predictor` makes one answer of them."""
        ...


@runtime_checkable
class Fits(Protocol):
    def fit(self, logits_NK: Tensor, targets: Targets) -> dict[str, Any]:
        """Validation answers of the predictor so far, (N, M, K) where the method joins several models -> numbers (as JSON) to keep
        with the model."""
        ...


@runtime_checkable
class WrapsPredictor(Protocol):
    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        """A predictor -> a predictor; `fitted` is what `fit` gave, or empty. task: knows how outputs are combined."""
        ...


# AFTER --------------------------------------------------------------------------------------------------------------
@runtime_checkable
class Compresses(Protocol):
    def compress(self, net: Any, context: Context) -> Any:
        """A trained model -> the one to keep: smaller, or with a part fitted anew."""
        ...


PROTOCOLS: dict[Stage, tuple[type, ...]] = {
    Stage.DATA: (Selects, Arranges),
    Stage.SAMPLE: (Draws, Repaints),
    Stage.MODEL: (Changes, Initialises, Shortens),
    Stage.OPTIMIZER: (Optimizes,),
    Stage.SCHEDULE: (Scales, Sets, Rehearses),
    Stage.BATCH: (Mixes,),
    Stage.LOSS: (WrapsLoss, Follows),
    Stage.GRADIENT: (WrapsStep, WrapsUpdate, Divides, TakesOver),
    Stage.STEP: (Watches,),
    Stage.PREDICT: (ChoosesWeights, Settles, Gathers, Joins, Fits, WrapsPredictor),
    Stage.AFTER: (Compresses,),
}


def _check_declared(cls: type, declared: frozenset[Stage], known: Iterable[type], word: str) -> None:
    """TypeError where a class bears a stage's function and does not declare that stage, so that no helper is taken for one; or
    where such a function takes other arguments than its stage gives."""
    for stage, protocols in PROTOCOLS.items():
        for protocol in (one for one in protocols if one in known):
            functions = [name for name in vars(protocol) if not name.startswith("_")]
            if not all(hasattr(cls, name) for name in functions):
                continue
            if stage not in declared:
                raise TypeError(
                    f"{cls.__name__}: {' and '.join(functions)} would make it act at stage {stage}; declare this in the class line "
                    f"({word}={{Stage.{stage.name}}}), or rename what is only a helper"
                )
            for name in functions:
                wanted, found = (_arguments(getattr(owner, name)) for owner in (protocol, cls))
                if found is None or len(found) < len(wanted or ()):
                    raise TypeError(
                        f"{cls.__name__}.{name} is the function of stage {stage}, which is given ({', '.join(wanted or ())}); "
                        "rename it if it is only a helper"
                    )


def _arguments(function: Any) -> list[str] | None:
    """The names of what it can be given besides self; None where it is no function."""
    if not callable(function):
        return None
    return [name for name in inspect.signature(function).parameters if name != "self"]


@dataclass(frozen=True)
class Search:
    """The range a hyper-parameter is worth searching, or the choices: `Annotated[float, Search(0.05, 1.0, log=True)]`."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()


class Method(Strict):
    """Base of every technique. Subclass once, say where it acts, and implement that stage's protocol:

        class MixUp(Method, stage=Stage.BATCH, family="mix", tasks={"image-classification"}):
        class EMA(Method, stage=Stage.STEP, also={Stage.PREDICT}, family="average", tasks={"image-classification"}):

    The class is the YAML schema, the search space, the card and the row in the report. Its docstring is the card: a first
    line that says what it does, then `Use when:`, `Do not use when:`, `Source:` and, where they apply, `Deviates:`, `Shapes:`.
    """

    kind: ClassVar[str] = "hyper-parameter"
    name: ClassVar[str]
    stage: ClassVar[Stage]
    family: ClassVar[str]
    tasks: ClassVar[frozenset[str]]

    identity: ClassVar[Mapping[str, Any] | None] = None
    """The setting that must be bit-equal to absence, or None where there is none (`exceptions` then says why)."""
    order: ClassVar[int] = 50
    """Place among the methods of one stage, small first; equal places go by name. A recipe's own order never matters."""
    conflicts: ClassVar[frozenset[str]] = frozenset()
    """Names of methods that cannot stand in one recipe with this one."""
    one_class: ClassVar[bool] = False
    """Whether it means nothing where a sample may have several classes."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Settings to try it with (`whet.testing`), where the defaults wait for something of a person's."""
    exceptions: ClassVar[Mapping[str, str]] = {}
    """Checks of `whet.testing.check_method` that do not hold for this method, each with its reason."""

    def __init_subclass__(
        cls,
        stage: Stage | None = None,
        family: str | None = None,
        tasks: Iterable[str] | None = None,
        name: str | None = None,
        also: Iterable[Stage | str] = (),
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        if stage is None or family is None or tasks is None:
            raise TypeError(f"{cls.__name__}: a method names its stage, family and tasks in the class line")
        cls.stage, cls.family, cls.tasks = Stage(stage), family, frozenset(tasks)
        declared = frozenset([cls.stage, *map(Stage, also)])
        cls.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()
        if family not in FAMILIES:
            raise TypeError(f"{cls.__name__}: family '{family}' is none of {sorted(FAMILIES)}")
        known = SEGMENTATION | problems().keys()
        if not cls.tasks or not cls.tasks <= known:
            raise TypeError(f"{cls.__name__}: tasks {sorted(cls.tasks)} must be some of {sorted(known)}")
        if cls.stage not in cls.stages():
            accepted = " or ".join(protocol.__name__ for protocol in PROTOCOLS[cls.stage])
            raise TypeError(f"{cls.__name__}: a method of stage {cls.stage} implements {accepted}")
        _check_declared(cls, declared, [one for protocols in PROTOCOLS.values() for one in protocols], "also")
        if idle := sorted(declared - set(cls.stages())):
            raise TypeError(f"{cls.__name__}: it declares stage {idle[0]} and implements none of its functions")

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        functions = {name for protocols in PROTOCOLS.values() for protocol in protocols for name in vars(protocol)}
        clash = sorted(functions & set(cls.model_fields))
        if clash:  # it would be taken for a method of that stage
            raise TypeError(f"{cls.__name__}: the hyper-parameter '{clash[0]}' bears the name of a stage's function")

    @property
    def copies(self) -> int:
        """How many copies of every sample, drawn apart where a method draws by copy, this method needs in a batch."""
        return 1

    @classmethod
    def stages(cls) -> list[Stage]:
        """Every stage whose protocol this class implements, in the order of the journey."""
        return [stage for stage, protocols in PROTOCOLS.items() if any(issubclass(cls, p) for p in protocols)]

    @classmethod
    def label(cls) -> str:
        return cls.name

    @classmethod
    def search_space(cls) -> dict[str, Search]:
        """The hyper-parameters that declare what is worth searching."""
        found = {}
        for key, field in cls.model_fields.items():
            for extra in field.metadata:
                if isinstance(extra, Search):
                    found[key] = extra
        return found

    def settings_dict(self) -> dict[str, Any]:
        """All hyper-parameters as plain YAML values."""
        return self.model_dump(mode="json")
