"""What instance segmentation predicted on each image, and the metrics of any set of images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, cast

import numpy as np

from whet.core.evidence import Evidence
from whet.tasks.instance_matching import COLUMNS, SIZES, THRESHOLDS, unpacked

WORKING_SCORE = 0.3
"""Predicted objects with at least this score are written, counted, and judged by precision, recall and panoptic quality."""
RECALLS = np.linspace(0, 1, 101)
AT_50, AT_75 = 0, 5  # places in THRESHOLDS


@dataclass(frozen=True)
class InstanceEvidence(Evidence):
    """The predicted objects of each image, matched with the labelled ones (`instance_matching.matched`).

    objects_NKA: int64, labelled objects by image, class and each of SIZES. count_N: int64, predicted objects of each image. Of
    these, image by image: score_D: float64; class_D: int64; iou_D: float64; matched_DA, ignored_DA: int64, for each of SIZES bits
    of THRESHOLDS.
    """

    objects_NKA: np.ndarray
    count_N: np.ndarray
    score_D: np.ndarray
    class_D: np.ndarray
    iou_D: np.ndarray
    matched_DA: np.ndarray
    ignored_DA: np.ndarray

    @classmethod
    def of(cls, task: Any, classes: tuple[str, ...], ids: np.ndarray, statistics_NS: np.ndarray) -> InstanceEvidence:
        """From the rows of `matched`, filled up with NaN."""
        head, A = len(classes) * len(SIZES), len(SIZES)
        N, S = statistics_NS.shape
        rows_NDC = statistics_NS[:, head:].reshape(N, (S - head) // COLUMNS, COLUMNS)
        there_ND = ~np.isnan(rows_NDC[..., 0])
        rows_DC = rows_NDC[there_ND]
        score_D, class_D, iou_D = rows_DC[:, :3].T.copy()
        return cls(
            task, classes, ids, statistics_NS[:, :head].astype(np.int64).reshape(N, -1, A), there_ND.sum(axis=1), score_D,
            class_D.astype(np.int64), iou_D, *np.split(rows_DC[:, 3:].astype(np.int64), 2, axis=1),
        )  # fmt: skip

    def rows(self, chosen_M: np.ndarray) -> Self:
        rows_M = np.arange(len(self))[chosen_M]
        first_N, count_M = np.cumsum(self.count_N) - self.count_N, self.count_N[rows_M]
        within_D = np.arange(count_M.sum()) - np.repeat(np.cumsum(count_M) - count_M, count_M)
        chosen_D = np.repeat(first_N[rows_M], count_M) + within_D
        flat: dict[str, Any] = {name: array[chosen_D] for name, array in self.arrays.items() if "_D" in name}
        return replace(self, ids=self.ids[rows_M], objects_NKA=self.objects_NKA[rows_M], count_N=count_M, **flat)

    @property
    def image_D(self) -> np.ndarray:
        """The row of the image of each predicted object."""
        return np.repeat(np.arange(len(self)), self.count_N)

    @property
    def objects_NK(self) -> np.ndarray:
        """Labelled objects by image and class."""
        return self.objects_NKA[..., 0]

    @property
    def objects_K(self) -> np.ndarray:
        return cast(np.ndarray, self.objects_NK.sum(axis=0))

    @cached_property
    def precision_TKR(self) -> np.ndarray:
        """`precision` of objects of all sizes."""
        return self.precision(0)

    def precision(self, size: int) -> np.ndarray:
        """Of one of SIZES, (T, K, R): the precision at each recall of RECALLS, the highest at this or a greater recall; 0 beyond
        the recall reached; NaN for a class without labelled objects of this size."""
        objects_K = self.objects_NKA[..., size].sum(axis=0)
        found = np.full((len(THRESHOLDS), len(self.classes), len(RECALLS)), np.nan)
        for k in np.flatnonzero(objects_K):
            (own,) = np.nonzero(self.class_D == k)
            own = own[np.argsort(-self.score_D[own], kind="stable")]
            hit_DT, counts_DT = unpacked(self.matched_DA[own, size]), ~unpacked(self.ignored_DA[own, size])
            right_TD = (hit_DT & counts_DT).cumsum(axis=0, dtype=float).T
            wrong_TD = (~hit_DT & counts_DT).cumsum(axis=0, dtype=float).T
            precision_TD = right_TD / (right_TD + wrong_TD + np.spacing(1))
            precision_TD = np.maximum.accumulate(precision_TD[:, ::-1], axis=1)[:, ::-1]
            for t, recall_D in enumerate(right_TD / objects_K[k]):
                place_R = np.searchsorted(recall_D, RECALLS, side="left")
                found[t, k] = np.append(precision_TD[t], 0.0)[place_R]
        return found

    def above(self, score: float) -> Self:
        """Only the predicted objects with at least this score."""
        keep_D = self.score_D >= score
        count_N = np.bincount(self.image_D[keep_D], minlength=len(self))
        flat: dict[str, Any] = {name: array[keep_D] for name, array in self.arrays.items() if "_D" in name}
        return replace(self, count_N=count_N, **flat)

    @property
    def outcomes_NK3(self) -> np.ndarray:
        """The objects of each image and class that are found at the lowest IoU, the predicted ones that match none, and the objects
        that are not found: true positives, false positives and false negatives, int64."""
        right_D = unpacked(self.matched_DA[:, 0])[:, AT_50]
        wrong_D = ~right_D & ~unpacked(self.ignored_DA[:, 0])[:, AT_50]
        shape = self.objects_NK.shape
        place_D = self.image_D * shape[1] + self.class_D
        right_NK, wrong_NK = (
            np.bincount(place_D[one], minlength=shape[0] * shape[1]).reshape(shape) for one in (right_D, wrong_D)
        )
        return np.stack([right_NK, wrong_NK, self.objects_NK - right_NK], axis=2)


def average_precision_K(evidence: InstanceEvidence, places_T: slice = slice(None)) -> np.ndarray:
    """COCO's average precision of each class: the mean of the precision over recalls and IoU thresholds; NaN without objects."""
    return cast(np.ndarray, evidence.precision_TKR[places_T].mean(axis=(0, 2)))


def mean(values_K: np.ndarray) -> float:
    """The mean over the classes where the value is defined; NaN where there are none."""
    defined = values_K[~np.isnan(values_K)]
    return float(defined.mean()) if len(defined) else float("nan")


def mask_ap(evidence: InstanceEvidence) -> float:
    return mean(average_precision_K(evidence))


def ap50(evidence: InstanceEvidence) -> float:
    return mean(average_precision_K(evidence, slice(AT_50, AT_50 + 1)))


def ap75(evidence: InstanceEvidence) -> float:
    return mean(average_precision_K(evidence, slice(AT_75, AT_75 + 1)))


def by_size(evidence: InstanceEvidence) -> list[dict[str, Any]]:
    """For each size below "all": its name, its labelled objects, their average precision (mean over the classes that have any), and
    the share of them that is found at IoU 0.5 and the working score; None without such objects."""
    shown, found = evidence.above(WORKING_SCORE), []
    for size, name in enumerate(SIZES[1:], start=1):
        objects = int(evidence.objects_NKA[..., size].sum())
        hits = int(unpacked(shown.matched_DA[:, size])[:, AT_50].sum())
        ap = mean(evidence.precision(size).mean(axis=(0, 2))) if objects else None
        found.append({"name": name, "objects": objects, "ap": ap, "recall": hits / objects if objects else None})
    return found


def panoptic_quality_K(evidence: InstanceEvidence) -> np.ndarray:
    """Of each class at the working score: the sum of the IoU of the pairs with an IoU above 0.5, divided by their number plus half
    of the objects on either side without a partner; NaN for a class that occurs on neither side.

    Source: Kirillov, He, Girshick, Rother, Dollár 2019, arXiv:1801.00868. Here of objects only, without the background.
    """
    shown = evidence.above(WORKING_SCORE)
    pair_D = shown.iou_D > 0.5
    K = len(shown.classes)
    iou_K = np.bincount(shown.class_D[pair_D], shown.iou_D[pair_D], minlength=K)
    counted_D = pair_D | ~unpacked(shown.ignored_DA[:, 0])[:, AT_50]
    all_K = (np.bincount(shown.class_D[counted_D], minlength=K) + shown.objects_K) / 2
    return np.divide(iou_K, all_K, out=np.full(K, np.nan), where=all_K > 0)


def panoptic_quality(evidence: InstanceEvidence) -> float:
    return mean(panoptic_quality_K(evidence))


def precision_and_recall(outcomes_3: np.ndarray) -> tuple[float, float]:
    """From true positives, false positives and false negatives (..., 3); NaN for 0 of 0."""
    right, wrong, missed = (float(value) for value in outcomes_3)
    precision = right / (right + wrong) if right + wrong else float("nan")
    return precision, right / (right + missed) if right + missed else float("nan")


def f1(evidence: InstanceEvidence) -> float:
    """2 TP / (2 TP + FP + FN) over the objects of all classes, at IoU 0.5 and the working score."""
    right, wrong, missed = evidence.above(WORKING_SCORE).outcomes_NK3.sum(axis=(0, 1))
    return float(2 * right / (2 * right + wrong + missed)) if right + wrong + missed else float("nan")


def count_error_N(evidence: InstanceEvidence) -> np.ndarray:
    """By how much the number of predicted objects differs from that of the labelled ones in each image, summed over classes.
    Predicted objects that lie in a crowd are not counted."""
    outcomes_NK3 = evidence.above(WORKING_SCORE).outcomes_NK3
    predicted_NK = outcomes_NK3[..., 0] + outcomes_NK3[..., 1]
    return cast(np.ndarray, np.abs(predicted_NK - evidence.objects_NK).sum(axis=1).astype(float))
