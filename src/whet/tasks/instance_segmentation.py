"""Instance segmentation: the mask of every object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from whet.core.errors import RecipeError
from whet.core.evidence import Metric
from whet.core.labels import labels_cell, labels_text, names_of
from whet.core.language import english, tr
from whet.core.mask_task import MaskTask
from whet.core.masks import Detection, IdMap, Masks, PredictedMasks
from whet.core.stages import Stage
from whet.core.task import LabelKind, percent
from whet.evaluate.rates import jackknife_interval
from whet.render.overlay import overlay
from whet.tasks import instance_evidence as found_in
from whet.tasks.heads import HEADS
from whet.tasks.heads.head import Detections
from whet.tasks.instance_evidence import AT_50, AT_75, WORKING_SCORE, InstanceEvidence
from whet.tasks.instance_matching import matched
from whet.tasks.semantic_segmentation import SemanticSegmentation

if TYPE_CHECKING:
    from torch import Tensor

    from whet.core.instance_targets import InstanceTargets
    from whet.core.targets import Targets


class InstanceSegmentation(MaskTask):
    name = "instance-segmentation"
    title = "a mask for every object"
    problems = {"instance-segmentation": "image"}
    most_in_batch = 16
    most_enlarged = 2  # small objects need pixels
    counts_objects = True
    decision = "objects"
    quality_title = english("F1 of objects")
    heads = tuple(HEADS)
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

    def __init__(self, head: str = heads[0]) -> None:
        self.head = HEADS[head]
        self.takes_boxes = self.head.takes_boxes
        if not self.head.by_cell:
            self.title = f"{self.title} (model.head = {head})"  # type: ignore[misc]

    def reads(self, labels: LabelKind) -> bool:
        return labels == "masks"

    def allows(self, problem: str, method: Any) -> bool:
        """Methods for classes of pixels apply, but for those that replace their loss, and those that need a map where the head has
        none."""
        if method.by_cell and not self.head.by_cell:
            return False
        if problem in method.tasks:
            return True
        return SemanticSegmentation.name in method.tasks and Stage.LOSS not in method.stages()

    def cell(self, label: Any, classes: tuple[str, ...]) -> str:
        """The classes that occur in the image."""
        return labels_cell(names_of(label, classes))

    def text(self, label: Any, classes: tuple[str, ...]) -> str:
        return labels_text(names_of(label, classes))

    # Targets and outputs --------------------------------------------------------------------------------------------------
    def with_head(self, head: str) -> InstanceSegmentation:
        super().with_head(head)
        return InstanceSegmentation(head)

    def outputs(self, num_classes: int) -> int:
        return self.head.outputs(num_classes)

    def map_of(self, masks: Masks) -> IdMap:
        return masks.id_map(self.takes_boxes)

    def collate(self, labels: Any, num_classes: int, maps_B: Sequence[IdMap] | None) -> Targets:
        from whet.core.instance_targets import InstanceTargets

        assert maps_B is not None
        return InstanceTargets.of(maps_B, self, num_classes)

    def loss(self, outputs_BChw: Tensor, targets: InstanceTargets) -> Tensor:
        return self.head.loss(outputs_BChw, targets)

    def combine(self, outputs_BMChw: Tensor, weights: Sequence[float] | Tensor | None = None) -> Tensor:
        from whet.tasks.single_label import log_weights

        return self.head.combine(outputs_BMChw, log_weights(outputs_BMChw, weights).exp())

    def at_size(self, outputs_BChw: Tensor, size: Sequence[int]) -> Tensor:
        """Only their own: offsets and masks are in cells."""
        if tuple(outputs_BChw.shape[2:]) != tuple(size):
            raise RecipeError(
                f"outputs for objects on {outputs_BChw.shape[2]} x {outputs_BChw.shape[3]} cells cannot be combined with those on "
                f"{size[0]} x {size[1]}; combine runs with the same image size"
            )
        return outputs_BChw

    def undo(self, outputs_BChw: Tensor, flipped: tuple[int, ...]) -> Tensor:
        return self.head.undo(outputs_BChw, flipped) if flipped else outputs_BChw

    def statistics(self, outputs_BChw: Tensor, maps_B: Sequence[IdMap] | None) -> Tensor:
        """The predicted objects matched with those of the maps: the rows of `matched`, float64."""
        return self._grouped(self.head.detections, outputs_BChw, maps_B)

    def statistics_of(
        self, found_B: Sequence[Sequence[Detection]], maps_B: Sequence[IdMap], num_classes: int
    ) -> Tensor:
        """The `statistics` of objects that are known already."""
        import torch

        from whet.core.outputs import rows_joined

        rows = [
            matched(found, list(target.targets()), num_classes) for found, target in zip(found_B, maps_B, strict=True)
        ]
        return rows_joined([torch.from_numpy(row)[None] for row in rows])

    @property
    def groupings(self) -> dict[str, Callable[[Tensor, Any], Tensor]]:
        """The baselines of the head, which use its class map alone."""
        return {name: partial(self._grouped, found) for name, found in self.head.groupings.items()}

    def _grouped(self, detections: Detections, outputs_BChw: Tensor, maps_B: Sequence[IdMap] | None) -> Tensor:
        assert maps_B is not None
        outputs = outputs_BChw.float().cpu().numpy()
        found_B = [detections(outputs_Chw, target.shape) for outputs_Chw, target in zip(outputs, maps_B, strict=True)]
        return self.statistics_of(found_B, maps_B, self.head.classes(outputs_BChw[0]))

    def predicted(self, outputs_Chw: np.ndarray, size: tuple[int, int]) -> PredictedMasks:
        """Objects with at least the working score; in the maps the one with the highest score is on top."""
        found = self.head.detections(outputs_Chw, size)
        shown = tuple(one for one in found if one.score >= WORKING_SCORE)
        ids_HW = np.zeros(size, np.uint16)
        for number in range(len(shown), 0, -1):
            shown[number - 1].layer.paint(ids_HW, number)
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


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
