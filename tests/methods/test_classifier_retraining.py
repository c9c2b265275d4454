import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from whet.core.batch import Features
from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.methods import ClassifierRetraining, Head
from whet.models.linear import fit_best_linear, folds_of
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench

N, D, K = 400, 6, 3
SHARES = np.array([0.8, 0.15, 0.05])


def features(seed=1):
    rng = Rng(seed).batch("f", 0, np.arange(N))
    label_N = np.searchsorted(SHARES.cumsum(), rng.uniform())
    x_ND = rng.normal((D,))
    x_ND[np.arange(N), label_N] += 1.5
    return x_ND, label_N


def retrained(net, context):
    x, y = features()
    model = net(D, K)
    given = Features(torch.from_numpy(x).float(), SINGLE_LABEL.targets(torch.from_numpy(y), K), np.arange(N))
    return ClassifierRetraining().compress(model, context((1, 1, 1), lambda *_, **__: given)), x, y


def penalty(x_ND, y):
    """The one that answers best out of fold, all classes counting alike."""
    targets = SINGLE_LABEL.targets(torch.from_numpy(y), K)
    weight_N = (targets.probs_BK / targets.probs_BK.sum(dim=0)).sum(dim=1)
    layer = nn.Linear(x_ND.shape[1], K)
    return fit_best_linear(layer, x_ND, targets, folds_of(x_ND, targets), weight_N)


def test_the_head_is_scikit_learn_s_balanced_classifier(net, context):
    model, x, y = retrained(net, context)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    reference = LogisticRegression(
        C=1 / (N * penalty(torch.from_numpy(x).float(), y)), class_weight="balanced", tol=1e-10, max_iter=10_000
    ).fit(scaled, y)
    with torch.no_grad():
        probs = model.head(torch.from_numpy(x).float()).softmax(dim=1).numpy()
    assert np.abs(probs - reference.predict_proba(scaled)).max() < 2e-3


def test_the_rare_classes_are_found_more_often_on_fresh_samples(net, context):
    model, x, y = retrained(net, context)
    plain = LogisticRegression().fit(x, y)
    new, true = features(seed=2)
    with torch.no_grad():
        predicted = model.head(torch.from_numpy(new).float()).argmax(dim=1).numpy()
    for k in (1, 2):
        assert (predicted[true == k] == k).mean() > (plain.predict(new)[true == k] == k).mean() + 0.05


def test_the_backbone_stays_and_so_does_what_the_head_does_first(net, context):
    x, y = features()
    model = net(D, K)
    with Rng(0).torch_scope("head"):
        first, last = nn.Linear(D, 5), nn.Linear(5, K)
    model.head = nn.Sequential(nn.Dropout(0.5), first, nn.ReLU(), last).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = Features(torch.from_numpy(x).float(), SINGLE_LABEL.targets(torch.from_numpy(y), K), np.arange(N))
    ClassifierRetraining().compress(model, context((1, 1, 1), lambda *_, **__: given))
    after = model.state_dict()
    assert {name for name in before if not torch.equal(after[name], before[name])} == {"head.3.weight", "head.3.bias"}
    hidden = first(given[0]).relu().detach()
    reference = LogisticRegression(C=1 / (N * penalty(hidden, y)), class_weight="balanced", tol=1e-8, max_iter=10_000)
    scaled = ((hidden - hidden.mean(dim=0)) / hidden.std(dim=0)).numpy()
    with torch.no_grad():
        probs = model.head(given[0]).softmax(dim=1).numpy()
    assert np.abs(probs - reference.fit(scaled, y).predict_proba(scaled)).max() < 5e-3


def test_a_cosine_head_is_refused_before_training():
    with pytest.raises(RecipeError, match=r"ends in Cosine; accepted: head.form linear"):
        make_bench((Head(form="cosine"), ClassifierRetraining()))


def test_every_network_of_an_ensemble_is_fitted_to_its_own_features(net, context):
    asked = []
    x, y = features()
    given = Features(torch.from_numpy(x).float(), SINGLE_LABEL.targets(torch.from_numpy(y), K), np.arange(N))
    for model in (net(D, K), net(D, K)):
        ClassifierRetraining().compress(model, context((1, 1, 1), lambda backbone: asked.append(backbone) or given))
        assert asked[-1] is model.backbone
