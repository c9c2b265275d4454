"""What a pre-training is measured by, and what it takes."""

import numpy as np
import pytest
import torch

from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.stages import Stage
from whet.core.task import allowed
from whet.methods import SimSiam
from whet.tasks import PRETRAINING
from whet.tasks.pretraining import feature_deviation, knn_accuracy
from whet.testing.bench import made, make_bench, train_steps


def evidence(features_ND, labels=None, loss=0.0):
    N = len(features_ND)
    statistics = np.column_stack([np.full(N, loss), features_ND])
    labels = np.zeros(N, dtype=np.int64) if labels is None else np.asarray(labels)
    return PRETRAINING.evidence(("a", "b", "c"), np.array([str(i) for i in range(N)]), labels, statistics)


def draws(N, D, seed=0):
    return Rng(seed).batch("features", 0, np.arange(N)).normal((D,))


def test_the_deviation_is_one_of_random_directions_and_zero_of_equal_ones():
    assert feature_deviation(evidence(100 * draws(4000, 32))) == pytest.approx(1, abs=0.02)
    assert feature_deviation(evidence(np.tile(draws(1, 32), (50, 1)))) < 1e-3
    # Its square is one less the cosine similarity of two samples, if all numbers vary alike.
    shared = draws(4000, 64) + 2 * np.tile([1.0, -1.0], 32)
    unit = shared / np.linalg.norm(shared, axis=1, keepdims=True)
    alike = (np.linalg.norm(unit.sum(axis=0)) ** 2 - 4000) / (4000 * 3999)
    assert feature_deviation(evidence(shared)) ** 2 == pytest.approx(1 - alike, abs=0.02)


def test_neighbours_vote_by_their_similarity():
    features, labels = draws(60, 5), Rng(1).batch("labels", 0, np.arange(60)).integers(3)
    found = evidence(features, labels)
    unit, right = found.unit_ND.astype(float), 0
    for i in range(60):
        alike = unit @ unit[i]
        alike[i] = -9
        votes = np.zeros(3)
        for j in np.argsort(-alike)[:20]:
            votes[labels[j]] += np.exp(alike[j] / 0.07)
        right += votes.argmax() == labels[i]
    assert knn_accuracy(found) == pytest.approx(right / 60)
    apart = np.eye(3)[np.arange(60) % 3] + 0.01 * features[:, :3]
    assert knn_accuracy(evidence(apart, np.arange(60) % 3)) == 1


def test_neighbours_are_only_asked_where_there_are_classes():
    measured = PRETRAINING.measure(evidence(draws(20, 4), loss=0.25))
    assert measured.keys() == {"samples", "loss", "feature_deviation"} and measured["loss"] == 0.25
    assert PRETRAINING.score(measured) == -0.25
    assert "knn_accuracy" in PRETRAINING.measure(evidence(draws(20, 4), np.arange(20) % 2))


def test_evidence_read_again_is_the_same():
    found = evidence(draws(7, 3), np.arange(7) % 2, loss=0.5)
    again = PRETRAINING.read_evidence(found.classes, found.ids, found.arrays)
    assert PRETRAINING.measure(again) == PRETRAINING.measure(found)
    assert PRETRAINING.table(found) == (["loss"], [["0.5"]] * 7)


def test_methods_that_need_no_labels_apply():
    names = {cls.name for cls in registry() if allowed("image-pretraining", cls)}
    assert {
        "random_resized_crop",
        "adamw",
        "sgd",
        "cosine",
        "warmup",
        "clip_norm",
        "ema",
        "freeze",
        "from_run",
    } <= names
    assert not {"mixup", "focal", "label_smoothing", "tta", "linear_probe", "kfac", "curriculum", "token_mask"} & names
    assert {"token_mask", "masked_language_model"} <= {
        cls.name for cls in registry() if allowed("text-pretraining", cls)
    }
    with pytest.raises(RecipeError, match="mixup"):
        Recipe.from_dict({"task": "image-pretraining", "methods": ["simsiam", "mixup"]})


OTHERS = [
    cls
    for cls in registry()
    if allowed("image-pretraining", cls)
    and cls.stage is not Stage.SAMPLE
    and cls.family not in ("pretrain", "optimize")
]


@pytest.mark.slow
def test_they_train_beside_a_pretext():
    """One list, as each takes a part of a second."""
    assert len(OTHERS) > 20
    for cls in OTHERS:
        bench = make_bench(
            (SimSiam(width=8, bottleneck=4), made(cls)), "image-pretraining", architecture="resnet9_slim"
        )
        train_steps(bench, 2)
        weights = bench.plan.net.state_dict().values()
        assert all(torch.isfinite(tensor).all() for tensor in weights if tensor.is_floating_point()), cls.name
