"""Classification with exactly one class per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from whet.core.evidence import Metric, Predictions
from whet.core.language import english, tr
from whet.core.task import MEDIA, ClassTask, LabelKind, Mistake, percent
from whet.evaluate.calibration import calibration_error
from whet.evaluate.rates import rates, wilson_interval

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whet.core.targets import ClassTargets

LEAST = 1e-12  # lower bound of a probability before taking the logarithm


def softmax(logits_NK: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def confusion(predicted_N: np.ndarray, label_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts (K, K): rows are target classes, columns predicted classes."""
    return np.bincount(label_N * num_classes + predicted_N, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_rates(table_KK: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class (K,) from a confusion matrix; the recall of a class without samples is NaN."""
    return rates(np.diag(table_KK), table_KK.sum(axis=1), table_KK.sum(axis=0))


def right_N(evidence: Predictions) -> np.ndarray:
    """Whether each sample's class was predicted, bool (N,)."""
    return evidence.predicted == evidence.labels


def macro_f1(evidence: Predictions) -> float:
    """The mean F1 over the classes with at least one sample."""
    _, recall, f1 = _rates(evidence)
    return float(f1[~np.isnan(recall)].mean())


def worst_recall(evidence: Predictions) -> float:
    """The lowest recall among the classes with at least one sample."""
    return float(np.nanmin(_rates(evidence)[1]))


def log_loss_N(evidence: Predictions) -> np.ndarray:
    """The negative log-probability of each sample's target class, (N,)."""
    return -np.log(np.clip(evidence.probs_NK[np.arange(len(evidence)), evidence.labels], LEAST, 1))


def calibration_gap(evidence: Predictions) -> float:
    """The mean gap between confidence and accuracy, over the decisions of the evidence's task."""
    return calibration_error(*cast(ClassTask, evidence.task).decisions(evidence))


def _rates(evidence: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return class_rates(confusion(evidence.predicted, evidence.labels, len(evidence.classes)))


def tiles_of_classes(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    worst = result["worst_class"]
    return [
        (tr("worst class"), percent(worst["recall"]), tr("recall of {name}", name=worst["name"])),
        (tr("calibration error"), percent(result["calibration_error"]), tr("confidence against accuracy")),
    ]


def surest_first(found: list[Mistake], evidence: Predictions) -> list[Mistake]:
    return sorted(found, key=lambda mistake: (-mistake.confidence, str(evidence.ids[mistake.row])))


class SingleLabel(ClassTask):
    name = "single-label"
    title = "exactly one class each"
    problems = {f"{medium}-classification": medium for medium in MEDIA}
    exclusive = True
    decision = "largest"
    metrics = {
        "accuracy": Metric(english("accuracy"), right_N, is_mean=True, is_right=True),
        "macro_f1": Metric(english("macro-F1"), macro_f1),
        "worst_class": Metric(english("worst class"), worst_recall),
        "log_loss": Metric(english("log-loss"), log_loss_N, is_mean=True, smaller_is_better=True, is_share=False),
        "calibration_error": Metric(english("calibration error"), calibration_gap, smaller_is_better=True),
    }
    followed = ("accuracy", "macro_f1", "log_loss", "calibration_error")
    sections = ("classes", "confusion", "ranking", "thresholds", "calibration", "examples", "feature_map")

    def reads(self, labels: LabelKind) -> bool:
        return labels == "class"

    def targets(self, labels: Any, num_classes: int) -> ClassTargets:
        """labels: int64 (N,) of 0 … K - 1, an array or a tensor."""
        import torch

        from whet.core.targets import ClassTargets

        label_N = torch.tensor(labels) if isinstance(labels, np.ndarray) else labels
        if label_N.numel() and (int(label_N.min()) < 0 or int(label_N.max()) >= num_classes):
            raise ValueError(
                f"labels must lie in 0 … {num_classes - 1}, got {int(label_N.min())} … {int(label_N.max())}"
            )
        return ClassTargets(torch.nn.functional.one_hot(label_N, num_classes).to(torch.float32), self)

    def loss(self, outputs_BK: Tensor, targets: ClassTargets) -> Tensor:
        """Soft cross-entropy."""
        return -(targets.probs_BK * outputs_BK.log_softmax(dim=1)).sum(dim=1)

    def combine(self, outputs_BMK: Tensor, weights: Sequence[float] | Tensor | None = None) -> Tensor:
        """The logarithm of the mean of the probabilities."""
        import torch

        log_BMK = outputs_BMK.log_softmax(dim=2)
        return torch.logsumexp(log_BMK + log_weights(log_BMK, weights), dim=1)

    def log_probs(self, logits: Tensor) -> Tensor:
        return logits.log_softmax(dim=-1)

    def log_others(self, logits: Tensor) -> Tensor:
        """For the most likely class, log(1 - p) is computed as the log-probability of all others; any other probability is at most
        one half, so 1 - p is exact enough."""
        import torch

        best = logits.argmax(dim=-1, keepdim=True)
        others = logits.scatter(-1, best, -torch.inf).logsumexp(dim=-1, keepdim=True)
        best_not = others - logits.logsumexp(dim=-1, keepdim=True)
        return torch.log1p(-logits.softmax(dim=-1).clamp(max=0.5)).scatter(-1, best, best_not)

    def outcomes(self, targets: ClassTargets) -> Tensor:
        return targets.probs_BK

    def probs(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(dim=-1)

    def decided(self, logits: Tensor) -> Tensor:
        import torch

        return torch.nn.functional.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(logits)

    def sample(self, probs_BK: Tensor) -> Tensor:
        import torch

        label_B = torch.multinomial(probs_BK, 1).squeeze(1)
        return torch.zeros_like(probs_BK, dtype=torch.int64).scatter_(1, label_B[:, None], 1)

    def ignorance(self, num_classes: int) -> float:
        return 1.0 / num_classes

    def probabilities(self, outputs_NK: np.ndarray) -> np.ndarray:
        return softmax(outputs_NK.astype(np.float64, copy=False))

    def decide(self, probs_NK: np.ndarray) -> np.ndarray:
        """The most likely class, int64 (N,)."""
        return probs_NK.argmax(axis=1)

    def decisions(self, evidence: Predictions) -> tuple[np.ndarray, np.ndarray]:
        """One decision per sample."""
        return evidence.probs_NK, evidence.labels

    def members(self, evidence: Predictions) -> np.ndarray:
        return evidence.labels[:, None] == np.arange(len(evidence.classes))

    def margins(self, evidence: Predictions) -> np.ndarray:
        """Against the most likely other class."""
        K = len(evidence.classes)
        if K < 2:
            return evidence.probs_NK
        second_N, first_N = np.partition(evidence.probs_NK, K - 2, axis=1)[:, -2:].T
        is_first_NK = evidence.predicted[:, None] == np.arange(K)
        return evidence.probs_NK - np.where(is_first_NK, second_N[:, None], first_N[:, None])

    def calls(self, evidence: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The predicted class of each sample."""
        return evidence.predicted, evidence.probs_NK.max(axis=1), right_N(evidence)

    def validation_loss(self, record: Mapping[str, float], num_classes: int) -> float | None:
        return record["log_loss"]

    def strata(self, evidence: Predictions) -> np.ndarray:
        return evidence.labels

    def with_classes(self, evidence: Predictions, classes: tuple[str, ...]) -> Predictions:
        """Added classes have probability 0."""
        if evidence.classes == classes:
            return evidence
        place_K = np.array([classes.index(name) for name in evidence.classes], dtype=np.int64)
        probs_NK = np.zeros((len(evidence), len(classes)))
        probs_NK[:, place_K] = evidence.probs_NK
        return Predictions(self, classes, evidence.ids, place_K[evidence.labels], probs_NK)

    def found_by_class(self, evidence: Predictions) -> dict[str, np.ndarray]:
        found_N = right_N(evidence)
        return {evidence.classes[k]: found_N[evidence.labels == k] for k in np.unique(evidence.labels).tolist()}

    def prediction(self, probs_K: np.ndarray, classes: tuple[str, ...]) -> tuple[str | list[str], float]:
        """(the most likely class, its probability)."""
        k = int(probs_K.argmax())
        return classes[k], float(probs_K[k])

    def cell(self, target: Any, classes: tuple[str, ...]) -> str:
        """The name of the class."""
        return classes[int(target)]

    def tiles(self, result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        return [
            (tr("macro-F1"), percent(result["macro_f1"]), tr("equal weight per class")),
            *tiles_of_classes(result),
        ]

    def mistakes(self, evidence: Predictions) -> list[Mistake]:
        found = [
            Mistake(int(row), float(evidence.probs_NK[row].max()), int(evidence.predicted[row]))
            for row in np.flatnonzero(~right_N(evidence))
        ]
        return surest_first(found, evidence)

    def measure(self, evidence: Predictions) -> dict[str, Any]:
        """Accuracy (with Wilson interval), balanced accuracy, macro-F1, worst class, log-loss, calibration error, and metrics per
        class. Means over classes exclude those without samples."""
        N, K, classes = len(evidence), len(evidence.classes), evidence.classes
        table = confusion(evidence.predicted, evidence.labels, K)
        precision, recall, f1 = class_rates(table)
        right, true = np.diag(table), table.sum(axis=1)
        seen = true > 0
        worst = int(np.nanargmin(recall))
        low, high = wilson_interval(right.sum(), N)
        return {
            "samples": N,
            "accuracy": float(right.sum() / N),
            "accuracy_interval": [low, high],
            "balanced_accuracy": float(np.nanmean(recall)),
            "macro_f1": float(f1[seen].mean()),
            "worst_class": {"name": classes[worst], "recall": float(recall[worst])},
            "log_loss": float(log_loss_N(evidence).mean()),
            "calibration_error": calibration_gap(evidence),
            "per_class": [
                {
                    "name": classes[k],
                    "samples": int(true[k]),
                    "precision": float(precision[k]),
                    "recall": float(recall[k]) if seen[k] else None,
                    "recall_interval": list(wilson_interval(right[k], true[k])),
                    "f1": float(f1[k]),
                }
                for k in range(K)
            ],
            "confusion": table.tolist(),
        }


def log_weights(like_BMK: Tensor, weights: Sequence[float] | torch.Tensor | None) -> Tensor:
    """The logarithms of weights (M,), by default of 1/M, as (M, 1)."""
    M = like_BMK.shape[1]
    w_M = like_BMK.new_full((M,), 1 / M) if weights is None else like_BMK.new_tensor(weights) if isinstance(
        weights, Sequence
    ) else weights.to(like_BMK)  # fmt: skip
    return w_M.clamp(min=1e-30).log()[:, None]
