import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from whet.core.batch import Features
from whet.core.rng import Rng
from whet.methods import LinearProbeThenFinetune
from whet.models.linear import fit_best_linear, fit_linear, folds_of
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench

N, D, K = 200, 6, 3


def features(noise=0.5, D=D):
    rng = Rng(1).batch("f", 0, np.arange(N))
    x = rng.normal((D,)) * np.resize([1, 5, 0.1, 1, 1, 1], D) + 3
    return x, ((x - 3)[:, :K] + noise * rng.normal((K,))).argmax(axis=1)


def given(noise=0.5, D=D):
    x, y = features(noise, D)
    targets = SINGLE_LABEL.targets(torch.from_numpy(y), K)
    return Features(torch.from_numpy(x).float(), targets, np.arange(N), np.full(N, "")), x, y


def test_the_penalty_is_the_one_that_answers_best_out_of_fold():
    """Of noise in many features the training loss goes to 0 without a penalty; samples that were not fitted on see through it."""
    found, _, y = given(noise=20.0, D=150)
    fold_N = folds_of(found.x_ND, found.targets)
    layer = torch.nn.Linear(150, K)

    def out_of_fold(l2):
        total = 0.0
        for fold in range(5):
            out = torch.from_numpy(fold_N == fold)
            fit_linear(layer, found.x_ND[~out], found.targets[~out], l2)
            total += F.cross_entropy(layer(found.x_ND[out]), torch.from_numpy(y)[out], reduction="sum").item()
        return total

    losses = {l2: out_of_fold(l2) for l2 in (1.0, 0.1, 0.01, 0.001)}
    assert fit_best_linear(layer, found.x_ND, found.targets, fold_N) == min(losses, key=losses.get) > 0.01


def test_the_head_starts_at_scikit_learn_s_optimum(net, context):
    found, x, y = given()
    model = net(D, K)
    LinearProbeThenFinetune().initialise(model, context((1, 1, 1), lambda *_, **__: found))
    l2 = fit_best_linear(torch.nn.Linear(D, K), found.x_ND, found.targets, folds_of(found.x_ND, found.targets))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    reference = LogisticRegression(C=1 / (N * l2), tol=1e-10, max_iter=10_000).fit(scaled, y)
    with torch.no_grad():
        probs = model.head(found.x_ND).softmax(dim=1).numpy()
    assert np.abs(probs - reference.predict_proba(scaled)).max() < 2e-3


def test_training_starts_from_the_loss_that_was_fitted():
    """BatchNorm goes by the batch in training, and the statistics it came with may be far from that."""
    bench = make_bench((LinearProbeThenFinetune(),), architecture="resnet9_slim")
    before = {name: value.clone() for name, value in bench.plan.net.state_dict().items()}
    net, batch = bench.plan.net.train(), bench.batch(0)
    loss = F.cross_entropy(net(batch.x), batch.targets.probs_BK).item()
    assert loss < 0.8 * np.log(batch.targets.num_classes)
    fresh = make_bench((), architecture="resnet9_slim").plan.net.state_dict()
    assert all(torch.equal(before[name], fresh[name]) for name in fresh if not name.startswith("head."))


def test_samples_of_one_group_share_a_fold():
    found, _, _ = given()
    group_N = np.array([f"g{k // 4}" if k < 40 else "" for k in range(N)])
    fold_N = folds_of(found.x_ND, found.targets, group_N=group_N)
    assert all(len(set(fold_N[group_N == f"g{k}"])) == 1 for k in range(10))
    assert len(set(fold_N[40:])) == 5


def test_a_class_within_one_fold_does_not_decide_the_penalty():
    """It cannot be learnt from the other folds."""
    found, _, y = given(noise=20.0, D=150)
    label_N = y.copy()
    label_N[:6] = K
    targets = SINGLE_LABEL.targets(torch.from_numpy(label_N), K + 1)
    fold_N = folds_of(found.x_ND, targets, group_N=np.array(["form"] * 6 + [""] * (N - 6)))
    layer = torch.nn.Linear(150, K + 1)
    assert fit_best_linear(layer, found.x_ND, targets, fold_N) == fit_best_linear(
        torch.nn.Linear(150, K), found.x_ND[6:], found.targets[torch.arange(6, N)], fold_N[6:]
    )
    assert layer.weight.isfinite().all()


def test_every_weight_may_move_afterwards(net, context):
    model = net(D, K)
    LinearProbeThenFinetune().initialise(model, context((1, 1, 1), lambda *_, **__: given()[0]))
    assert not model.lr_scale
    assert not model.eval_only
