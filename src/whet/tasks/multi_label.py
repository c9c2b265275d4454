"""Multi-label classification: each sample has any number of classes, each present or not.

Metrics as in scikit-learn: accuracy is that of whole label sets (every label correct and none extra); hamming_accuracy the share of
correct decisions, one per sample and class; F1 is computed per class; the mean average precision evaluates the ranking by
probability, without a threshold; log-loss is the mean binary cross-entropy of a decision; the calibration error is over all
decisions. A class is predicted where its probability is above one half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.core.evidence import Metric, Predictions
from whet.core.labels import labels_cell, labels_text, names_of
from whet.core.language import english, tr
from whet.core.task import MEDIA, ClassTask, LabelKind, Mistake, percent
from whet.evaluate.ranking import ranking
from whet.evaluate.rates import rates, wilson_interval
from whet.tasks.single_label import (
    LEAST,
    calibration_gap,
    log_weights,
    surest_first,
    tiles_of_classes,
)

if TYPE_CHECKING:
    from torch import Tensor

    from whet.core.targets import ClassTargets


def right_N(evidence: Predictions) -> np.ndarray:
    """Whether each sample has every label correct and none extra, bool (N,)."""
    return (evidence.predicted == evidence.labels).all(axis=1)


def hamming_accuracy_N(evidence: Predictions) -> np.ndarray:
    """The share of correct decisions of each sample, (N,)."""
    return (evidence.predicted == evidence.labels).mean(axis=1)


def label_rates(evidence: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class (K,); see `rates.rates`."""
    predicted_NK, true_NK = evidence.predicted, evidence.labels
    return rates((predicted_NK & true_NK).sum(axis=0), true_NK.sum(axis=0), predicted_NK.sum(axis=0))


def macro_f1(evidence: Predictions) -> float:
    """The mean F1 over the classes with at least one positive sample."""
    _, recall, f1 = label_rates(evidence)
    return float(f1[~np.isnan(recall)].mean())


def worst_recall(evidence: Predictions) -> float:
    """The lowest recall among the classes with at least one positive sample."""
    return float(np.nanmin(label_rates(evidence)[1]))


def micro_f1(evidence: Predictions) -> float:
    """F1 over all decisions; 1 where there are no positive labels and no positive predictions."""
    predicted_NK, true_NK = evidence.predicted, evidence.labels
    both = int(true_NK.sum() + predicted_NK.sum())
    return 2 * float((predicted_NK & true_NK).sum()) / both if both else 1.0


def average_precision_K(evidence: Predictions) -> np.ndarray:
    """The area under each class's precision-recall curve, as steps, (K,); NaN for a class without positive samples."""
    true_NK = evidence.labels
    found_K = np.where(true_NK.any(axis=0), 1.0, np.nan)  # 1 where all samples are positive
    for k in range(len(found_K)):
        if (ranked := ranking(evidence.probs_NK[:, k], true_NK[:, k])) is not None:
            found_K[k] = ranked.average_precision
    return found_K


def mean_average_precision(evidence: Predictions) -> float:
    """The mean over the classes with at least one positive sample; 0 where there are none."""
    found_K = average_precision_K(evidence)
    return float(np.nanmean(found_K)) if (~np.isnan(found_K)).any() else 0.0


def log_loss_N(evidence: Predictions) -> np.ndarray:
    """The mean binary cross-entropy of each sample's decisions, (N,)."""
    given_NK = np.where(evidence.labels, evidence.probs_NK, 1 - evidence.probs_NK)
    return -np.log(np.clip(given_NK, LEAST, 1)).mean(axis=1)


class MultiLabel(ClassTask):
    name = "multi-label"
    title = "any number of labels each"
    right = english("with every label right")
    decided_upon = english("decisions")
    problems = {f"{medium}-classification": medium for medium in MEDIA}
    exclusive = False
    decision = "each above 0.5"
    metrics = {
        "accuracy": Metric(english("accuracy"), right_N, is_mean=True, is_right=True),
        "macro_f1": Metric(english("macro-F1"), macro_f1),
        "worst_class": Metric(english("worst class"), worst_recall),
        "log_loss": Metric(english("log-loss"), log_loss_N, is_mean=True, smaller_is_better=True, is_share=False),
        "calibration_error": Metric(english("calibration error"), calibration_gap, smaller_is_better=True),
        "hamming_accuracy": Metric(english("Hamming accuracy"), hamming_accuracy_N, is_mean=True),
        "micro_f1": Metric(english("micro-F1"), micro_f1),
        "mean_average_precision": Metric(english("mean average precision"), mean_average_precision),
    }
    followed = (
        "accuracy", "macro_f1", "log_loss", "calibration_error", "hamming_accuracy", "micro_f1", "mean_average_precision",
    )  # fmt: skip
    sections = (
        "classes",
        "ranking",
        "thresholds",
        "calibration",
        "examples",
        "feature_map",
    )  # a confusion matrix is not defined for label sets

    def reads(self, labels: LabelKind) -> bool:
        return labels in ("classes", "masks")

    def allows(self, problem: str, method: Any) -> bool:
        return super().allows(problem, method) and not method.one_class

    def targets(self, labels: Any, num_classes: int) -> ClassTargets:
        """labels: bool (N, K), an array or a tensor."""
        import torch

        from whet.core.targets import ClassTargets

        return ClassTargets(
            (torch.tensor(labels) if isinstance(labels, np.ndarray) else labels).to(torch.float32), self
        )

    def loss(self, outputs_BK: Tensor, targets: ClassTargets) -> Tensor:
        """The sum of the binary cross-entropies."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(outputs_BK, targets.probs_BK, reduction="none").sum(dim=1)

    def combine(self, outputs_BMK: Tensor, weights: Sequence[float] | Tensor | None = None) -> Tensor:
        """The logit of the mean probability of each class. Uses the log-probabilities of presence and absence, to stay exact for
        confident predictions."""
        import torch
        from torch.nn.functional import logsigmoid

        log_M1 = log_weights(outputs_BMK, weights)
        yes_BK = torch.logsumexp(logsigmoid(outputs_BMK) + log_M1, dim=1)
        return yes_BK - torch.logsumexp(logsigmoid(-outputs_BMK) + log_M1, dim=1)

    def log_probs(self, logits: Tensor) -> Tensor:
        import torch

        return torch.stack([logits, torch.zeros_like(logits)], dim=-1).log_softmax(dim=-1)

    def log_others(self, logits: Tensor) -> Tensor:
        return self.log_probs(logits).flip(-1)

    def outcomes(self, targets: ClassTargets) -> Tensor:
        import torch

        return torch.stack([targets.probs_BK, 1 - targets.probs_BK], dim=-1)

    def probs(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid()

    def decided(self, logits: Tensor) -> Tensor:
        return (logits > 0).to(logits)

    def sample(self, probs_BK: Tensor) -> Tensor:
        import torch

        return torch.bernoulli(probs_BK)

    def ignorance(self, num_classes: int) -> float:
        return 0.5

    def probabilities(self, outputs_NK: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        return expit(outputs_NK.astype(np.float64, copy=False))

    def decide(self, probs_NK: np.ndarray) -> np.ndarray:
        """The classes with a probability above one half, bool (N, K)."""
        return probs_NK > 0.5

    def decisions(self, evidence: Predictions) -> tuple[np.ndarray, np.ndarray]:
        """Every decision of a sample and class as a binary classification, absent and present."""
        yes = evidence.probs_NK.ravel()
        return np.stack([1 - yes, yes], axis=1), evidence.labels.ravel().astype(np.int64)

    def members(self, evidence: Predictions) -> np.ndarray:
        return evidence.labels

    def margins(self, evidence: Predictions) -> np.ndarray:
        return 2 * evidence.probs_NK - 1

    def calls(self, evidence: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every class of every sample."""
        N, K = evidence.probs_NK.shape
        return np.tile(np.arange(K), N), evidence.probs_NK.ravel(), evidence.labels.ravel()

    def validation_loss(self, record: Mapping[str, float], num_classes: int) -> float | None:
        """The loss is the sum over a sample's labels, the log-loss their mean."""
        return num_classes * record["log_loss"]

    def strata(self, evidence: Predictions) -> np.ndarray:
        """Samples with the same labels share a stratum."""
        return np.unique(evidence.labels, axis=0, return_inverse=True)[1].reshape(-1)

    def with_classes(self, evidence: Predictions, classes: tuple[str, ...]) -> Predictions:
        if set(evidence.classes) != set(classes):
            return super().with_classes(evidence, classes)
        column_K = [evidence.classes.index(name) for name in classes]
        return Predictions(self, classes, evidence.ids, evidence.labels[:, column_K], evidence.probs_NK[:, column_K])

    def found_by_class(self, evidence: Predictions) -> dict[str, np.ndarray]:
        seen = np.flatnonzero(evidence.labels.any(axis=0))
        return {evidence.classes[k]: evidence.predicted[evidence.labels[:, k], k] for k in seen}

    def prediction(self, probs_K: np.ndarray, classes: tuple[str, ...]) -> tuple[str | list[str], float]:
        """(the names of the predicted classes, the probability of this label set for independent classes)."""
        return names_of(self.decide(probs_K), classes), float(np.maximum(probs_K, 1 - probs_K).prod())

    def cell(self, target: Any, classes: tuple[str, ...]) -> str:
        """The names of the labels, in the format of `core.labels.labels_cell`."""
        return labels_cell(names_of(target, classes))

    def text(self, target: Any, classes: tuple[str, ...]) -> str:
        return labels_text(names_of(target, classes))

    def tiles(self, result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        labels = result["labels_a_sample"]
        return [
            (tr("macro-F1"), percent(result["macro_f1"]), tr("equal weight per class")),
            (tr("micro-F1"), percent(result["micro_f1"]), tr("equal weight per label")),
            (tr("Hamming accuracy"), percent(result["hamming_accuracy"]), tr("of all decisions correct")),
            (
                tr("mean average precision"),
                percent(result["mean_average_precision"]),
                tr("{true:.2f} labels per sample, {said:.2f} predicted", true=labels["true"], said=labels["predicted"]),
            ),
            *tiles_of_classes(result),
        ]

    def mistakes(self, evidence: Predictions) -> list[Mistake]:
        """The confidence of a mistake is that of the most confident wrong decision."""
        found = []
        for row in np.flatnonzero(~right_N(evidence)).tolist():
            faults = _faults(evidence, row)
            found.append(
                Mistake(row, faults[0]["confidence"], evidence.classes.index(faults[0]["name"]), tuple(faults))
            )
        return surest_first(found, evidence)

    def measure(self, evidence: Predictions) -> dict[str, Any]:
        """The metrics of `SingleLabel.measure` for label sets, as defined in this module. Means over classes exclude those without
        positive samples."""
        true_NK, predicted_NK, classes = evidence.labels, evidence.predicted, evidence.classes
        N, K = true_NK.shape
        precision, recall, f1 = label_rates(evidence)
        right, true, predicted = (predicted_NK & true_NK).sum(axis=0), true_NK.sum(axis=0), predicted_NK.sum(axis=0)
        average_precision = average_precision_K(evidence)
        seen, whole = true > 0, int(right_N(evidence).sum())
        worst = int(np.nanargmin(recall)) if seen.any() else 0
        return {
            "samples": N,
            "accuracy": whole / N,
            "accuracy_interval": list(wilson_interval(whole, N)),
            "hamming_accuracy": float(hamming_accuracy_N(evidence).mean()),
            "balanced_accuracy": _mean(recall),
            "macro_f1": _mean(f1[seen]),
            "micro_f1": micro_f1(evidence),
            "mean_average_precision": mean_average_precision(evidence),
            "worst_class": {"name": classes[worst], "recall": float(np.nan_to_num(recall[worst]))},
            "log_loss": float(log_loss_N(evidence).mean()),
            "calibration_error": calibration_gap(evidence),
            "labels_a_sample": {"true": float(true_NK.sum() / N), "predicted": float(predicted_NK.sum() / N)},
            "per_class": [
                {
                    "name": classes[k],
                    "samples": int(true[k]),
                    "precision": float(precision[k]),
                    "recall": float(recall[k]) if seen[k] else None,
                    "recall_interval": list(wilson_interval(right[k], true[k])),
                    "f1": float(f1[k]),
                    "average_precision": float(average_precision[k]) if seen[k] else None,
                    "missed": int(true[k] - right[k]),
                    "wrongly_predicted": int(predicted[k] - right[k]),
                }
                for k in range(K)
            ],
        }


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0


def _faults(evidence: Predictions, row: int) -> list[dict[str, Any]]:
    """The labels that were missed or wrongly predicted, the most confident first, with the confidence."""
    true_K, prob_K = evidence.labels[row], evidence.probs_NK[row]
    found = [
        {
            "name": evidence.classes[k],
            "missed": bool(true_K[k]),
            "confidence": float(1 - prob_K[k] if true_K[k] else prob_K[k]),
        }
        for k in np.flatnonzero(true_K != evidence.predicted[row])
    ]
    return sorted(found, key=lambda fault: -fault["confidence"])
