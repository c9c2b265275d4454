"""A task: the object that defines labels, targets, loss, metrics and the display of predictions."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from whet.core.errors import RecipeError, RunError, unknown
from whet.core.evidence import Evidence, Metric, Predictions
from whet.core.labels import labels_cell
from whet.core.language import english, tr
from whet.core.plugins import Registry, filled
from whet.core.stages import WrapsLoss

if TYPE_CHECKING:
    from torch import Tensor

    from whet.core.targets import ClassTargets, Targets

GROUP = "whet.tasks"
MEDIA = ("image", "text", "audio")

LabelKind = Literal["class", "classes", "masks"]
"""What a sample is labelled with: one class, any number of classes, or a mask of its pixels."""


@dataclass(frozen=True)
class Mistake:
    """A wrongly predicted sample. row: row of the evidence. confidence: the predicted probability. class_number: the class to
    explain. faults: for multi-label samples, the labels that were missed or wrongly predicted."""

    row: int
    confidence: float
    class_number: int
    faults: tuple[dict[str, Any], ...] = ()


class Task(ABC):
    """What is predicted for a sample. It has no state but the kind of head; all instances are equal.

    name: as stored in run folders. problems: names for recipes, each with its medium. title: what samples have, such as "exactly
    one class each", for messages. right: the word for a correct prediction. heads: the accepted heads of a network, the default
    first. most_in_batch: the largest batch that is chosen by default. most_enlarged: how much larger than the pretrained size the
    size of the images may be by default. metrics: the metrics by which runs can be compared. headline: the metric that is reported
    first. selects_by: the metric by which runs are chosen, None for the headline. followed: the entries of `measure` that every
    validation reports if it has them, the headline first. per_class: the entry of the `per_class` rows of `measure` by which
    classes are compared. sections: additional sections of the run report. needs_labels: whether samples need a label. Otherwise the
    outputs are features, a method declared for the task supplies the loss, and this is the first statistic of a sample. decision:
    how an exported model decides from `probs`: "largest", "each above 0.5", "pixels", or from the outputs themselves: "objects"; ""
    where it cannot be exported.
    """

    kind: ClassVar[str] = "task"
    name: ClassVar[str]
    title: ClassVar[str]
    right: ClassVar[str] = english("right")
    problems: ClassVar[Mapping[str, str]]
    heads: ClassVar[tuple[str, ...]] = ("linear",)
    most_in_batch: ClassVar[int] = 128
    most_enlarged: ClassVar[int] = 1
    metrics: ClassVar[Mapping[str, Metric]]
    headline: ClassVar[str]
    selects_by: ClassVar[str | None] = None
    followed: ClassVar[tuple[str, ...]]
    per_class: ClassVar[str] = "recall"
    sections: ClassVar[tuple[str, ...]] = ()
    needs_labels: ClassVar[bool] = True
    decision: ClassVar[str] = ""

    # Labels and training targets ------------------------------------------------------------------------------------------
    @abstractmethod
    def reads(self, labels: LabelKind) -> bool:
        """Whether this task can be trained on labels of this kind."""

    @abstractmethod
    def collate(self, labels_B: np.ndarray, num_classes: int, maps_B: Sequence[Any] | None) -> Targets:
        """The targets of a batch, on the CPU: from its labels, or from its maps as rendered with the images."""

    def unknown(self, labels_B: np.ndarray, num_classes: int, size: Sequence[int]) -> Targets:
        """The targets of samples without a label, on the CPU. labels_B: any valid labels, as many as samples. size: height and
        width of rendered images."""
        raise RecipeError(f"unlabelled samples cannot be used to train a {self.name}")

    def with_head(self, head: str) -> Task:
        """This task for networks with one of its `heads`. RecipeError for another."""
        if head not in self.heads:
            raise RecipeError(unknown("model.head", head, self.heads) + f"; the task is {self.name}")
        return self

    def outputs(self, num_classes: int) -> int:
        """The number of outputs of the head."""
        return num_classes

    def allows(self, problem: str, method: Any) -> bool:
        """Whether a method (class or object) applies to this task."""
        return problem in method.tasks

    # Network outputs ------------------------------------------------------------------------------------------------------
    @abstractmethod
    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """The loss that LOSS methods wrap: one value per sample, (B,)."""

    @abstractmethod
    def combine(self, outputs: Tensor, weights: Sequence[float] | Tensor | None = None) -> Tensor:
        """Combine the outputs of several networks or views, (B, M, …) -> (B, …). weights: (M,) with sum 1; None: equal."""

    def undo(self, outputs: Tensor, flipped: tuple[int, ...]) -> Tensor:
        """Map the outputs for a sample flipped along the axes `flipped` back to those for the original sample."""
        return outputs

    def unzoom(self, outputs: Tensor, whole: Tensor, box: tuple[float, float, float, float]) -> Tensor:
        """Map the outputs for the magnified centre of a sample to those for the sample. whole: the outputs for the sample itself.
        box: top, left, height and width of the centre, as shares of the sample. RecipeError where that is not possible."""
        raise RecipeError(f"tta.zooms: the outputs for a magnified image cannot be mapped back for {self.name}; use ()")

    def probs(self, outputs: Tensor) -> Tensor:
        """The probability of each class, in the shape of the outputs."""
        raise RunError(f"the outputs for a {self.name} are no probabilities of classes")

    def statistics(self, outputs: Tensor, maps_B: Sequence[Any] | None) -> Tensor:
        """What is kept of the outputs of a batch, on the CPU: (B, S), filled up with NaN. maps_B: the samples' maps in own size."""
        return outputs.float().cpu()

    # Metrics --------------------------------------------------------------------------------------------------------------
    @abstractmethod
    def evidence(
        self, classes: tuple[str, ...], ids: np.ndarray, labels: np.ndarray, statistics_NS: np.ndarray
    ) -> Evidence:
        """The evidence from the labels and statistics of some samples."""

    @abstractmethod
    def read_evidence(self, classes: tuple[str, ...], ids: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Evidence:
        """The evidence from its saved arrays (`Evidence.arrays`)."""

    @abstractmethod
    def table(self, evidence: Any) -> tuple[list[str], list[list[Any]]]:
        """The evidence in readable form: the columns after the id, and their rows."""

    @abstractmethod
    def different_labels(self, one: Any, other: Any) -> list[str]:
        """The samples of two runs, in the same order, that have different labels, described in words."""

    @abstractmethod
    def measure(self, evidence: Any) -> dict[str, Any]:
        """All entries of metrics.json for one split."""

    def score(self, measured: Mapping[str, Any]) -> float:
        """The number to maximise, from the result of `measure`; it selects the best validation."""
        return self.metrics[self.headline].merit(float(measured[self.headline]))

    @property
    def chooser(self) -> Metric:
        """The metric by which runs are chosen."""
        return self.metrics[self.selects_by or self.headline]

    def merit(self, measured: Mapping[str, Any]) -> float:
        """The number to maximise when runs are chosen, also where the headline metric leaves them tied or in the wrong order."""
        return self.chooser.merit(float(measured[self.selects_by or self.headline]))

    @abstractmethod
    def strata(self, evidence: Any) -> np.ndarray:
        """Samples with equal numbers (N,) belong to one stratum when samples are split into groups."""

    def with_classes(self, evidence: Any, classes: tuple[str, ...]) -> Any:
        """The evidence with its classes in this order, and missing classes added. RunError where that is not possible."""
        if evidence.classes == classes:
            return evidence
        raise RunError(
            f"evidence with the classes {', '.join(evidence.classes)} cannot be read with {', '.join(classes)}"
        )

    def averaged(self, evidence: Sequence[Any]) -> Evidence:
        """The evidence of the mean of several runs' outputs for the same samples. RunError where theirs do not give it."""
        raise RunError(f"the predictions of several runs of a {self.name} cannot be averaged from their evidence")

    def found_by_class(self, evidence: Any) -> dict[str, np.ndarray]:
        """For each class that occurs: whether it was predicted, or the share of it, one value per sample that has it."""
        return {}

    def validation_loss(self, record: Mapping[str, float], num_classes: int) -> float | None:
        """The mean validation loss, computed from the `followed` entries; None where they do not determine it."""
        return None

    def metric_name(self, name: str | None) -> str:
        """The name of a metric, by default of the headline. RunError where this task does not have it."""
        if name is not None and name not in self.metrics:
            raise RunError(f"{unknown('metric', name, self.metrics)} (the samples have {self.title})")
        return name or self.headline

    def metric(self, name: str | None) -> Metric:
        """The metric of this name, or the headline. RunError where this task does not have it."""
        return self.metrics[self.metric_name(name)]

    # Display --------------------------------------------------------------------------------------------------------------
    @abstractmethod
    def cell(self, label: Any, classes: tuple[str, ...]) -> str:
        """The label of a sample as a table cell."""

    def text(self, label: Any, classes: tuple[str, ...]) -> str:
        """The label of a sample for display."""
        return self.cell(label, classes)

    def drawn(self, images_BHWC: np.ndarray, targets: Any) -> np.ndarray:
        """Rendered images with their targets drawn into them, where these have a place, uint8."""
        return images_BHWC

    def figure(self, result: Mapping[str, Any]) -> tuple[str, str]:
        """The headline metric from the result of `measure`, and its name in English: ("93.2 %", "right")."""
        metric = self.metrics[self.headline]
        return metric.shown(result[self.headline]), self.right if metric.is_right else metric.title

    def summary(self, result: Mapping[str, Any], samples: str) -> tuple[str, str]:
        """The headline metric with its interval, on one line, in the current language. samples: "431 test samples"."""
        figure, what = self.figure(result)
        metric, interval = self.metrics[self.headline], result.get(f"{self.headline}_interval")
        on = tr("{what!t} on {samples}", what=what, samples=samples)
        if interval is None:
            return figure, on
        low, high = (metric.text(end) for end in interval)
        return figure, on + tr(" (95 % interval {low} to {high})", low=low, high=high)

    def tiles(self, result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Further metrics of `measure` for a report, in the current language: (title, figure, remark)."""
        return []

    def mistakes(self, evidence: Any) -> list[Mistake]:
        """The wrongly predicted samples, the most confident first."""
        return []

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class VectorTask(Task):
    """A task whose network returns one vector per sample, from which the probabilities of the classes follow. Its evidence is
    `Predictions`."""

    @abstractmethod
    def targets(self, labels: Any, num_classes: int) -> ClassTargets:
        """The labels in the form of `Predictions.labels`, on the CPU -> the targets of the loss."""

    def collate(self, labels_B: np.ndarray, num_classes: int, maps_B: Sequence[Any] | None) -> Targets:
        return self.targets(labels_B, num_classes)

    def unknown(self, labels_B: np.ndarray, num_classes: int, size: Sequence[int]) -> Targets:
        return self.targets(labels_B, num_classes).unknown()

    def unzoom(self, outputs: Tensor, whole: Tensor, box: tuple[float, float, float, float]) -> Tensor:
        return outputs

    @abstractmethod
    def probabilities(self, outputs_NK: np.ndarray) -> np.ndarray:
        """float64 (N, number of classes)."""

    @abstractmethod
    def decide(self, probs_NK: np.ndarray) -> np.ndarray:
        """The predictions, in the form of `Predictions.labels`."""

    @abstractmethod
    def prediction(self, probs_K: np.ndarray, classes: tuple[str, ...]) -> tuple[str | list[str], float]:
        """(the prediction, its probability)."""

    def evidence(
        self, classes: tuple[str, ...], ids: np.ndarray, labels: np.ndarray, statistics_NS: np.ndarray
    ) -> Evidence:
        return Predictions(self, classes, ids, labels, self.probabilities(statistics_NS))

    def read_evidence(self, classes: tuple[str, ...], ids: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Evidence:
        return Predictions(self, classes, ids, arrays["labels"], arrays["probs_NK"])

    def table(self, evidence: Any) -> tuple[list[str], list[list[Any]]]:
        """label, predicted, confidence, and p:<class> for every class. Sets of labels are lists of names (see `core.labels`)."""
        classes, rows = evidence.classes, []
        for label, probs_K in zip(evidence.labels, evidence.probs_NK, strict=True):
            predicted, confidence = self.prediction(probs_K, classes)
            named = predicted if isinstance(predicted, str) else labels_cell(predicted)
            shares = [f"{p:.6g}" for p in probs_K]
            rows.append([self.cell(label, classes), named, f"{confidence:.6g}", *shares])
        return ["label", "predicted", "confidence", *(f"p:{name}" for name in classes)], rows

    def different_labels(self, one: Any, other: Any) -> list[str]:
        labels, others = one.labels, other.labels
        same_N = np.asarray(labels == others)
        rows = np.flatnonzero(~(same_N if same_N.ndim == 1 else same_N.all(axis=tuple(range(1, same_N.ndim)))))
        return [
            f"{one.ids[row]} ({self.cell(labels[row], one.classes)} and {self.cell(others[row], one.classes)})"
            for row in rows
        ]

    def averaged(self, evidence: Sequence[Any]) -> Evidence:
        return replace(evidence[0], probs_NK=np.mean([one.probs_NK for one in evidence], axis=0))


class ClassTask(VectorTask):
    """A task whose outputs are class logits and whose targets are class probabilities (`ClassTargets`). Losses get the underlying
    distribution from this object. exclusive: whether each sample has exactly one class; otherwise each class is an independent
    binary label."""

    headline = "accuracy"
    selects_by = "log_loss"
    exclusive: ClassVar[bool]
    decided_upon: ClassVar[str] = english("samples")  # the unit of a row of `decisions`

    @abstractmethod
    def decisions(self, evidence: Any) -> tuple[np.ndarray, np.ndarray]:
        """The decisions for calibration: (probabilities (M, C) of each decision, the number of the correct option (M,))."""

    @abstractmethod
    def members(self, evidence: Any) -> np.ndarray:
        """Which classes each sample has, bool (N, K)."""

    @abstractmethod
    def margins(self, evidence: Any) -> np.ndarray:
        """By how much the probability of each class exceeds that of not predicting it, (N, K): positive where the class is
        predicted, near 0 where the model is least sure."""

    @abstractmethod
    def calls(self, evidence: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a threshold of confidence accepts or refuses: (class numbers, confidences, whether they are
        right), each (M,)."""

    @abstractmethod
    def log_probs(self, logits: Tensor) -> Tensor:
        """The log-probability of every outcome: of the classes, in the shape of the logits (…, K); or of the presence and absence
        of each class, (…, K, 2)."""

    @abstractmethod
    def log_others(self, logits: Tensor) -> Tensor:
        """log(1 - p) of every outcome, in the shape of `log_probs`, finite for any logits."""

    @abstractmethod
    def outcomes(self, targets: ClassTargets) -> Tensor:
        """The target probabilities of the outcomes of `log_probs`."""

    @abstractmethod
    def probs(self, outputs: Tensor) -> Tensor: ...

    @abstractmethod
    def decided(self, logits: Tensor) -> Tensor:
        """The predicted classes, 0 or 1 in the shape and type of the logits."""

    @abstractmethod
    def sample(self, probs_BK: Tensor) -> Tensor:
        """Labels drawn from these probabilities, 0 or 1 (B, K), with torch's generator."""

    @abstractmethod
    def ignorance(self, num_classes: int) -> float:
        """The probability of a class without any information."""


def require_followed(task: Task, metric: str, method: str) -> None:
    """RecipeError where the validation of this task does not report the metric that a method monitors."""
    if metric not in ("score", *task.followed):
        raise RecipeError(unknown(f"{method}.metric", metric, ("score", *task.followed)))


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


@functools.cache
def tasks() -> Registry[type[Task]]:
    """The registered tasks, loaded from the entry point group `whet.tasks` on first use."""
    return filled(GROUP, Task)


@functools.cache
def _made(cls: type[Task]) -> Task:
    return cls()


def task_named(name: str) -> Task:
    """The task that a run folder names."""
    return _made(tasks().get(name))


def task_for(problem: str, labels: LabelKind) -> Task | None:
    """The task of this problem that can be trained on these labels."""
    for cls in tasks():
        if problem in cls.problems and _made(cls).reads(labels):
            return _made(cls)
    return None


def problems() -> dict[str, str]:
    """The accepted values of a recipe's `task`, each with its medium."""
    return {problem: medium for cls in tasks() for problem, medium in cls.problems.items()}


def allowed(problem: str, method: Any) -> bool:
    """Whether a method applies to a task of this problem."""
    return any(problem in cls.problems and _made(cls).allows(problem, method) for cls in tasks())


def refuse_foreign(methods: Sequence[Any], problem: str, task: Task) -> None:
    """Raise RecipeError for a method that does not apply to this task, or where none supplies the loss of a task without labels."""
    if not task.needs_labels and not any(problem in m.tasks and isinstance(m, WrapsLoss) for m in methods):
        raise RecipeError(f"{problem} needs a method that supplies the loss, such as those of the family pretrain")
    for method in methods:
        if not task.allows(problem, method):
            raise RecipeError(f"method '{method.name}' does not apply to samples with {task.title}")


def metric_named(name: str) -> Metric:
    """The display properties of a metric of any task; its computation depends on the task (`Task.metric`)."""
    known = metrics_of_all_tasks()
    if name not in known:
        raise RunError(unknown("metric", name, known))
    return known[name]


def metrics_of_all_tasks() -> dict[str, Metric]:
    """All metrics by name; for a name used by several tasks, that of the first."""
    found: dict[str, Metric] = {}
    for cls in tasks():
        found = {**cls.metrics, **found}
    return found
