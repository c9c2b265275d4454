import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from whet.core.batch import Features
from whet.core.rng import Rng
from whet.core.targets import Targets
from whet.methods import LinearProbeThenFinetune

N, D, K = 200, 6, 3


def features():
    rng = Rng(1).batch("f", 0, np.arange(N))
    x = rng.normal((D,)) * [1, 5, 0.1, 1, 1, 1] + 3
    return x, ((x - 3) @ rng.normal((K,))[:D] + 0.5 * rng.normal((K,))).argmax(axis=1)


def test_the_head_starts_at_scikit_learn_s_optimum(net, context):
    x, y = features()
    given = Features(torch.from_numpy(x).float(), Targets.from_labels(torch.from_numpy(y), K), np.arange(len(y)))
    model = net(D, K)
    LinearProbeThenFinetune(l2=0.01).initialise(model, context((1, 1, 1), lambda: given))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    reference = LogisticRegression(C=1 / (N * 0.01), tol=1e-10, max_iter=10_000).fit(scaled, y)
    with torch.no_grad():
        probs = model.head(given[0]).softmax(dim=1).numpy()
    assert np.abs(probs - reference.predict_proba(scaled)).max() < 2e-3


def test_every_weight_may_move_afterwards(net, context):
    model = net(D, K)
    x, y = features()
    method = LinearProbeThenFinetune()
    targets = Targets.from_labels(torch.from_numpy(y), K)
    given = Features(torch.from_numpy(x).float(), targets, np.arange(len(y)))
    method.initialise(model, context((1, 1, 1), lambda: given))
    assert not model.lr_scale
    assert not model.resting
