"""The linear layer that is best for given features, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from whet.models.linear import feature_rows, fit_best_linear, fit_linear, folds_of, out_of_fold_probs
from whet.tasks import MULTI_LABEL, SINGLE_LABEL

N, D, K, L2 = 300, 20, 3, 1e-2


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)) * np.arange(1, D + 1)
    y = (x[:, 0] + x[:, 1] + rng.normal(size=N) > 0).astype(int) + (x[:, 3] > 2)
    return x, y, SINGLE_LABEL.targets(torch.tensor(y), K)


def probs(layer, x):
    return layer(torch.tensor(x, dtype=torch.float32)).softmax(dim=1).detach().numpy()


def test_it_is_scikit_learn_s_on_standardised_features(data):
    x, y, targets = data
    layer = nn.Linear(D, K)
    fit_linear(layer, torch.tensor(x), targets, L2)
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    reference = LogisticRegression(C=1 / (L2 * N), tol=1e-10, max_iter=10_000).fit(z, y)
    assert probs(layer, x) == pytest.approx(reference.predict_proba(z), abs=1e-4)


def test_sparse_features_are_taken_as_they_are(data):
    x, y, targets = data
    x = np.where(np.abs(x) > 3, x, 0.0) / 20
    layer = nn.Linear(D, K)
    fit_linear(layer, torch.tensor(x).to_sparse(), targets, L2)
    reference = LogisticRegression(C=1 / (L2 * N), tol=1e-10, max_iter=10_000).fit(x, y)
    assert probs(layer, x) == pytest.approx(reference.predict_proba(x), abs=1e-3)
    rows = torch.tensor([5, 2])
    assert torch.equal(feature_rows(torch.tensor(x).to_sparse(), rows), torch.tensor(x)[rows])


def test_several_labels_are_several_regressions(data):
    x, y, _ = data
    both = torch.tensor(np.stack([y == 0, x[:, 2] > 0], axis=1))
    layer = nn.Linear(D, 2)
    fit_linear(layer, torch.tensor(x), MULTI_LABEL.targets(both, 2), L2)
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    for k in range(2):
        reference = LogisticRegression(C=1 / (L2 * N), tol=1e-10, max_iter=10_000).fit(z, both[:, k].numpy())
        found = layer(torch.tensor(x, dtype=torch.float32))[:, k].sigmoid().detach().numpy()
        assert found == pytest.approx(reference.predict_proba(z)[:, 1], abs=1e-4)


def test_weighted_samples_count_as_if_they_were_there_so_often(data):
    x, _, targets = data
    weight_N = torch.tensor(np.arange(N) % 3, dtype=torch.float64)
    one, other = nn.Linear(D, K), nn.Linear(D, K)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    often = np.repeat(np.arange(N), np.arange(N) % 3)
    sparse = torch.tensor(x).to_sparse()
    fit_linear(one, sparse, targets, L2, weight_N=weight_N)
    fit_linear(other, sparse.index_select(0, torch.from_numpy(often)), targets[torch.from_numpy(often)], L2)
    assert torch.allclose(one.weight, other.weight, atol=1e-3)


def test_noise_wants_a_large_penalty_and_signal_a_small_one():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(400, 40)), rng.integers(2, size=400)
    clear = x + 3 * np.eye(40)[y] - 3 * np.eye(40)[1 - y]
    fold_N = np.arange(400) % 5
    targets = SINGLE_LABEL.targets(torch.tensor(y), 2)
    layer = nn.Linear(40, 2)
    noise, signal = (fit_best_linear(layer, torch.tensor(one), targets, fold_N) for one in (x, clear))
    assert noise == 1.0 and signal < 0.1
    held = out_of_fold_probs(torch.tensor(x), targets, fold_N)
    assert abs((held.argmax(axis=1) == y).mean() - 0.5) < 0.1  # nobody is answered by a fit to itself


def test_sparse_samples_that_are_alike_share_a_fold():
    x = np.zeros((40, 6))
    x[np.arange(40), np.arange(40) % 5] = 1.0 + np.arange(40) // 2 % 10
    x[1::2] = x[::2]
    targets = SINGLE_LABEL.targets(torch.arange(40) // 20, 2)
    fold_N = folds_of(torch.tensor(x).to_sparse(), targets, 2)
    assert (fold_N[::2] == fold_N[1::2]).all() and set(fold_N) == {0, 1}


def test_samples_that_are_all_alike_give_the_shares_of_the_classes():
    """A collapsed or dead network: nothing can be held out, and the best prediction are the shares."""
    x, targets = torch.ones(20, 4), SINGLE_LABEL.targets(torch.tensor([0] * 14 + [1] * 6), 2)
    fold_N, layer = folds_of(x, targets), nn.Linear(4, 2)
    assert len(np.unique(fold_N)) == 1
    fit_best_linear(layer, x, targets, fold_N)
    assert probs(layer, x.numpy()) == pytest.approx(np.tile([0.7, 0.3], (20, 1)), abs=1e-3)
    assert out_of_fold_probs(x, targets, fold_N) == pytest.approx(0.5)
