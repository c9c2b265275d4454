"""Pre-training on samples without using labels. The network returns features, and a later training starts from its backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.core.evidence import Evidence, Metric
from whet.core.language import english, tr, translated
from whet.core.stages import Stage
from whet.core.task import MEDIA, LabelKind, Task

if TYPE_CHECKING:
    from torch import Tensor

    from whet.core.targets import ClassTargets

_ANY_KIND_OF_TARGET = "semantic-segmentation"  # what trains classes as well as pixels needs no kind of target
_STAGES = frozenset((Stage.MODEL, Stage.OPTIMIZER, Stage.SCHEDULE, Stage.GRADIENT, Stage.STEP))
_NEIGHBOURS, _TEMPERATURE, _AT_ONCE = 20, 0.07, 512


@dataclass(frozen=True)
class PretextEvidence(Evidence):
    """labels: class numbers (N,), as far as the data have any. loss_N: the loss of the pretext task. unit_ND: the features, each
    scaled to length 1, float16."""

    labels: np.ndarray
    loss_N: np.ndarray
    unit_ND: np.ndarray


def feature_deviation(evidence: PretextEvidence) -> float:
    """The standard deviation of features of length 1, mean over their D numbers, as a share of 1/sqrt(D), that of directions drawn
    at random. It is 0 where all samples have the same features. Source: Chen & He 2021, arXiv:2011.10566, section 4.1."""
    unit_ND = evidence.unit_ND.astype(np.float64)
    return float(unit_ND.std(axis=0).mean() * unit_ND.shape[1] ** 0.5)


def knn_accuracy(evidence: PretextEvidence) -> float:
    """The share of samples whose class is that of most of their 20 nearest neighbours among the others, weighted by exp(cosine
    similarity / 0.07). Source: Wu et al. 2018, arXiv:1805.01978."""
    unit_ND, label_N = evidence.unit_ND.astype(np.float32), evidence.labels
    classes, count = len(evidence.classes), min(_NEIGHBOURS, len(evidence) - 1)
    right = 0
    for start in range(0, len(evidence), _AT_ONCE):
        row_M = np.arange(start, min(start + _AT_ONCE, len(evidence)))
        alike_MN = unit_ND[row_M] @ unit_ND.T
        alike_MN[np.arange(len(row_M)), row_M] = -np.inf
        near_MC = np.argpartition(-alike_MN, count - 1, axis=1)[:, :count]
        votes_MK = np.zeros((len(row_M), classes))
        weight_MC = np.exp((np.take_along_axis(alike_MN, near_MC, axis=1) - 1) / _TEMPERATURE)
        np.add.at(votes_MK, (np.arange(len(row_M))[:, None], label_N[near_MC]), weight_MC)
        right += int((votes_MK.argmax(axis=1) == label_N[row_M]).sum())
    return right / len(evidence)


def _has_classes(evidence: PretextEvidence) -> bool:
    return len(evidence) > 1 and len(np.unique(evidence.labels)) > 1


class Pretraining(Task):
    """Learn features from samples alone: a method of the family `pretrain` supplies the loss. Held-out samples are measured by this
    loss and by the spread of their features; where the data have classes, also by how often the nearest neighbours agree."""

    name = "pretraining"
    title = "no labels in use"
    problems = {f"{medium}-pretraining": medium for medium in MEDIA}
    heads = ("features",)
    metrics = {
        "loss": Metric(
            english("pretext loss"), lambda found: found.loss_N, is_mean=True, smaller_is_better=True, is_share=False
        ),
        "feature_deviation": Metric(english("feature deviation"), feature_deviation),
        "knn_accuracy": Metric(english("nearest neighbours of the same class"), knn_accuracy),
    }
    headline = "loss"
    followed = ("loss", "feature_deviation", "knn_accuracy")
    needs_labels = False

    def reads(self, labels: LabelKind) -> bool:
        return True

    def allows(self, problem: str, method: Any) -> bool:
        if problem in method.tasks:
            return True
        classification = f"{self.problems[problem]}-classification"
        if classification not in method.tasks:
            return False
        return method.stage is Stage.SAMPLE or (method.stage in _STAGES and _ANY_KIND_OF_TARGET in method.tasks)

    def collate(self, labels_B: np.ndarray, num_classes: int, maps_B: Sequence[Any] | None) -> ClassTargets:
        import torch

        from whet.core.targets import ClassTargets

        targets: Any = ClassTargets
        return targets(torch.zeros(len(labels_B), num_classes), self)

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Zero: the method supplies the loss."""
        return 0.0 * outputs.flatten(1).sum(dim=1)

    def combine(self, outputs: Tensor, weights: Sequence[float] | Tensor | None = None) -> Tensor:
        if weights is None:
            return outputs.mean(dim=1)
        return (outputs * outputs.new_tensor(weights)[:, None]).sum(dim=1)

    def evidence(
        self, classes: tuple[str, ...], ids: np.ndarray, labels: np.ndarray, statistics_NS: np.ndarray
    ) -> PretextEvidence:
        """statistics_NS: the loss, then the features."""
        feature_ND = statistics_NS[:, 1:]
        length_N1 = np.linalg.norm(feature_ND, axis=1, keepdims=True)
        unit_ND = feature_ND / np.where(length_N1 > 0, length_N1, 1.0)
        return PretextEvidence(self, classes, ids, labels, statistics_NS[:, 0], unit_ND.astype(np.float16))

    def read_evidence(
        self, classes: tuple[str, ...], ids: np.ndarray, arrays: Mapping[str, np.ndarray]
    ) -> PretextEvidence:
        return PretextEvidence(self, classes, ids, arrays["labels"], arrays["loss_N"], arrays["unit_ND"])

    def table(self, evidence: Any) -> tuple[list[str], list[list[Any]]]:
        return ["loss"], [[f"{loss:.6g}"] for loss in evidence.loss_N]

    def different_labels(self, one: Any, other: Any) -> list[str]:
        return []

    def measure(self, evidence: Any) -> dict[str, Any]:
        names = self.followed if _has_classes(evidence) else self.followed[:2]
        return {"samples": len(evidence), **{name: self.metrics[name].value(evidence) for name in names}}

    def validation_loss(self, record: Mapping[str, float], num_classes: int) -> float | None:
        return record["loss"]

    def strata(self, evidence: Any) -> np.ndarray:
        return np.asarray(evidence.labels)

    def cell(self, label: Any, classes: tuple[str, ...]) -> str:
        return classes[int(label)]

    def tiles(self, result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        remarks = {
            "feature_deviation": tr("100 %: directions at random; 0 %: all samples have the same features"),
            "knn_accuracy": tr("20 neighbours; the classes are used for this figure only"),
        }
        shown = [name for name in self.followed[1:] if name in result]
        return [
            (translated(self.metrics[name].title), self.metrics[name].shown(result[name]), remarks[name])
            for name in shown
        ]
