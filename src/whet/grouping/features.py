"""The features that samples are grouped by: those of a frozen pretrained network, or simple ones where there is none.

Simple features are weak: they see colours and edges, words, or the mean spectrum, and not what a sample is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whet.core.errors import RecipeError
from whet.core.language import Sentence, english
from whet.core.recipe import Recipe
from whet.data.table import Table

_SIMPLE = {
    "image": english("colours and edges of a thumbnail"),
    "text": english("words and character n-grams (TF-IDF)"),
    "audio": english("mean and spread of the log-mel bands"),
}
_SIMPLE_ARCHITECTURES = {"text": "tf_idf"}


@dataclass(frozen=True)
class Described:
    """features_RD: an array, or a sparse matrix (R, D), one row per sample that could be read. row_R: the numbers of their rows in
    the table. failed: the other rows, each with the reason. name: what the features are. simple: whether no network made them."""

    features_RD: Any
    row_R: np.ndarray
    failed: dict[int, str]
    name: Sentence
    simple: bool


def describe(
    table: Table, recipe: Recipe, threads: int, advance: Callable[[int], None] = lambda count: None
) -> Described:
    """The features of the samples by the recipe's model. Without pretrained weights (`weights: none`, and by default for small
    images, texts and audio clips): simple features. RecipeError for an architecture without weights, because the features of random
    weights depend on chance. WeightsError for weights that are not available."""
    from whet.frozen import built, frozen_features
    from whet.models.build import resolve
    from whet.training.resolve import usual_size

    model, medium = recipe.model, table.medium
    resolved = resolve(model, usual_size(recipe, table) if model.weights == "auto" else 0, medium)
    if resolved.weights == "none":
        if model.architecture not in ("auto", _SIMPLE_ARCHITECTURES.get(medium)):
            raise RecipeError(
                f"architecture '{model.architecture}' starts from random weights, whose features say nothing about the samples; "
                "accepted: --weights with a local folder or a hub name, or no architecture for simple features"
            )
        return _simple(table, threads, advance)
    failed: dict[int, str] = {}
    frozen = built(table, recipe.setting(precision="fp32"))  # the speed of the machine must not change a group
    features_RD, row_R = frozen_features(frozen, table, threads, failed.__setitem__, advance)
    if getattr(features_RD, "is_sparse", False):
        features_RD = features_RD.to_dense()
    name = english("features of {weights}", weights=Path(frozen.recipe.model.weights).name)
    return Described(features_RD.float().numpy(), row_R, failed, name, simple=False)


def _simple(table: Table, threads: int, advance: Callable[[int], None]) -> Described:
    from whet.data.audit import MEDIA
    from whet.data.audit.first_model import audio_features, image_features
    from whet.data.audit.texts.first_model import tf_idf

    name = _SIMPLE[table.medium]
    if table.medium == "text":
        return Described(tf_idf(table.frame["text"].tolist()), np.arange(len(table)), {}, name, simple=True)
    survey: Any = MEDIA[table.medium].look(table, threads, advance)
    rows, failed = survey.row_R, {row: reason for row, reason in enumerate(survey.reason_N) if reason}
    if not len(rows):
        found: Any = np.empty((0, 1))
    elif table.medium == "image":
        found = image_features(survey, rows)
    else:
        found = audio_features(survey, rows).astype(np.float64)
        spread_D = found.std(axis=0)
        found = (found - found.mean(axis=0)) / np.where(spread_D > 1e-9, spread_D, 1.0)
    return Described(found, rows, failed, name, simple=True)
