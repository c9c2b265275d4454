import numpy as np
import torch
from threadpoolctl import threadpool_limits

from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.evaluate.evidence import read_evidence
from whet.models.front import ImageFront
from whet.training.feature_map import FeatureWatch, positions, small_images


def clusters(number=60, seed=0):
    noise_ND = Rng(seed).batch("noise", 0, np.arange(number)).uniform(-1, 1, (16,))
    centre_ND = 4 * np.eye(16)[np.arange(number) % 3]
    return centre_ND + noise_ND, np.arange(number) % 3


def test_neighbours_of_a_cluster_stay_together():
    features_ND, cluster_N = clusters()
    for xy_N2 in positions(features_ND):
        distance_NN = np.linalg.norm(xy_N2[:, None] - xy_N2[None], axis=-1)
        np.fill_diagonal(distance_NN, np.inf)
        assert (cluster_N[distance_NN.argmin(axis=1)] == cluster_N).mean() > 0.95


def test_the_positions_do_not_depend_on_the_number_of_threads():
    features_ND, _ = clusters(40)
    with threadpool_limits(1):
        one = positions(features_ND)
    with threadpool_limits(2):
        two = positions(features_ND)
    assert all(np.array_equal(a, b) for a, b in zip(one, two))


def test_features_without_variance_have_positions():
    components_N2, neighbours_N2 = positions(np.ones((20, 4)))
    assert not components_N2.any()
    assert np.isfinite(neighbours_N2).all()


class _Net:
    front = ImageFront((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))


def test_the_first_view_of_a_batch_is_kept_and_only_of_the_wanted_samples():
    watch = FeatureWatch(_Net(), ["b", "c"], 8)
    pixels = torch.rand(3, 3, 16, 16)
    x = (pixels - _Net.front.mean) / _Net.front.std
    watch.notice(None, (x,), torch.tensor([[1.0], [2.0], [3.0]]))
    watch.notice(None, (x.flip(-1),), torch.tensor([[7.0], [8.0], [9.0]]))
    watch.keep(["a", "b", "c"], torch.zeros(3, 2))
    assert {name: row.tolist() for name, row in watch.features.items()} == {"b": [2.0], "c": [3.0]}
    assert watch.images["b"].shape == (8, 8, 3)
    assert np.allclose(watch.images["b"].mean((0, 1)), 255 * pixels[1].mean((1, 2)).numpy(), atol=2)
    watch.keep(["b"], torch.zeros(1, 2))  # predicted without this network: nothing new
    assert watch.features["b"].tolist() == [2.0]


def test_sparse_outputs_are_the_features():
    watch = FeatureWatch(_Net(), ["a"], 8)
    watch.keep(["a", "b"], torch.eye(2).to_sparse())
    assert watch.features["a"].toarray().tolist() == [[1.0, 0.0]]


def test_texts_have_no_small_image():
    assert small_images(torch.nn.Identity(), torch.zeros(2, 5), 8) == []


def test_a_run_keeps_the_map_of_its_test_samples(finished_run):
    folder = RunFolder(finished_run)
    plain = folder.read_json(folder.feature_map / "map.json")
    assert plain["split"] == "test"
    assert sorted(plain["ids"]) == read_evidence(folder, "test").ids.tolist()
    assert len(plain["neighbours"]) == len(plain["components"]) == len(plain["ids"])
    assert (folder.feature_map / "sheet.jpg").is_file()
    kinds = [kind for one in folder.read_json(folder.examples / "examples.json")["classes"] for kind in one]
    assert {"right", "wrong", "unsure"} <= set(kinds)
