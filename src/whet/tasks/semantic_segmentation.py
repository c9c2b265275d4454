"""Semantic segmentation: a class for every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from scipy import ndimage

from whet.core.errors import DataError
from whet.core.evidence import Evidence, Metric
from whet.core.labels import labels_cell, labels_text, names_of
from whet.core.language import english, tr
from whet.core.mask_task import MaskTask
from whet.core.masks import IGNORE, Detection, Layer, Masks, PredictedMasks
from whet.core.task import LabelKind, percent
from whet.evaluate.rates import jackknife_interval
from whet.render.overlay import overlay

if TYPE_CHECKING:
    from torch import Tensor

    from whet.core.mask_targets import MaskTargets
    from whet.core.targets import Targets

BOUNDARY_SHARE = 0.0075  # of the image's diagonal: the distance within which boundaries match
BOUNDARY_SIDE = (
    1600  # pixels: boundaries of larger images are compared in this size, as their cost grows with the fourth power
)


@dataclass(frozen=True)
class MaskEvidence(Evidence):
    """Counts of each image, from which every metric of any set of images can be computed.

    counts_NKK: int64, pixels by target class (rows) and predicted class (columns), ignored pixels left out. edges_NK4: int64, for
    every class the predicted boundary pixels, those of them near a target boundary, the target boundary pixels, and those of them
    near a predicted boundary.
    """

    counts_NKK: np.ndarray
    edges_NK4: np.ndarray

    @property
    def total_KK(self) -> np.ndarray:
        return cast(np.ndarray, self.counts_NKK.sum(axis=0))


def iou_K(counts_KK: np.ndarray) -> np.ndarray:
    """Intersection over union of each class over all pixels; NaN for a class that occurs neither in targets nor predictions."""
    hit_K = np.diagonal(counts_KK).astype(float)
    union_K = counts_KK.sum(axis=0) + counts_KK.sum(axis=1) - hit_K
    return np.divide(hit_K, union_K, out=np.full(len(hit_K), np.nan), where=union_K > 0)


def dice_K(counts_KK: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN) of each class over all pixels; NaN as for `iou_K`."""
    iou = iou_K(counts_KK)
    return 2 * iou / (1 + iou)


def boundary_f_K(edges_K4: np.ndarray) -> np.ndarray:
    """The harmonic mean of boundary precision and recall of each class; NaN for a class without any boundary.

    Source: Csurka, Larlus, Perronnin 2013, "What is a good evaluation measure for semantic segmentation?".
    """
    predicted_K, near_target_K, target_K, near_predicted_K = edges_K4.T.astype(float)
    none_K = (predicted_K + target_K) == 0
    precision_K = np.divide(near_target_K, predicted_K, out=np.zeros(len(none_K)), where=predicted_K > 0)
    recall_K = np.divide(near_predicted_K, target_K, out=np.zeros(len(none_K)), where=target_K > 0)
    both_K = precision_K + recall_K
    found_K = np.divide(2 * precision_K * recall_K, both_K, out=np.zeros(len(none_K)), where=both_K > 0)
    return np.where(none_K, np.nan, found_K)


def _mean(values_K: np.ndarray) -> float:
    """The mean over the classes where the value is defined; NaN where there are none."""
    defined = values_K[~np.isnan(values_K)]
    return float(defined.mean()) if len(defined) else float("nan")


def mean_iou(evidence: MaskEvidence) -> float:
    return _mean(iou_K(evidence.total_KK))


def mean_dice(evidence: MaskEvidence) -> float:
    return _mean(dice_K(evidence.total_KK))


def worst_iou(evidence: MaskEvidence) -> float:
    """The lowest IoU among the classes that occur in the targets."""
    total_KK = evidence.total_KK
    return float(iou_K(total_KK)[total_KK.sum(axis=1) > 0].min())


def pixel_accuracy(evidence: MaskEvidence) -> float:
    total_KK = evidence.total_KK
    return float(np.trace(total_KK) / total_KK.sum())


def boundary_f(evidence: MaskEvidence) -> float:
    return _mean(boundary_f_K(evidence.edges_NK4.sum(axis=0)))


def image_iou(evidence: MaskEvidence) -> np.ndarray:
    """The mean IoU of each image over its own classes, (N,)."""
    return np.array([_mean(iou_K(counts_KK)) for counts_KK in evidence.counts_NKK])


def class_map(outputs_Khw: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The most likely class of every pixel, uint8 (H, W)."""
    return most_likely(outputs_Khw, size)[0]


def most_likely(outputs_Khw: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(the class with the largest output at every pixel, uint8 (H, W); that output, float32). Outputs are resized bilinearly, one
    class at a time, so that a large image needs memory for two classes only."""
    height, width = size
    best_HW, found_HW = np.full((height, width), -np.inf, dtype=np.float32), np.zeros((height, width), dtype=np.uint8)
    for k, logit_hw in enumerate(outputs_Khw):
        logit_HW = cv2.resize(logit_hw, (width, height), interpolation=cv2.INTER_LINEAR)
        found_HW[logit_HW > best_HW] = k
        np.maximum(best_HW, logit_HW, out=best_HW)
    return found_HW, best_HW


def confusion_KK(predicted_HW: np.ndarray, target_HW: np.ndarray, num_classes: int) -> np.ndarray:
    """int64 (K, K): pixels by target class and predicted class, without ignored pixels."""
    valid_HW = target_HW != IGNORE
    pairs = target_HW[valid_HW].astype(np.int64) * num_classes + predicted_HW[valid_HW]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def boundary_counts(predicted_HW: np.ndarray, target_HW: np.ndarray, num_classes: int) -> np.ndarray:
    """int64 (K, 4), see `MaskEvidence.edges_NK4`. Ignored pixels, and boundaries towards them, are left out. Maps with a side above
    `BOUNDARY_SIDE` are reduced to it."""
    predicted_HW, target_HW = _reduced(predicted_HW), _reduced(target_HW)
    distance = max(1.0, BOUNDARY_SHARE * float(np.hypot(*target_HW.shape)))
    side = 2 * int(np.ceil(distance)) + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    ignored_HW = (target_HW == IGNORE).astype(np.uint8)
    valid_HW = cv2.dilate(ignored_HW, np.ones((3, 3), np.uint8)) == 0
    counts_K4 = np.zeros((num_classes, 4), dtype=np.int64)
    for k in np.union1d(np.unique(predicted_HW), np.unique(target_HW[target_HW != IGNORE])).tolist():
        predicted, target = (_boundary(one_HW == k) & valid_HW for one_HW in (predicted_HW, target_HW))
        near_target, near_predicted = (cv2.dilate(one.astype(np.uint8), disk) > 0 for one in (target, predicted))
        pairs = (predicted, predicted & near_target, target, target & near_predicted)
        counts_K4[k] = [int(np.count_nonzero(one)) for one in pairs]
    return counts_K4


def _reduced(map_HW: np.ndarray) -> np.ndarray:
    """The nearest pixels, so that the longer side has `BOUNDARY_SIDE` pixels at most."""
    shrink = BOUNDARY_SIDE / max(map_HW.shape)
    if shrink >= 1:
        return map_HW
    sizes = [max(1, round(side * shrink)) for side in map_HW.shape]
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(sizes, map_HW.shape))
    return map_HW[rows[:, None], columns]


def _boundary(mask_HW: np.ndarray) -> np.ndarray:
    """The pixels of the mask with a neighbour (of four) outside it; the edge of the image is no boundary."""
    mask = mask_HW.astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return cast(np.ndarray, (mask - cv2.erode(mask, cross, borderType=cv2.BORDER_REPLICATE)) > 0)


class SemanticSegmentation(MaskTask):
    name = "semantic-segmentation"
    title = "a mask with a class for every pixel"
    problems = {"semantic-segmentation": "image"}
    most_in_batch = 16
    heads = ("fpn", "lr_aspp", "deeplab_v3_plus", "unet", "own")
    metrics = {
        "mean_iou": Metric(english("mean IoU"), mean_iou),
        "dice": Metric(english("mean Dice"), mean_dice),
        "worst_class": Metric(english("worst class (IoU)"), worst_iou),
        "pixel_accuracy": Metric(english("pixel accuracy"), pixel_accuracy),
        "boundary_f": Metric(english("boundary F"), boundary_f),
    }
    headline = "mean_iou"
    followed = ("mean_iou", "dice", "pixel_accuracy", "boundary_f")
    per_class = "iou"
    decision = "pixels"
    sections = ("segments", "worst_images")

    def reads(self, labels: LabelKind) -> bool:
        return labels == "masks"

    def cell(self, label: Any, classes: tuple[str, ...]) -> str:
        """The classes that occur in the mask."""
        return labels_cell(names_of(label, classes))

    def text(self, label: Any, classes: tuple[str, ...]) -> str:
        return labels_text(names_of(label, classes))

    # Targets and outputs --------------------------------------------------------------------------------------------------
    def map_of(self, masks: Masks) -> np.ndarray:
        return masks.class_map()

    def collate(self, labels: Any, num_classes: int, maps_B: Sequence[np.ndarray] | None) -> Targets:
        import torch

        from whet.core.mask_targets import MaskTargets

        assert maps_B is not None
        return MaskTargets.of(torch.from_numpy(np.stack(maps_B)), self, num_classes)

    def unknown(self, labels_B: np.ndarray, num_classes: int, size: Sequence[int]) -> Targets:
        return self.collate(None, num_classes, [np.full(tuple(size), IGNORE, np.uint8)] * len(labels_B))

    def loss(self, outputs_BKhw: Tensor, targets: Targets) -> Tensor:
        """The mean cross-entropy of the pixels that are not ignored; 0 for an image without any."""
        from whet.core.mask_targets import MaskTargets

        assert isinstance(targets, MaskTargets)
        return targets.expected(-self.log_probs(targets.aligned(outputs_BKhw)))

    def log_probs(self, logits_BKHW: Tensor) -> Tensor:
        """The log-probability of every class at every pixel."""
        return logits_BKHW.log_softmax(dim=1)

    def probs(self, outputs_BKhw: Tensor) -> Tensor:
        return outputs_BKhw.softmax(dim=1)

    def log_others(self, logits_BKHW: Tensor) -> Tensor:
        """log(1 - p) of every class at every pixel; 1 - p is at least 1e-7, the precision of p near 1."""
        import torch

        return torch.log(-torch.expm1(self.log_probs(logits_BKHW).clamp(max=-1e-7)))

    def combine(self, outputs_BMKhw: Tensor, weights: Sequence[float] | Tensor | None = None) -> Tensor:
        """The logarithm of the mean of the probabilities of each pixel."""
        import torch

        from whet.tasks.single_label import log_weights

        log_BMKhw = outputs_BMKhw.log_softmax(dim=2)
        weight_M = log_weights(log_BMKhw, weights)
        return torch.logsumexp(log_BMKhw + weight_M.reshape(-1, 1, 1, 1), dim=1)

    def undo(self, outputs_BKhw: Tensor, flipped: tuple[int, ...]) -> Tensor:
        return outputs_BKhw.flip(flipped) if flipped else outputs_BKhw

    def unzoom(self, outputs_BKhw: Tensor, whole_BKhw: Tensor, box: tuple[float, float, float, float]) -> Tensor:
        """Inside the box the outputs of the centre, outside those of the whole image."""
        import torch
        from torch.nn.functional import grid_sample

        top, left, height, width = box
        h, w = whole_BKhw.shape[2:]
        y_h = ((torch.arange(h).to(whole_BKhw) + 0.5) / h - top) / height
        x_w = ((torch.arange(w).to(whole_BKhw) + 0.5) / w - left) / width
        grid_hw2 = 2 * torch.stack([x_w.expand(h, w), y_h[:, None].expand(h, w)], dim=-1) - 1
        grid_Bhw2 = grid_hw2.expand(whole_BKhw.shape[0], h, w, 2)
        shown_BKhw = grid_sample(outputs_BKhw, grid_Bhw2, padding_mode="border", align_corners=False)
        return torch.where((grid_hw2.abs() <= 1).all(dim=-1), shown_BKhw, whole_BKhw)

    def statistics(self, outputs_BKhw: Tensor, maps_B: Sequence[np.ndarray] | None) -> Tensor:
        """The outputs compared with the masks in their own size: the counts of `MaskEvidence`, float64 (B, K K + 4 K)."""
        import torch

        assert maps_B is not None
        rows = []
        for outputs_Khw, target_HW in zip(outputs_BKhw.float().cpu().numpy(), maps_B, strict=True):
            height, width = target_HW.shape
            K = len(outputs_Khw)
            predicted_HW = class_map(outputs_Khw, (height, width))
            counts_KK = confusion_KK(predicted_HW, target_HW, K)
            rows.append(np.concatenate([counts_KK.ravel(), boundary_counts(predicted_HW, target_HW, K).ravel()]))
        return torch.from_numpy(np.array(rows, dtype=np.float64))

    def predicted(self, outputs_Khw: np.ndarray, size: tuple[int, int]) -> PredictedMasks:
        """Its parts: the connected parts of every class but class 0, the largest first within a class. Their score is the mean
        probability of the class over their pixels."""
        shifted_Khw = np.exp(outputs_Khw - outputs_Khw.max(axis=0))
        map_HW, probability_HW = most_likely(shifted_Khw / shifted_Khw.sum(axis=0), size)
        parts: list[Detection] = []
        for k in range(1, len(outputs_Khw)):
            numbered, _ = ndimage.label(map_HW == k, np.ones((3, 3)))
            found = []
            for number, box in enumerate(ndimage.find_objects(numbered), start=1):
                mask = numbered[box] == number
                layer = Layer(k, box[0].start, box[1].start, mask)
                found.append(Detection(layer, float(probability_HW[box][mask].mean())))
            parts += sorted(found, key=lambda part: -int(part.layer.mask.sum()))
        return PredictedMasks(map_HW, tuple(parts))

    # Evidence and metrics -------------------------------------------------------------------------------------------------
    def evidence(
        self, classes: tuple[str, ...], ids: np.ndarray, labels: np.ndarray, statistics_NS: np.ndarray
    ) -> MaskEvidence:
        K = len(classes)
        counts = np.rint(statistics_NS).astype(np.int64)
        return MaskEvidence(
            self, classes, ids, counts[:, : K * K].reshape(-1, K, K), counts[:, K * K :].reshape(-1, K, 4)
        )

    def read_evidence(
        self, classes: tuple[str, ...], ids: np.ndarray, arrays: Mapping[str, np.ndarray]
    ) -> MaskEvidence:
        return MaskEvidence(self, classes, ids, arrays["counts_NKK"], arrays["edges_NK4"])

    def different_labels(self, one: MaskEvidence, other: MaskEvidence) -> list[str]:
        """By the pixels of each class."""
        a, b = (evidence.counts_NKK.sum(axis=2) for evidence in (one, other))
        return [f"{one.ids[row]} (other pixels in its mask)" for row in np.flatnonzero((a != b).any(axis=1))]

    def strata(self, evidence: MaskEvidence) -> np.ndarray:
        """The class with the most pixels besides the first, which is the background where there is one."""
        pixels_NK = evidence.counts_NKK.sum(axis=2)
        return cast(np.ndarray, pixels_NK[:, 1:].argmax(axis=1))

    def found_by_class(self, evidence: MaskEvidence) -> dict[str, np.ndarray]:
        """The share of the class's pixels that were found, float, one value per image that has it."""
        target_NK = evidence.counts_NKK.sum(axis=2)
        hit_NK = np.diagonal(evidence.counts_NKK, axis1=1, axis2=2)
        return {
            name: hit_NK[target_NK[:, k] > 0, k] / target_NK[target_NK[:, k] > 0, k]
            for k, name in enumerate(evidence.classes)
            if target_NK[:, k].any()
        }

    def quality(self, evidence: MaskEvidence) -> np.ndarray:
        return image_iou(evidence)

    def with_classes(self, evidence: MaskEvidence, classes: tuple[str, ...]) -> MaskEvidence:
        if evidence.classes == classes:
            return evidence
        found, K = evidence, len(classes)
        place_K = np.array([classes.index(name) for name in evidence.classes], dtype=np.int64)
        counts_NKK = np.zeros((len(found), K, K), dtype=np.int64)
        edges_NK4 = np.zeros((len(found), K, 4), dtype=np.int64)
        counts_NKK[:, place_K[:, None], place_K] = found.counts_NKK
        edges_NK4[:, place_K] = found.edges_NK4
        return MaskEvidence(self, classes, found.ids, counts_NKK, edges_NK4)

    def measure(self, evidence: MaskEvidence) -> dict[str, Any]:
        """All metrics over the pixels of all images, the mean IoU with its interval (jackknife over images), and per class.
        `undefined`: the classes that occur neither in targets nor predictions, which no mean includes."""
        found, classes = evidence, evidence.classes
        total_KK, edges_K4 = found.total_KK, found.edges_NK4.sum(axis=0)
        iou, dice, edge = iou_K(total_KK), dice_K(total_KK), boundary_f_K(edges_K4)
        target_K, predicted_K, hit_K = total_KK.sum(axis=1), total_KK.sum(axis=0), np.diagonal(total_KK)
        there = np.flatnonzero(target_K > 0)
        if not len(there):
            raise DataError(
                f"none of the {len(evidence)} images has a labelled pixel: all pixels of their masks are ignored"
            )
        worst = int(there[np.argmin(iou[there])])
        images_K = (found.counts_NKK.sum(axis=2) > 0).sum(axis=0)
        return {
            "samples": len(evidence),
            "mean_iou": _mean(iou),
            "mean_iou_interval": jackknife_interval(mean_iou, found),
            "dice": _mean(dice),
            "pixel_accuracy": float(hit_K.sum() / total_KK.sum()),
            "boundary_f": _mean(edge),
            "worst_class": {"name": classes[worst], "iou": float(iou[worst])},
            "undefined": [classes[k] for k in np.flatnonzero(np.isnan(iou))],
            "per_class": [
                {
                    "name": classes[k],
                    "images": int(images_K[k]),
                    "pixels": int(target_K[k]),
                    "iou": _or_none(iou[k]),
                    "dice": _or_none(dice[k]),
                    "precision": _or_none(hit_K[k] / predicted_K[k]) if predicted_K[k] else None,
                    "recall": _or_none(hit_K[k] / target_K[k]) if target_K[k] else None,
                    "boundary_f": _or_none(edge[k]),
                }
                for k in range(len(classes))
            ],
            "confusion": total_KK.tolist(),
        }

    def drawn(self, images_BHWC: np.ndarray, targets: MaskTargets) -> np.ndarray:
        """Of a mixture, the layer with the greatest weight."""
        label_BHW = targets.label_MBHW[targets.weight_MB.argmax(dim=0), range(len(targets))].cpu().numpy()
        return np.stack([overlay(image, mask, targets.num_classes) for image, mask in zip(images_BHWC, label_BHW)])

    # Display --------------------------------------------------------------------------------------------------------------
    def table(self, evidence: MaskEvidence) -> tuple[list[str], list[list[Any]]]:
        """Pixel accuracy and mean IoU of each image, and the share of each class in its predicted mask."""
        found, classes = evidence, evidence.classes
        rows = []
        for counts_KK in found.counts_NKK:
            pixels = counts_KK.sum()
            right = np.trace(counts_KK) / pixels if pixels else float("nan")
            shares = (counts_KK.sum(axis=0) / max(pixels, 1)).tolist()
            rows.append([f"{right:.6g}", f"{_mean(iou_K(counts_KK)):.6g}", *(f"{share:.6g}" for share in shares)])
        return ["pixel_accuracy", "mean_iou", *(f"area:{name}" for name in classes)], rows

    def tiles(self, result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        worst = result["worst_class"]
        return [
            (tr("pixel accuracy"), percent(result["pixel_accuracy"]), tr("share of the pixels")),
            (tr("worst class"), percent(worst["iou"]), tr("IoU of {name}", name=worst["name"])),
            (
                tr("boundary F"),
                percent(result["boundary_f"]),
                tr("within {share:.2%} of the diagonal", share=BOUNDARY_SHARE),
            ),
        ]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
