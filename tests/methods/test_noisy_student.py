"""A student on its teacher's labels: targets, weights, noise, and the teacher's recipe."""

import numpy as np
import pytest
import torch
from tests.methods.test_pseudo_label import recipe

from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.core.view import ImageView
from whet.methods import NoisyStudent, RandAugment


def probabilities():
    return np.array([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.5, 0.3, 0.2], [0.1, 0.9, 0.0]])


def test_soft_and_hard_labels():
    soft, _ = NoisyStudent().pseudo_targets(probabilities())
    hard, _ = NoisyStudent(soft=False).pseudo_targets(probabilities())
    assert np.allclose(soft, probabilities()) and hard.tolist() == [[1, 0, 0]] * 3 + [[0, 1, 0]]


def test_balanced_labels_have_the_same_total_weight_for_each_class_they_have():
    _, weights = NoisyStudent().pseudo_targets(probabilities())
    assert weights[:3].sum() == pytest.approx(weights[3]) and weights.sum() == pytest.approx(4)
    assert NoisyStudent(balance=False).pseudo_targets(probabilities())[1].tolist() == [1] * 4
    rare = np.concatenate([np.tile([[0.9, 0.1]], (50, 1)), [[0.2, 0.8]]])
    assert NoisyStudent().pseudo_targets(rare)[1].max() == 3


def test_the_teacher_is_the_recipe_without_noise_and_may_be_smaller():
    student = Recipe(
        task="image-classification", data=DataSpec(path="a", unlabelled="b"), model=ModelSpec(architecture="resnet18"),
        methods=(NoisyStudent(teacher=ModelSpec(architecture="resnet9")), RandAugment()),
    )  # fmt: skip
    teacher = student.method("noisy_student").predecessor(student)
    assert [method.name for method in teacher.methods] == ["rand_augment"] and teacher.model.architecture == "resnet9"


def test_images_are_changed_as_by_rand_augment():
    view, rng = ImageView.whole(np.full((8, 2), 64), (64, 64)), Rng(1).batch("x", 0, np.arange(8))
    ours = NoisyStudent(magnitude=12).draw(view, rng)
    theirs = RandAugment(magnitude=12).draw(view, Rng(1).batch("x", 0, np.arange(8)))
    assert np.array_equal(ours.warp_B33, theirs.warp_B33) and ours.changed_since(view).any()
    assert NoisyStudent(magnitude=0).draw(view, rng) is view
    pixels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    assert NoisyStudent().transform_batch(pixels, rng) is pixels


@pytest.mark.slow
def test_a_smaller_teacher_that_is_handed_over_predicts_as_in_its_own_run(images, tmp_path, monkeypatch):
    from tests.conftest import write_images

    import whet
    from whet.evaluate.evidence import read_evidence
    from whet.training import guard
    from whet.training.job import train_run

    monkeypatch.setattr(guard, "HYSTERESIS", 1e9)  # no gain is large enough
    more = write_images(tmp_path / "more", {"any": 16}, seed=9)
    method = {"noisy_student": {"teacher": {"architecture": "lenet", "weights": "none"}}}
    run = train_run(recipe(images, more, method, budget="1ep"), tmp_path / "run")
    assert run.read_json(run.metrics)["guard"]["hands_over"]
    evidence = read_evidence(run, "test")
    found = whet.load(run.path).predict([str(images / id_) for id_ in evidence.ids[:4]])
    probs_NK = found[[f"p:{name}" for name in evidence.classes]].to_numpy()
    assert np.allclose(probs_NK, evidence.probs_NK[:4], atol=1e-4)
