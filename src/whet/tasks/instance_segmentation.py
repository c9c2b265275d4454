"""Instance segmentation: the mask of every object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from whet.core.evidence import Metric
from whet.core.labels import labels_cell, labels_text, names_of
from whet.core.language import english, tr
from whet.core.mask_task import MaskTask
from whet.core.masks import IGNORE, IdMap, Masks, PredictedMasks
from whet.core.stages import Stage
from whet.core.task import LabelKind, percent
from whet.evaluate.rates import jackknife_interval
from whet.render.overlay import overlay
from whet.tasks import instance_evidence as found_in
from whet.tasks.grouping import GROUPINGS, OFFSET_UNIT, ClassMap, Grouped, objects_of
from whet.tasks.instance_evidence import AT_50, AT_75, WORKING_SCORE, InstanceEvidence
from whet.tasks.instance_matching import matched
from whet.tasks.semantic_segmentation import SemanticSegmentation

if TYPE_CHECKING:
    from torch import Tensor

    from whet.core.instance_targets import InstanceTargets
    from whet.core.targets import Targets

_BESIDE = 3  # outputs besides the classes: heat, offset y, offset x
HEAT_SIGMA = 1.5  # cells
HEAT_WEIGHT, OFFSET_WEIGHT = 3.0, 0.3  # of the loss, relative to cross-entropy
_ONE_PEAK = 3.14159 * HEAT_SIGMA**2  # the sum of the squared heat of one centre


class InstanceSegmentation(MaskTask):
    name = "instance-segmentation"
    title = "a mask for every object"
    problems = {"instance-segmentation": "image"}
    most_in_batch = 16
    counts_objects = True
    quality_title = english("F1 of objects")
    heads = ("centre_offset",)
    metrics = {
        "mask_ap": Metric(english("mask AP"), found_in.mask_ap),
        "ap50": Metric(english("mask AP50"), found_in.ap50),
        "ap75": Metric(english("mask AP75"), found_in.ap75),
        "panoptic_quality": Metric(english("panoptic quality"), found_in.panoptic_quality),
        "object_f1": Metric(english("F1 of objects"), found_in.f1),
        "count_error": Metric(
            english("count error per image"),
            found_in.count_error_N,
            is_mean=True,
            smaller_is_better=True,
            is_share=False,
        ),
    }
    headline = "mask_ap"
    followed = ("mask_ap", "ap50", "panoptic_quality", "object_f1", "count_error")
    per_class = "ap"
    sections = ("instances", "worst_images")

    def reads(self, labels: LabelKind) -> bool:
        return labels == "masks"

    def allows(self, problem: str, method: Any) -> bool:
        """Methods for classes of pixels apply, but for those that replace their loss."""
        if problem in method.tasks:
            return True
        return SemanticSegmentation.name in method.tasks and Stage.LOSS not in method.stages()

    def cell(self, label: Any, classes: tuple[str, ...]) -> str:
        """The classes that occur in the image."""
        return labels_cell(names_of(label, classes))

    def text(self, label: Any, classes: tuple[str, ...]) -> str:
        return labels_text(names_of(label, classes))

    # Targets and outputs --------------------------------------------------------------------------------------------------
    def outputs(self, num_classes: int) -> int:
        return num_classes + _BESIDE

    def map_of(self, masks: Masks) -> IdMap:
        return masks.id_map()

    def collate(self, labels: Any, num_classes: int, maps_B: Sequence[IdMap] | None) -> Targets:
        from whet.core.instance_targets import InstanceTargets

        assert maps_B is not None
        return InstanceTargets.of(maps_B, self, num_classes)

    def loss(self, outputs_BChw: Tensor, targets: InstanceTargets) -> Tensor:
        """Of the layers of the targets, the sum of three: the mean cross-entropy of the pixels; the squared error of the heat, a
        Gaussian around every centre, relative to that of no heat; and the absolute error of the offsets relative to that of offsets
        of zero. Unknown pixels have no loss.

        Source: Cheng et al. 2020, arXiv:1911.10194. Deviates: the paper's weights, 200 times the mean squared error and 0.01 times
        the offset in pixels, suit few large objects on large images; relative errors suit any number and size. The Gaussian has a
        standard deviation of 1.5 cells. An object that the border or another object cuts has the centre of its visible part.
        """
        import torch
        from torch.nn.functional import cross_entropy

        from whet.models.decoders import resized

        K, (h, w) = targets.num_classes, outputs_BChw.shape[2:]
        H, W = targets.id_MBHW.shape[2:]
        heat_Bhw, offset_B2hw = outputs_BChw[:, K], outputs_BChw[:, K + 1 :] * OFFSET_UNIT
        logits_BKHW = resized(outputs_BChw[:, :K], (H, W))
        cell_2 = offset_B2hw.new_tensor([H / h, W / w])
        y_h, x_w = (torch.arange(side, device=offset_B2hw.device) + 0.5 for side in (h, w))
        at_2hw = torch.stack([y_h[:, None].expand(h, w), x_w.expand(h, w)])
        row_h, column_w = (y_h * cell_2[0]).long(), (x_w * cell_2[1]).long()

        def of_layer(id_BHW: Tensor, label_BHW: Tensor, centre_BN2: Tensor) -> Tensor:
            pixel_BHW = cross_entropy(logits_BKHW, label_BHW, ignore_index=IGNORE, reduction="none")
            classes_B = pixel_BHW.sum(dim=(1, 2)) / (label_BHW != IGNORE).sum(dim=(1, 2)).clamp(min=1)
            id_Bhw = id_BHW[:, row_h][:, :, column_w]
            centre_BN2 = centre_BN2 / cell_2
            known_Bhw, inside_Bhw = id_Bhw >= 0, id_Bhw > 0
            target_Bhw = _heat(centre_BN2, y_h, x_w)
            heat_B = _total((heat_Bhw - target_Bhw).square(), known_Bhw)
            heat_B = heat_B / _total(target_Bhw.square(), known_Bhw).clamp(min=_ONE_PEAK)
            place_BN = (id_Bhw.clamp(min=1) - 1).long().flatten(1)
            own_B2hw = centre_BN2.gather(1, place_BN[..., None].expand(-1, -1, 2)).transpose(1, 2).unflatten(2, (h, w))
            wanted_B2hw = own_B2hw - at_2hw
            away_B = _total((offset_B2hw - wanted_B2hw).abs().sum(dim=1), inside_Bhw)
            away_B = away_B / _total(wanted_B2hw.abs().sum(dim=1), inside_Bhw).clamp(min=1)
            return classes_B + HEAT_WEIGHT * heat_B + OFFSET_WEIGHT * away_B

        return targets.by_layer(of_layer)

    def combine(self, outputs_BMChw: Tensor, weights: Sequence[float] | Tensor | None = None) -> Tensor:
        """The logarithm of the mean of the probabilities of each pixel; the mean of heat and offsets."""
        import torch

        from whet.tasks.single_label import log_weights

        K = outputs_BMChw.shape[2] - _BESIDE
        classes = SemanticSegmentation().combine(outputs_BMChw[:, :, :K], weights)
        weight_M = log_weights(outputs_BMChw, weights).exp()
        return torch.cat([classes, (outputs_BMChw[:, :, K:] * weight_M.reshape(-1, 1, 1, 1)).sum(dim=1)], dim=1)

    def undo(self, outputs_BChw: Tensor, flipped: tuple[int, ...]) -> Tensor:
        """A flip turns the offset along its axis round."""
        if not flipped:
            return outputs_BChw
        outputs_BChw = outputs_BChw.flip(flipped)
        for axis in flipped:
            outputs_BChw[:, axis] = -outputs_BChw[
                :, axis
            ]  # the last two outputs are the offsets along the last two axes
        return outputs_BChw

    def statistics(self, outputs_BChw: Tensor, maps_B: Sequence[IdMap] | None) -> Tensor:
        """The predicted objects matched with those of the maps: the rows of `matched`, float64."""
        return _statistics(GROUPINGS["centre_offset"], outputs_BChw, maps_B)

    @property
    def groupings(self) -> dict[str, Callable[[Tensor, Any], Tensor]]:
        """The baselines, which use the class map alone."""
        return {name: partial(_statistics, GROUPINGS[name]) for name in ("connected_components", "distance_peaks")}

    def predicted(self, outputs_Chw: np.ndarray, size: tuple[int, int]) -> PredictedMasks:
        """Objects with at least the working score."""
        K = len(outputs_Chw) - _BESIDE
        found = objects_of(ClassMap.of(outputs_Chw, K, size))
        shown = tuple(one for one in found.detections if one.score >= WORKING_SCORE)
        ids_HW = np.where(found.ids_HW <= len(shown), found.ids_HW, 0).astype(np.uint16)
        class_N = np.array([0, *(one.layer.class_number for one in shown)], np.uint8)
        return PredictedMasks(class_N[ids_HW], shown, ids_HW)

    # Evidence and metrics -------------------------------------------------------------------------------------------------
    def evidence(
        self, classes: tuple[str, ...], ids: np.ndarray, labels: np.ndarray, statistics_NS: np.ndarray
    ) -> InstanceEvidence:
        return InstanceEvidence.of(self, classes, ids, statistics_NS)

    def read_evidence(
        self, classes: tuple[str, ...], ids: np.ndarray, arrays: Mapping[str, np.ndarray]
    ) -> InstanceEvidence:
        own = {name: array for name, array in arrays.items() if name != "ids"}
        return InstanceEvidence(self, classes, ids, **own)

    def different_labels(self, one: InstanceEvidence, other: InstanceEvidence) -> list[str]:
        """By the objects of each class."""
        rows = np.flatnonzero((one.objects_NK != other.objects_NK).any(axis=1))
        return [f"{one.ids[row]} (other objects in its mask)" for row in rows]

    def strata(self, evidence: InstanceEvidence) -> np.ndarray:
        """The number of objects."""
        return cast(np.ndarray, evidence.objects_NK.sum(axis=1))

    def quality(self, evidence: InstanceEvidence) -> np.ndarray:
        right_N, wrong_N, missed_N = evidence.above(WORKING_SCORE).outcomes_NK3.sum(axis=1).T.astype(float)
        all_N = 2 * right_N + wrong_N + missed_N
        return np.divide(2 * right_N, all_N, out=np.full(len(all_N), np.nan), where=all_N > 0)

    def found_by_class(self, evidence: InstanceEvidence) -> dict[str, np.ndarray]:
        """The share of the class's objects that were found, float, one value per image that has it."""
        right_NK, objects_NK = evidence.above(WORKING_SCORE).outcomes_NK3[..., 0], evidence.objects_NK
        there_NK = objects_NK > 0
        return {
            name: right_NK[there_NK[:, k], k] / objects_NK[there_NK[:, k], k]
            for k, name in enumerate(evidence.classes)
            if there_NK[:, k].any()
        }

    def with_classes(self, evidence: InstanceEvidence, classes: tuple[str, ...]) -> InstanceEvidence:
        if evidence.classes == classes:
            return evidence
        place_K = np.array([classes.index(name) for name in evidence.classes], dtype=np.int64)
        objects_NKA = np.zeros((len(evidence), len(classes), evidence.objects_NKA.shape[2]), dtype=np.int64)
        objects_NKA[:, place_K] = evidence.objects_NKA
        return replace(evidence, classes=classes, objects_NKA=objects_NKA, class_D=place_K[evidence.class_D])

    def measure(self, evidence: InstanceEvidence) -> dict[str, Any]:
        """All metrics over the objects of all images, the mask AP with its interval (jackknife over images), by size (`by_size`),
        and per class. `undefined`: the classes without labelled objects, which no mean includes. `curve`: the precision at 101
        recalls, the mean over classes, by IoU."""
        ap_K = found_in.average_precision_K(evidence)
        precision_TKR = evidence.precision_TKR
        outcomes_K3 = evidence.above(WORKING_SCORE).outcomes_NK3.sum(axis=0)
        quality_K, images_K = found_in.panoptic_quality_K(evidence), (evidence.objects_NK > 0).sum(axis=0)
        precision, recall = found_in.precision_and_recall(outcomes_K3.sum(axis=0))
        things = range(1, len(evidence.classes))
        there = [k for k in things if evidence.objects_K[k]]
        return {
            "samples": len(evidence),
            "objects": int(evidence.objects_K.sum()),
            "mask_ap_interval": jackknife_interval(found_in.mask_ap, evidence),
            **{name: _or_none(metric.value(evidence)) for name, metric in self.metrics.items()},
            "precision": _or_none(precision),
            "recall": _or_none(recall),
            "working_score": WORKING_SCORE,
            "sizes": found_in.by_size(evidence),
            "undefined": [evidence.classes[k] for k in things if k not in there],
            "per_class": [
                {
                    "name": evidence.classes[k],
                    "images": int(images_K[k]),
                    "objects": int(evidence.objects_K[k]),
                    "ap": _or_none(ap_K[k]),
                    "ap50": _or_none(precision_TKR[AT_50, k].mean()),
                    "ap75": _or_none(precision_TKR[AT_75, k].mean()),
                    "panoptic_quality": _or_none(quality_K[k]),
                    **dict(zip(("precision", "recall"), map(_or_none, found_in.precision_and_recall(outcomes_K3[k])))),
                }
                for k in things
            ],
            "curve": {
                f"{0.5 + 0.05 * t:.2f}": precision_TKR[t, there].mean(axis=0).tolist() if there else []
                for t in (AT_50, AT_75)
            },
        }

    def score(self, measured: Mapping[str, Any]) -> float:
        """0 where there is no object."""
        return float(measured["mask_ap"] or 0.0)

    # Display --------------------------------------------------------------------------------------------------------------
    def drawn(self, images_BHWC: np.ndarray, targets: InstanceTargets) -> np.ndarray:
        """Of a mixture, the layer with the greatest weight."""
        chosen = (targets.weight_MB.argmax(dim=0), range(len(targets)))
        label_BHW = targets.label_MBHW[chosen].cpu().numpy().astype(np.uint8)
        id_BHW = targets.id_MBHW[chosen].clamp(min=0).cpu().numpy().astype(np.uint16)
        K = targets.num_classes
        layers = zip(images_BHWC, label_BHW, id_BHW, strict=True)
        return np.stack([overlay(image, label_HW, K, id_HW) for image, label_HW, id_HW in layers])

    def table(self, evidence: InstanceEvidence) -> tuple[list[str], list[list[Any]]]:
        """F1 of the objects of each image, and the number of labelled and predicted objects of each class."""
        outcomes_NK3 = evidence.above(WORKING_SCORE).outcomes_NK3
        predicted_NK = outcomes_NK3[..., 0] + outcomes_NK3[..., 1]
        names = evidence.classes[1:]
        columns = ["f1", *(f"objects:{name}" for name in names), *(f"predicted:{name}" for name in names)]
        rows: list[list[Any]] = []
        for f1, objects_K, predicted_K in zip(self.quality(evidence), evidence.objects_NK, predicted_NK):
            rows.append([f"{f1:.6g}", *objects_K[1:].tolist(), *predicted_K[1:].tolist()])
        return columns, rows

    def tiles(self, result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        def shown(name: str) -> str:
            return tr("none") if result[name] is None else percent(result[name])

        where = tr("at IoU 0.5 and a score of {score}", score=WORKING_SCORE)
        return [
            (tr("mask AP50"), shown("ap50"), tr("IoU of at least 0.5")),
            (tr("precision"), shown("precision"), where),
            (tr("recall"), shown("recall"), where),
            (tr("panoptic quality"), shown("panoptic_quality"), tr("of objects")),
            (tr("count error"), f"{result['count_error']:.2f}", tr("objects per image")),
        ]


def _statistics(
    grouping: Callable[[ClassMap], Grouped], outputs_BChw: Tensor, maps_B: Sequence[IdMap] | None
) -> Tensor:
    import torch

    from whet.core.outputs import rows_joined

    assert maps_B is not None
    K, rows = outputs_BChw.shape[1] - _BESIDE, []
    for outputs_Chw, target in zip(outputs_BChw.float().cpu().numpy(), maps_B, strict=True):
        found = objects_of(ClassMap.of(outputs_Chw, K, target.shape), grouping)
        rows.append(torch.from_numpy(matched(found.detections, list(target.targets()), K))[None])
    return rows_joined(rows)


def _heat(centre_BN2: Tensor, y_h: Tensor, x_w: Tensor) -> Tensor:
    """A Gaussian around every centre, the highest where several overlap, (B, h, w). All in cells."""
    from torch import exp

    down_BNh = (centre_BN2[..., 0, None] - y_h).square()
    across_BNw = (centre_BN2[..., 1, None] - x_w).square()
    return exp(-(down_BNh[..., None] + across_BNw[:, :, None]).amin(dim=1) / (2 * HEAT_SIGMA**2))


def _total(value_BHW: Tensor, there_BHW: Tensor) -> Tensor:
    """The sum of the values that count, (B,)."""
    return (value_BHW * there_BHW).sum(dim=(1, 2))


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
