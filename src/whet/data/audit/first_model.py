"""The first model, which finds suspicious labels: a linear model on fixed features, evaluated out of fold."""

from __future__ import annotations

from typing import Any

import numpy as np

from whet.core.rng import Rng
from whet.data.audit.audio.survey import AudioSurvey
from whet.data.audit.handmade import handmade_features
from whet.data.audit.survey import ImageSurvey
from whet.tasks import SINGLE_LABEL

_LEARNED_FROM = 6000  # training samples: more improve a linear model of a few hundred features little, and take minutes


def linear_probs(features_RD: Any, label_R: np.ndarray, classes: int, fold_R: np.ndarray) -> np.ndarray:
    """Out-of-fold probabilities (R, K): each fold (0, 1, …) is predicted by a model fitted on the others, for very many samples on
    the same share of every class. features_RD: a float32 tensor or array."""
    import torch

    from whet.models.linear import out_of_fold_probs

    targets = SINGLE_LABEL.targets(label_R, classes)
    return out_of_fold_probs(torch.as_tensor(features_RD), targets, fold_R, _learning(label_R, fold_R))


def _learning(label_R: np.ndarray, fold_R: np.ndarray) -> np.ndarray:
    """About _LEARNED_FROM samples, bool (R,): the same share of every class in every fold, and at least one."""
    cell_R = np.unique(np.stack([label_R, fold_R]), axis=1, return_inverse=True)[1].reshape(-1)
    order = Rng(0).shuffled("first model", 0, len(label_R))
    order = order[np.argsort(cell_R[order], kind="stable")]
    counts_C = np.bincount(cell_R)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts_C) - counts_C, counts_C)
    learn_R = np.zeros(len(label_R), dtype=bool)
    learn_R[order] = place < np.ceil(counts_C * min(1.0, _LEARNED_FROM / len(label_R)))[cell_R[order]]
    return learn_R


def image_features(survey: ImageSurvey, rows: np.ndarray) -> np.ndarray:
    """Hand-crafted features of some rows, float32 (R, 288)."""
    return survey.of_thumbs(rows, handmade_features)


def audio_features(survey: AudioSurvey, rows: np.ndarray) -> np.ndarray:
    """64 log-mel bands: mean, standard deviation and standard deviation of its change, of any level; (R, 192)."""
    return survey.prints_N["bands"][rows].reshape(len(rows), -1)


def image_probs(survey: ImageSurvey, rows: np.ndarray, fold_R: np.ndarray) -> np.ndarray:
    """The probabilities of `linear_probs` with hand-crafted features."""
    return linear_probs(image_features(survey, rows), survey.label_N[rows], len(survey.table.classes), fold_R)


def audio_probs(survey: AudioSurvey, rows: np.ndarray, fold_R: np.ndarray) -> np.ndarray:
    """The probabilities of `linear_probs` with the features of log-mel bands."""
    return linear_probs(audio_features(survey, rows), survey.label_N[rows], len(survey.table.classes), fold_R)
