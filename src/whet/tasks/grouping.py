"""From the outputs of a network to objects: three ways to group the pixels of a class map.

Each takes a `ClassMap` and returns object numbers: int32 (H, W), 0 for none, and the confidence of each object besides that of its
class, float (n + 1,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from whet.core.masks import Detection, Layer
from whet.tasks.instance_matching import MOST_DETECTIONS
from whet.tasks.semantic_segmentation import most_likely

OFFSET_UNIT = 8.0  # cells: the length of an offset of 1 in the outputs
MIN_HEAT = 0.1
_WINDOW = np.ones((5, 5), np.uint8)  # cells within which only the highest heat is a centre
_FINE = 2  # places for a centre within a cell, in each direction

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
        logits_Khw = outputs_Chw[:num_classes]
        shifted_Khw = np.exp(logits_Khw - logits_Khw.max(axis=0))
        return cls(outputs_Chw, num_classes, *most_likely(shifted_Khw / shifted_Khw.sum(axis=0), size))


def centre_offset(found: ClassMap) -> Grouped:
    """Peaks of the heat are centres; a pixel of any class but the background belongs to the centre nearest to where its offset
    points. Equal neighbouring peaks are one."""
    height, width = found.class_HW.shape
    heat_hw, offset_2hw = found.outputs_Chw[found.num_classes], found.outputs_Chw[found.num_classes + 1 :] * OFFSET_UNIT
    h, w = heat_hw.shape
    peak_hw = (heat_hw >= MIN_HEAT) & (heat_hw == cv2.dilate(heat_hw, _WINDOW))
    count, number_hw, _, middle_N2 = cv2.connectedComponentsWithStats(peak_hw.astype(np.uint8), connectivity=8)
    ids_HW, confidence_N = np.zeros((height, width), np.int32), np.zeros(count)
    if count == 1:
        return ids_HW, confidence_N
    np.maximum.at(confidence_N, number_hw[peak_hw], heat_hw[peak_hw])
    nearest = _nearest(middle_N2[1:, ::-1] + 0.5, (h, w))
    y_P, x_P = np.nonzero(found.class_HW)
    places = []
    for at_P, side, cells, offset_hw in ((y_P, height, h, offset_2hw[0]), (x_P, width, w, offset_2hw[1])):
        offset_HW = cv2.resize(offset_hw, (width, height), interpolation=cv2.INTER_LINEAR)
        place_P = ((at_P + 0.5) * (cells / side) + offset_HW[y_P, x_P]) * _FINE
        places.append(place_P.astype(np.int64).clip(0, cells * _FINE - 1))
    ids_HW[y_P, x_P] = nearest[places[0], places[1]]
    return ids_HW, confidence_N.clip(0, 1)


def _nearest(centre_N2: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The number, from 1, of the nearest of these points (y, x) at every place of a grid with _FINE places per cell."""
    place_N2 = (centre_N2 * _FINE).astype(np.int64)
    away = np.ones((size[0] * _FINE, size[1] * _FINE), np.uint8)
    y_N, x_N = place_N2.T
    away[y_N, x_N] = 0
    _, label = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    number = np.zeros(int(label.max()) + 1, np.int32)
    number[label[y_N, x_N]] = np.arange(1, len(centre_N2) + 1)
    return cast(np.ndarray, number[label])


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
    raw_HW, confidence_N = grouping(found)
    N, K = len(confidence_N), found.num_classes
    taken_HW = raw_HW > 0
    ids_P, class_P = raw_HW[taken_HW], found.class_HW[taken_HW].astype(np.int64)
    votes_NK = np.bincount(ids_P * K + class_P, minlength=N * K).reshape(N, K)
    area_N = votes_NK.sum(axis=1)
    sure_N = np.bincount(ids_P, found.probability_HW[taken_HW], minlength=N) / np.maximum(area_N, 1)
    score_N = np.where(area_N > 0, sure_N * confidence_N, 0.0)
    order = np.argsort(-score_N, kind="stable")
    order = order[area_N[order] > 0][:MOST_DETECTIONS]
    number_N = np.zeros(N, np.int32)
    number_N[order] = np.arange(1, len(order) + 1)
    ids_HW = number_N[raw_HW]
    boxes = ndimage.find_objects(ids_HW, len(order)) if len(order) else []
    detections = []
    for place, (k, (rows, columns)) in enumerate(zip(votes_NK[order].argmax(axis=1).tolist(), boxes), start=1):
        layer = Layer(k, rows.start, columns.start, ids_HW[rows, columns] == place)
        detections.append(Detection(layer, float(score_N[order[place - 1]])))
    return detections
