"""Label spreading: the closed form, and the last layer fitted to it."""

import numpy as np
import pytest
import torch
from sklearn.semi_supervised import LabelSpreading as Trusted

from whet.core.batch import Context, Features
from whet.core.rng import Rng
from whet.methods import LabelSpreading, LogisticRegression
from whet.methods.semi.spreading import certainty, neighbour_graph, spread
from whet.tasks import SINGLE_LABEL


def two_arcs(count=60):
    """Two half circles in the plane, each a class; seen from a third dimension, so that angles tell points apart."""
    turn_N = np.linspace(0, np.pi, count // 2)
    upper = np.stack([np.cos(turn_N), np.sin(turn_N)], axis=1)
    lower = np.stack([1 - np.cos(turn_N), 0.3 - np.sin(turn_N)], axis=1)
    points = np.concatenate([upper, lower])
    return np.concatenate([points, np.full((count, 1), 0.7)], axis=1), np.arange(count) // (count // 2)


def test_it_equals_scikit_learn():
    x_ND, label_N = two_arcs()
    graph = neighbour_graph(x_ND, 5, 3.0)
    given_N = np.where(np.isin(np.arange(60), [0, 15, 29, 30, 44, 59]), label_N, -1)
    trusted = Trusted(kernel=lambda a, b: graph.toarray(), alpha=0.8, max_iter=5000, tol=1e-12).fit(x_ND, given_N)
    label_NK = np.where(given_N[:, None] >= 0, np.eye(2)[given_N], 0.0)
    assert np.allclose(spread(graph, label_NK, 0.8), trusted.label_distributions_, atol=1e-4)


def test_the_graph_is_symmetric_and_has_the_cosine_of_neighbours():
    x_ND, _ = two_arcs()
    graph = neighbour_graph(x_ND, 5, 1.0).toarray()
    assert np.allclose(graph, graph.T) and (np.diag(graph) == 0).all() and ((graph > 0).sum(axis=1) >= 5).all()
    cosine = float(x_ND[3] @ x_ND[4] / np.linalg.norm(x_ND[3]) / np.linalg.norm(x_ND[4]))
    assert graph[3, 4] == pytest.approx(2 * cosine)  # each is among the nearest of the other


def test_certainty_is_one_minus_the_normalised_entropy():
    assert certainty(np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])).tolist() == pytest.approx([1, 0])
    half = certainty(np.array([[0.5, 0.5, 0.0]]))[0]
    assert half == pytest.approx(1 - np.log(2) / np.log(3))


def test_unlabelled_samples_of_curved_classes_improve_the_last_layer():
    """One labelled sample at the end of each arm: the labelled ones alone say little of the direction that separates the arms."""
    rng = Rng(0).batch("arms", 0, np.arange(200))
    label_N = np.arange(200) % 2
    along_N = rng.uniform(-2, 2)
    across_N = np.where(label_N, 1.0, -1.0) + 0.1 * rng.normal()
    x_ND = np.stack([along_N, along_N, along_N, across_N, np.ones(200)], axis=1)
    ends = [int(np.flatnonzero(label_N == 0)[along_N[label_N == 0].argmin()]),
            int(np.flatnonzero(label_N == 1)[along_N[label_N == 1].argmax()])]  # fmt: skip
    own = np.repeat(ends, 5)  # folds need several samples of a class
    features = torch.from_numpy(x_ND).float()

    def accuracy(method):
        net = _Linear(5, 2)
        targets = SINGLE_LABEL.targets(label_N[own], 2)
        noisy = features[own] + torch.from_numpy(0.01 * rng.normal((5,))[: len(own)]).float()
        context = Context(
            SINGLE_LABEL, ("a", "b"), np.array([5, 5]), lambda: Features(noisy, targets, np.arange(10)),
            unlabelled=200, unlabelled_features=lambda: features,
        )  # fmt: skip
        method.initialise(net, context)
        return float((net.linear(features).argmax(dim=1).numpy() == label_N).mean())

    assert accuracy(LabelSpreading(neighbors=8, alpha=0.95)) > accuracy(LogisticRegression()) + 0.05


class _Linear:
    def __init__(self, features, classes):
        self.linear = torch.nn.Linear(features, classes)
