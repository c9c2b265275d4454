"""Likely errors in masks: a linear model predicts the classes of cells from frozen features, out of fold by image, and the images
where prediction and mask differ most against the model's own confidence are listed.

The idea is that of likely label errors (Northcutt et al. 2021, arXiv:1911.00068), with cells in place of samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from whet.core.language import Sentence, english, english_n
from whet.core.masks import IGNORE
from whet.data.audit.finding import Finding

GOOD_ENOUGH = 0.5  # of the cells that a constant answer would miss, the share that the first model must get right
UNUSUAL = 6.0  # median deviations of the lean above its median
LEAST_LEAN = 0.03
_PENALTIES = 10.0 ** np.arange(-4, 0)  # relative to the number of cells
_SMALLEST = 1e-3  # probability


@dataclass(frozen=True)
class Cells:
    """The cells of images. features_NPD: float16. shares_NPK: the share of each class of the known pixels of a cell; 0 for
    all where none are known. known_NP: the share of the pixels that are known."""

    features_NPD: np.ndarray
    shares_NPK: np.ndarray
    known_NP: np.ndarray


def cell_shares(class_HW: np.ndarray, grid: tuple[int, int], num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(shares (P, K), known (P,)) of the cells of a mask, float32, see `Cells`."""

    def mean(there_HW: np.ndarray) -> np.ndarray:
        return cv2.resize(there_HW.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA).ravel()

    known_P = mean(class_HW != IGNORE)
    shares_PK = np.zeros((len(known_P), num_classes), np.float32)
    for k in np.unique(class_HW[class_HW != IGNORE]).tolist():
        shares_PK[:, k] = mean(class_HW == k) / np.maximum(known_P, 1e-6)
    return shares_PK, known_P


def out_of_fold(cells: Cells, fold_N: np.ndarray) -> np.ndarray:
    """Class probabilities (N, P, K), float32: of each fold by the ridge regression of the others on the shares, clipped and divided
    by their sum; with the penalty that has the least squared error on these predictions."""
    N, P, D = cells.features_NPD.shape
    K, folds = cells.shares_NPK.shape[2], np.unique(fold_N)
    weight_NP = cells.known_NP / max(float(cells.known_NP.sum()), 1e-6)
    middle_D = np.mean([one_PD.mean(axis=0, dtype=np.float32) for one_PD in cells.features_NPD], axis=0)
    square_D = np.mean([np.square(one_PD - middle_D).mean(axis=0) for one_PD in cells.features_NPD], axis=0)
    scale_D = np.sqrt(square_D) + 1e-6
    gram_FDD, wanted_FDK = np.zeros((len(folds), D + 1, D + 1)), np.zeros((len(folds), D + 1, K))

    def design(n: int) -> np.ndarray:
        x_PD = (cells.features_NPD[n].astype(np.float32) - middle_D) / scale_D
        return np.concatenate([x_PD, np.ones((P, 1), np.float32)], axis=1)

    for f, fold in enumerate(folds):
        for n in np.flatnonzero(fold_N == fold).tolist():
            x_PD = design(n)
            weighted_PD = x_PD * weight_NP[n][:, None]
            gram_FDD[f] += weighted_PD.T @ x_PD
            wanted_FDK[f] += weighted_PD.T @ cells.shares_NPK[n]
    best, least = np.empty((N, P, K), np.float32), np.inf
    ridge_D = np.append(np.ones(D), 0.0)  # none for the constant
    for penalty in _PENALTIES:
        found = np.empty((N, P, K), np.float32)
        for f, fold in enumerate(folds):
            rest_DD, rest_DK = gram_FDD.sum(axis=0) - gram_FDD[f], wanted_FDK.sum(axis=0) - wanted_FDK[f]
            weights_DK = np.linalg.solve(rest_DD + np.diag(penalty * ridge_D + 1e-9), rest_DK).astype(np.float32)
            for n in np.flatnonzero(fold_N == fold).tolist():
                found[n] = design(n) @ weights_DK
        error = float((weight_NP[..., None] * (found - cells.shares_NPK) ** 2).sum())
        if error < least:
            best, least = found, error
    best = np.clip(best, _SMALLEST, None)
    return best / best.sum(axis=2, keepdims=True)


def lean_N(cells: Cells, probs_NPK: np.ndarray) -> np.ndarray:
    """How much the prediction of each image leans away from its mask, 0 … 1: the mean over known pixels of the probability of the
    most likely class of a cell minus that of the labelled ones."""
    lean_NP = probs_NPK.max(axis=2) - (probs_NPK * cells.shares_NPK).sum(axis=2)
    return (lean_NP * cells.known_NP).sum(axis=1) / np.maximum(cells.known_NP.sum(axis=1), 1e-6)


def check_mask_errors(
    cells: Cells, fold_N: np.ndarray, ids: list[str], classes: tuple[str, ...], how: Sentence
) -> list[Finding]:
    """Suspected masks, the most likely errors first: those from which the prediction leans away by at least 0.03, and by six median
    deviations more than from the median mask. how: a description of the first model. A model that gets fewer than half of the cells
    right that a constant answer would miss is too weak to accuse a mask."""
    kind = english("suspected masks")
    probs_NPK = out_of_fold(cells, fold_N)
    counted_NP = cells.known_NP > 0
    label_M, found_M = (values.argmax(axis=2)[counted_NP] for values in (cells.shares_NPK, probs_NPK))
    right, constant = float((label_M == found_M).mean()), float(np.bincount(label_M).max() / len(label_M))
    if right - constant < GOOD_ENOUGH * (1 - constant):
        text = english(
            "no search for wrong masks: the first model ({how!t}) finds the class of {right:.0f} % of the cells of the images, a "
            "constant answer that of {constant:.0f} %; other pretrained weights may be better (--weights)",
            how=how, right=100 * right, constant=100 * constant,
        )  # fmt: skip
        return [Finding(kind, "fact", text)]
    lean = lean_N(cells, probs_NPK)
    middle = float(np.median(lean))
    limit = max(LEAST_LEAN, middle + UNUSUAL * float(np.median(np.abs(lean - middle))))
    suspects = [n for n in np.argsort(-lean, kind="stable").tolist() if lean[n] > limit]
    if not suspects:
        return []
    notes = tuple(_note(cells, probs_NPK, n, classes) for n in suspects)
    text = english_n(
        "{n} mask is suspicious: review it; the first model ({how!t}) finds the class of {right:.0f} % of the cells of the images, "
        "and some suspects are its own errors",
        "{n:,} masks are suspicious, the most likely errors first: review them; the first model ({how!t}) finds the class of "
        "{right:.0f} % of the cells of the images, and some suspects are its own errors",
        len(suspects), how=how, right=100 * right,
    )  # fmt: skip
    return [Finding(kind, "warning", text, tuple((ids[n],) for n in suspects), notes)]


def _note(cells: Cells, probs_NPK: np.ndarray, n: int, classes: tuple[str, ...]) -> Sentence:
    """The pair of classes that differ on the largest part of the image."""
    K = len(classes)
    most_PK = np.eye(K)[probs_NPK[n].argmax(axis=1)]
    table_KK = np.einsum("p,pk,pj->kj", cells.known_NP[n], cells.shares_NPK[n], most_PK)
    np.fill_diagonal(table_KK, 0)
    label, predicted = divmod(int(table_KK.argmax()), K)
    return english(
        "{label} in the mask, {predicted} predicted on {share:.0f} % of the image",
        label=classes[label],
        predicted=classes[predicted],
        share=100 * table_KK[label, predicted] / max(float(cells.known_NP[n].sum()), 1e-6),
    )
