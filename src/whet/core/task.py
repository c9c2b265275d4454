"""A task: the one object that knows what is asked of a sample, from its label to what people see of a prediction."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from whet.core.errors import RunError, unknown
from whet.core.evidence import Evidence, Metric
from whet.core.plugins import Registry, filled

if TYPE_CHECKING:
    from torch import Tensor

    from whet.core.targets import Targets

GROUP = "whet.tasks"
MEDIA = {"image": "image", "text": "text", "audio": "audio"}
"""What a sample is, by the first word of most problems' names."""


@dataclass(frozen=True)
class Mistake:
    """A sample that was predicted wrongly. row: of the evidence. confidence: how sure that was. class_number: the class to explain.
    faults: where a sample may have several labels, those that were missed or predicted wrongly."""

    row: int
    confidence: float
    class_number: int
    faults: tuple[dict[str, Any], ...] = ()


class Task(ABC):
    """What is asked of a sample. It has no state; all instances are alike.

    name: as run folders say it. problems: what recipes call it, with the medium of its samples. title: what samples have, "exactly
    one class each", for messages. right: what a right prediction is. metrics: what runs can be compared by. headline: the metric
    that is reported first. followed: what every validation tells of `measure`, the headline first. sections: those of its own in a
    run's report.
    """

    kind: ClassVar[str] = "task"
    name: ClassVar[str]
    title: ClassVar[str]
    right: ClassVar[str] = "right"
    problems: ClassVar[Mapping[str, str]]
    metrics: ClassVar[Mapping[str, Metric]]
    headline: ClassVar[str] = "accuracy"
    followed: ClassVar[tuple[str, ...]]
    sections: ClassVar[tuple[str, ...]] = ()

    # What is read, and what the network is trained towards -------------------------------------------------------------
    @abstractmethod
    def reads(self, label_sets: bool) -> bool:
        """Whether this task can be learned from such labels: sets of any number of classes, or one class a sample."""

    @abstractmethod
    def targets(self, truth: Any, num_classes: int) -> Targets:
        """The labels of samples as they are compared with (`Evidence.truth`), on the CPU -> what a loss is given."""

    def outputs(self, num_classes: int) -> int:
        """How many numbers the head gives."""
        return num_classes

    def allows(self, problem: str, method: Any) -> bool:
        """Whether a method (class or object) means something here."""
        return problem in method.tasks

    # What the network gives --------------------------------------------------------------------------------------------
    @abstractmethod
    def loss(self, outputs_BK: Tensor, targets: Targets) -> Tensor:
        """The loss that LOSS methods wrap: one value a sample, (B,)."""

    @abstractmethod
    def combine(self, outputs_BMK: Tensor, weights: Sequence[float] | Tensor | None = None) -> Tensor:
        """One output of several, (B, M, K) -> (B, K): of networks, or of views of a sample. weights: (M,) with sum 1; equal where
        none are given."""

    def undo(self, outputs_BK: Tensor, flipped: tuple[int, ...]) -> Tensor:
        """The outputs for a sample whose axes `flipped` were mirrored, as they would be for the sample itself."""
        return outputs_BK

    # What is measured --------------------------------------------------------------------------------------------------
    @abstractmethod
    def probabilities(self, outputs_NK: np.ndarray) -> np.ndarray:
        """float64 (N, number of classes)."""

    @abstractmethod
    def decide(self, probs_NK: np.ndarray) -> np.ndarray:
        """The predictions, in the form of `Evidence.truth`."""

    @abstractmethod
    def measure(self, evidence: Evidence) -> dict[str, Any]:
        """Everything that metrics.json says of a part of the samples."""

    def score(self, measured: Mapping[str, Any]) -> float:
        """Of what `measure` found: the number to raise, by which the best validation is known."""
        value = float(measured[self.headline])
        return -value if self.metrics[self.headline].smaller_is_better else value

    @abstractmethod
    def strata(self, truth: np.ndarray) -> np.ndarray:
        """Samples with equal numbers (N,) are alike where samples are dealt out into groups."""

    def with_classes(self, evidence: Evidence, classes: tuple[str, ...]) -> Evidence:
        """The same evidence with its classes in this order, and those added that it does not know. RunError where that cannot
        be."""
        if evidence.classes == classes:
            return evidence
        raise RunError(
            f"evidence with the classes {', '.join(evidence.classes)} cannot be read with {', '.join(classes)}"
        )

    def found_by_class(self, evidence: Evidence) -> dict[str, np.ndarray]:
        """By each class that some sample has: whether it was found, bool, one value a sample that has it."""
        return {}

    def validation_loss(self, record: Mapping[str, float], num_classes: int) -> float | None:
        """The mean loss of the validation samples, from what is `followed`; None where that does not tell it."""
        return None

    def metric(self, name: str) -> Metric:
        """RunError where this task has no such metric."""
        if name not in self.metrics:
            raise RunError(f"{unknown('metric', name, self.metrics)} (the samples have {self.title})")
        return self.metrics[name]

    # What people see ---------------------------------------------------------------------------------------------------
    @abstractmethod
    def prediction(self, probs_K: np.ndarray, classes: tuple[str, ...]) -> tuple[str | list[str], float]:
        """(what is predicted, the probability of that)."""

    @abstractmethod
    def cell(self, target: Any, classes: tuple[str, ...]) -> str:
        """One row of `Evidence.truth` as a table holds it."""

    def text(self, target: Any, classes: tuple[str, ...]) -> str:
        """The same as people read it."""
        return self.cell(target, classes)

    def figure(self, result: Mapping[str, Any]) -> tuple[str, str]:
        """What `measure` found that is reported first, and what it is: ("93.2 %", "right")."""
        metric = self.metrics[self.headline]
        return metric.shown(result[self.headline]), self.right if metric.is_right else metric.title

    def summary(self, result: Mapping[str, Any], samples: str) -> tuple[str, str]:
        """The same with its interval, on one line. samples: "431 test samples"."""
        figure, what = self.figure(result)
        metric, interval = self.metrics[self.headline], result.get(f"{self.headline}_interval")
        band = "" if interval is None else f" (95 % interval {metric.text(interval[0])} to {metric.text(interval[1])})"
        return figure, f"{what} on {samples}{band}"

    def tiles(self, result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Further figures of `measure` for a report: (title, figure, remark)."""
        return []

    def mistakes(self, evidence: Evidence) -> list[Mistake]:
        """The samples that were predicted wrongly, the surest first."""
        return []

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ClassTask(Task):
    """A task whose outputs are logits of classes, and whose targets are probabilities of them (`Targets`). What the distribution
    behind them is, losses ask this object. exclusive: whether exactly one class is true of a sample; else each class is true or
    not by itself."""

    exclusive: ClassVar[bool]
    decided_upon: ClassVar[str] = "samples"  # what `decisions` gives a row for

    @abstractmethod
    def decisions(self, evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
        """What confidences are judged by: (probabilities (M, C) of each decision, the true one's number (M,))."""

    @abstractmethod
    def log_probs(self, logits: Tensor) -> Tensor:
        """The logarithm of the probability of every outcome: of the classes, in the shape of the logits (…, K); or of each class
        being there or not, (…, K, 2)."""

    @abstractmethod
    def log_others(self, logits: Tensor) -> Tensor:
        """log(1 - p) of every outcome, in the shape of `log_probs`, finite however certain the prediction."""

    @abstractmethod
    def outcomes(self, targets: Targets) -> Tensor:
        """The probabilities that the targets give to the outcomes of `log_probs`."""

    @abstractmethod
    def probs(self, logits: Tensor) -> Tensor:
        """The probability of each class, in the shape of the logits."""

    @abstractmethod
    def decided(self, logits: Tensor) -> Tensor:
        """The classes that are predicted, 0 or 1 in the shape and type of the logits."""

    @abstractmethod
    def sample(self, probs_BK: Tensor) -> Tensor:
        """Labels drawn from these probabilities, 0 or 1 (B, K), by torch's own generator."""

    @abstractmethod
    def ignorance(self, num_classes: int) -> float:
        """The probability of a class of which nothing is known."""


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


@functools.cache
def tasks() -> Registry[type[Task]]:
    """The registry of this process, filled from the entry point group `whet.tasks` on first use."""
    return filled(GROUP, Task)


@functools.cache
def _made(cls: type[Task]) -> Task:
    return cls()


def task_named(name: str) -> Task:
    """The task that a run folder names."""
    return _made(tasks().get(name))


def task_for(problem: str, *, label_sets: bool) -> Task | None:
    """The task of this problem that can be learned from such labels."""
    for cls in tasks():
        if problem in cls.problems and _made(cls).reads(label_sets):
            return _made(cls)
    return None


def problems() -> dict[str, str]:
    """What a recipe's `task` may be, with the medium of its samples."""
    return {problem: medium for cls in tasks() for problem, medium in cls.problems.items()}


def allowed(problem: str, method: Any) -> bool:
    """Whether a method means something for a task of this problem."""
    return any(problem in cls.problems and _made(cls).allows(problem, method) for cls in tasks())


def metric_named(name: str) -> Metric:
    """How a metric of any task is called and shown; what it measures depends on the task (`Task.metric`)."""
    known = metrics_of_all_tasks()
    if name not in known:
        raise RunError(unknown("metric", name, known))
    return known[name]


def metrics_of_all_tasks() -> dict[str, Metric]:
    """By their names, those of the first task that has one."""
    found: dict[str, Metric] = {}
    for cls in tasks():
        found = {**cls.metrics, **found}
    return found
