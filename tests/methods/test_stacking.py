import json

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from whet.core.errors import RecipeError, RunError
from whet.core.outputs import Outputs
from whet.core.rng import Rng
from whet.methods import SGD, Stacking
from whet.methods.ensemble.fusion import best_weights
from whet.methods.ensemble.stacking import best_linear
from whet.tasks import SINGLE_LABEL


@pytest.fixture
def answers():
    """Log-probabilities (N, M, K) of a good model, a poor one and one that guesses, and the truth."""
    N, K = 300, 4
    rng = Rng(3).batch("answers", 0, np.arange(N))
    truth = rng.integers(K)
    strengths = np.array([2.0, 0.7, 0.0])
    logits = np.eye(K)[truth][:, None] * strengths[:, None] + rng.normal((3, K))
    return torch.from_numpy(logits).log_softmax(dim=2), SINGLE_LABEL.targets(torch.from_numpy(truth), K)


def test_the_weights_are_scipy_s(answers):
    log_NMK, targets = answers
    p_NM = (log_NMK.exp() * targets.probs_BK[:, None]).sum(dim=2).numpy()
    found = minimize(
        lambda w: -np.log(p_NM @ w).mean(), np.full(3, 1 / 3), bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    )  # fmt: skip
    weights = best_weights(log_NMK, targets.having(targets.probs_BK.double()))
    assert sum(weights) == pytest.approx(1)
    assert np.allclose(weights, found.x, atol=0.05)  # the ridge holds it a little nearer the mean
    assert weights[0] > weights[1] > weights[2]


def test_a_linear_layer_is_no_worse_than_the_mean_and_the_one_that_guesses_counts_little(answers):
    log_NMK, targets = answers
    found = best_linear(log_NMK, targets.having(targets.probs_BK.double()))
    assert abs(found["scales"][2]) < 0.15 < found["scales"][1] < found["scales"][0]

    def loss(scales, bias):
        logits = torch.einsum("nmk,m->nk", log_NMK, torch.tensor(scales, dtype=torch.float64)) + torch.tensor(bias)
        return float(-(targets.probs_BK * logits.log_softmax(dim=1)).sum(dim=1).mean())

    assert loss(found["scales"], found["bias"]) < loss([1 / 3] * 3, [0.0] * 4)


@pytest.mark.parametrize("how", ["mean", "weighted", "linear"])
def test_what_was_fitted_is_what_answers(answers, how):
    log_NMK, targets = answers
    method = Stacking(runs=("a", "b"), how=how)
    fitted = method.fit(Outputs.of(log_NMK, targets))
    answer = method.wrap_predictor(lambda x: x, fitted, SINGLE_LABEL)(log_NMK)
    assert answer.shape == (300, 4)
    assert float((answer.argmax(dim=1) == targets.probs_BK.argmax(dim=1)).double().mean()) > 0.6


@pytest.mark.parametrize("how", ["mean", "weighted"])
def test_a_model_that_is_too_unsure_counts_as_if_it_were_not(answers, how):
    """Softened targets and mixup leave a model unsure: the answer is the same as with its confidence set right."""
    log_NMK, targets = answers
    unsure_NMK = log_NMK * torch.tensor([0.2, 1.0, 1.0])[:, None]
    method = Stacking(runs=("a", "b"), how=how)

    def answer(log_NMK):
        log_NMK = log_NMK.log_softmax(dim=2)
        return method.wrap_predictor(lambda x: x, method.fit(Outputs.of(log_NMK, targets)), SINGLE_LABEL)(log_NMK)

    # But for the prior that holds a temperature near 1.
    assert torch.allclose(answer(unsure_NMK), answer(log_NMK), atol=0.15)


@pytest.mark.slow
@pytest.mark.sample
def test_another_architecture_answers_beside(finished_run, tmp_path):
    """A run of another width beside a finished one: both are asked, and the run holds a copy."""
    import whet

    data = finished_run.parent / "images"
    run = whet.train(
        data, architecture="resnet9_slim", weights="none", budget="1ep", seed=5, out=tmp_path / "run",
        methods=[SGD(lr=0.05), "scale_width", Stacking(runs=(str(finished_run),))],
    )  # fmt: skip
    weights = json.loads((run.path / "model" / "whet.json").read_text())["fitted"]["stacking"]["weights"]
    assert sum(weights) == pytest.approx(1)
    test = run.predictions.query("split == 'test'")  # validation samples are answered by fits that did not see them
    probs = test.filter(like="p:").to_numpy()
    again = run.predict([str(data / id_) for id_ in test["id"]]).filter(like="p:").to_numpy()
    assert np.allclose(again, probs, atol=1e-4)


def test_a_run_that_is_not_there_or_knows_other_classes_is_named(images, finished_run, tmp_path):
    import whet

    with pytest.raises(RecipeError, match=r"stacking: '.*nowhere': no finished run"):
        whet.train(
            images, architecture="resnet9_slim", weights="none", budget="1ep", out=tmp_path / "a",
            methods=[SGD(), Stacking(runs=(str(tmp_path / "nowhere"),))],
        )  # fmt: skip
    (images / "paper").rename(images / "wood")
    with pytest.raises((RecipeError, RunError), match="missing: wood; additional: paper"):
        whet.train(
            images, architecture="resnet9_slim", weights="none", budget="1ep", out=tmp_path / "b",
            methods=[SGD(), Stacking(runs=(str(finished_run),))],
        )  # fmt: skip
