"""From the outputs of a network to objects: three ways to group the pixels of a class map.

Each takes a `ClassMap` and returns object numbers: int32 (H, W), 0 for none, and the confidence of each object besides that of its
class, float (n + 1,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from whet.bundle import objects
from whet.core.masks import Detection, Layer
from whet.tasks.semantic_segmentation import most_likely

Grouped = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ClassMap:
    """Predictions for one image. outputs_Chw: of the network, float32: K logits, heat, offset (y, x). class_HW: the most likely
    class of every pixel of the image, uint8; probability_HW: its probability."""

    outputs_Chw: np.ndarray
    num_classes: int
    class_HW: np.ndarray
    probability_HW: np.ndarray

    @classmethod
    def of(cls, outputs_Chw: np.ndarray, num_classes: int, size: tuple[int, int]) -> ClassMap:
        """size: (H, W) of the image."""
        return cls(outputs_Chw, num_classes, *most_likely(objects.softmax(outputs_Chw[:num_classes]), size))


def centre_offset(found: ClassMap) -> Grouped:
    """Peaks of the heat are centres; a pixel of any class but the background belongs to the centre nearest to where its offset
    points. Equal neighbouring peaks are one."""
    height, width = found.class_HW.shape

    def resize(cells_hw: np.ndarray) -> np.ndarray:
        return cv2.resize(cells_hw, (width, height), interpolation=cv2.INTER_LINEAR)

    K = found.num_classes
    return objects.by_centres(found.class_HW, found.outputs_Chw[K], found.outputs_Chw[K + 1 :], resize)


def connected_components(found: ClassMap) -> Grouped:
    """Every connected part of a class is an object: the baseline without centres."""
    ids_HW, count = np.zeros(found.class_HW.shape, np.int32), 0
    for k in range(1, found.num_classes):
        parts, own_HW = cv2.connectedComponents((found.class_HW == k).astype(np.uint8), connectivity=4)
        ids_HW = np.where(own_HW > 0, own_HW + count, ids_HW)
        count += parts - 1
    return ids_HW, np.ones(count + 1)


def distance_peaks(found: ClassMap) -> Grouped:
    """Peaks of the distance to the edge of a class are centres; a pixel belongs to the nearest one in its connected part: the usual
    baseline for round objects that touch."""
    parts_HW, _ = connected_components(found)
    side = max(3, round(0.02 * min(parts_HW.shape)) | 1)
    away_HW = cv2.distanceTransform(_edges_apart(parts_HW), cv2.DIST_L2, 5)
    smooth_HW = cv2.GaussianBlur(away_HW, (0, 0), side / 3)
    top_HW = (smooth_HW == cv2.dilate(smooth_HW, np.ones((side, side), np.uint8))) & (away_HW > 0)
    count, _, _, middle_N2 = cv2.connectedComponentsWithStats(top_HW.astype(np.uint8), connectivity=8)
    ids_HW = np.zeros(parts_HW.shape, np.int32)
    if count > 1:
        x_N, y_N = np.floor(middle_N2[1:] + 0.5).astype(np.int64).T
        y_P, x_P = np.nonzero(parts_HW)
        apart = 2 * sum(parts_HW.shape)  # a third coordinate keeps connected parts from each other
        seeds = cKDTree(np.stack([y_N, x_N, apart * parts_HW[y_N, x_N]], axis=1))
        _, nearest_P = seeds.query(np.stack([y_P, x_P, apart * parts_HW[y_P, x_P]], axis=1))
        ids_HW[y_P, x_P] = nearest_P + 1
    return ids_HW, np.ones(count)


def _edges_apart(parts_HW: np.ndarray) -> np.ndarray:
    """Where a pixel and its neighbours to the right and below belong to one part, uint8."""
    inside_HW = (parts_HW > 0).astype(np.uint8)
    inside_HW[:, :-1][parts_HW[:, :-1] != parts_HW[:, 1:]] = 0
    inside_HW[:-1][parts_HW[:-1] != parts_HW[1:]] = 0
    return inside_HW


GROUPINGS: dict[str, Callable[[ClassMap], Grouped]] = {
    "centre_offset": centre_offset,
    "connected_components": connected_components,
    "distance_peaks": distance_peaks,
}


def objects_of(found: ClassMap, grouping: Callable[[ClassMap], Grouped] = centre_offset) -> list[Detection]:
    """The objects of an image, those with the highest scores first. The class of an object is that of most of its pixels; its score
    is the mean probability of its pixels times the confidence of the grouping."""
    scored = objects.scored(*grouping(found), found.class_HW, found.probability_HW, found.num_classes)
    return [detection(one) for one in scored]


def detection(one: objects.Object) -> Detection:
    return Detection(Layer(one.class_number, one.top, one.left, one.mask), one.score)
