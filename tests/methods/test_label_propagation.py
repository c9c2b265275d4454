"""Labels spread over neighbours in learned features, and the training on them."""

import numpy as np
import pytest
import torch
from tests.conftest import write_images

from whet.core.duration import Duration
from whet.core.recipe import Recipe
from whet.core.spec import DataSpec
from whet.methods import LabelPropagation
from whet.training.job import train_run


def test_two_moons_are_labelled_from_one_sample_each():
    """The nearest labelled sample would be wrong for many: the ends of the moons lie beside the middle of the other one."""
    angle = np.linspace(0, np.pi, 60)
    upper = np.stack([np.cos(angle), np.sin(angle), np.full(60, 2.0)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle), np.full(60, 2.0)], axis=1)
    features, moon = np.concatenate([upper, lower]), np.repeat([0, 1], 60)
    label = np.zeros((120, 2))
    label[0, 0] = label[60, 1] = 1
    nearest = np.argmax(features @ features[[0, 60]].T / np.linalg.norm(features[[0, 60]], axis=1), axis=1)
    found = LabelPropagation(neighbors=3, alpha=0.99).labelled_by(features, label)
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found.argmax(axis=1) == moon).mean() == 1 > (nearest == moon).mean()


def test_a_label_weighs_as_much_as_it_is_certain():
    """1 - entropy / log K, by hand: uniform 0, certain 1, half and half of four classes 1/2."""
    targets, weights = LabelPropagation().pseudo_targets(
        np.array([[0.25, 0.25, 0.25, 0.25], [0, 1, 0, 0], [0.5, 0, 0.5, 0]])
    )
    assert targets[1].tolist() == [0, 1, 0, 0] and targets.sum(axis=1).tolist() == [1, 1, 1]
    assert weights.tolist() == pytest.approx([0, 1, 0.5])


def test_rounds_share_the_minutes_equally():
    recipe = Recipe(
        task="image-classification", data=DataSpec(path="a", unlabelled="b"), methods=(LabelPropagation(rounds=2),)
    ).setting(budget=Duration(30, "m"))
    second = recipe.method("label_propagation").predecessor(recipe)
    first = second.method("label_propagation").predecessor(second)
    assert "label_propagation" not in first and second.method("label_propagation").rounds == 1
    assert [one.train.budget.seconds / 60 for one in (first, second, recipe)] == [10, 20, 30]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("propagation")
    recipe = Recipe.from_dict(
        {
            "data": {
                "path": str(write_images(root / "images", {"glass": 12, "metal": 12, "paper": 12})),
                "unlabelled": str(write_images(root / "more", {"glass": 10, "metal": 10, "paper": 4}, seed=9)),
            },
            "model": {"architecture": "resnet9_slim", "weights": "none"},
            "train": {"budget": "4ep", "batch_size": 8, "image_size": 32, "precision": "fp32", "torch_threads": 1},
            "methods": [{"sgd": {"lr": 0.02}}, {"label_propagation": {"neighbors": 4}}],
        }
    )
    return train_run(recipe, root / "run")


def test_every_unlabelled_sample_is_labelled_by_the_features_of_the_run_before(run):
    record = run.read_json(run.metrics)["pseudo_labels"]
    assert record["chosen"] == record["of"] == 24 == record["compared"] and "temperature" not in record
    assert record["agree"] > 12  # of three classes, chance is 8
    with np.load(run.pseudo_labels / "labels.npz") as arrays:
        assert (arrays["probs"].argmax(axis=1) == arrays["labels"]).all() and (arrays["weights"] <= 1).all()


def test_it_takes_the_same_labels_as_the_formula(run):
    """The labels are those of (1 - alpha)(I - alpha S)^-1 Y, solved densely here, on the features of the run before."""
    from whet.core.run_folder import RunFolder
    from whet.core.spec import DataSpec
    from whet.data.read import read_data
    from whet.evaluate.inference import run_inference
    from whet.training.resolve import make_fabric
    from whet.training.saved import SavedModel

    recipe, first = Recipe.load(run.recipe), RunFolder(run.external_models / "label_propagation")
    table, saved = read_data(DataSpec.model_validate(recipe.data)), SavedModel(first.model, torch.device("cpu"))
    train, more = table.part("train"), table.part("unlabelled")
    features = torch.cat(
        [
            run_inference(
                saved.net, saved.net.backbone, saved.loader(part.frame, 1), saved.size, make_fabric(recipe).autocast
            )[0]
            for part in (train, more)
        ]
    ).double()
    unit = torch.nn.functional.normalize(features, dim=1)
    cosine = (unit @ unit.T).numpy()
    np.fill_diagonal(cosine, -1)
    directed = np.zeros_like(cosine)
    for row, near in enumerate(np.argsort(-cosine, axis=1)[:, :4]):
        directed[row, near] = np.clip(cosine[row, near], 0, None) ** 3
    weight = directed + directed.T
    scale = 1 / np.sqrt(weight.sum(axis=1))
    label = np.zeros((len(unit), 3))
    label[np.arange(len(train)), train.label_N] = 1
    spread = np.linalg.solve(np.eye(len(unit)) - 0.9 * scale[:, None] * weight * scale, 0.1 * label)[len(train) :]
    with np.load(run.pseudo_labels / "labels.npz") as arrays:
        assert arrays["ids"].tolist() == more.frame["id"].tolist()
        sure = np.sort(spread, axis=1)[:, -1] > 1.01 * np.sort(spread, axis=1)[:, -2]
        assert (arrays["labels"] == spread.argmax(axis=1))[sure].all() and sure.sum() > 12
