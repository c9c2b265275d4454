"""Methods where a sample may have several labels: what they then mean."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from whet.core.batch import Batch, Context, Outcome
from whet.core.errors import RecipeError
from whet.core.outputs import Outputs
from whet.core.recipe import parse_method
from whet.core.rng import Rng
from whet.core.targets import ClassTargets
from whet.core.task import refuse_foreign
from whet.methods import TTA, ClassWeight, DeepEnsemble, JsdConsistency, Stacking, TemperatureScaling, VectorScaling
from whet.methods.balance.class_weight import class_weights
from whet.methods.optimize.logits import sampled_label_gradient
from whet.models.ensemble import as_one
from whet.models.net import NetSpec
from whet.tasks import MULTI_LABEL, SINGLE_LABEL
from whet.training.plan import task_loss

N, K = 4000, 3


@pytest.fixture
def honest():
    """(logits of probabilities that are true ones, targets drawn from them)."""
    draws = Rng(7).batch("answers", 0, np.arange(N))
    logits = 1.5 * draws.normal((K,)) - 0.5
    true_NK = draws.uniform(shape=(K,)) < 1 / (1 + np.exp(-logits))
    return torch.from_numpy(logits), MULTI_LABEL.targets(true_NK, K)


def test_the_temperature_is_that_of_each_label_by_itself(honest):
    logits, targets = honest
    assert TemperatureScaling().fit(Outputs.of(3 * logits, targets))["temperature"] == pytest.approx(3, rel=0.06)


def test_a_scale_and_a_shift_for_each_label(honest):
    logits, targets = honest
    found = VectorScaling().fit(
        Outputs.of((logits - torch.tensor([0.0, 1.0, -1.0])) / torch.tensor([1.0, 2.0, 0.5]), targets)
    )
    assert found["scale"] == pytest.approx([1, 2, 0.5], rel=0.15) and found["shift"] == pytest.approx(
        [0, 1, -1], abs=0.15
    )


def brightness(x):
    left, right = x[..., : x.shape[-1] // 2].mean(dim=(1, 2, 3)), x[..., x.shape[-1] // 2 :].mean(dim=(1, 2, 3))
    return torch.stack([left, right], dim=1) * 5


def test_views_are_the_mean_of_each_label_s_probability():
    x = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5
    expected = (brightness(x).sigmoid() + brightness(x.flip(-1)).sigmoid()) / 2
    assert torch.allclose(TTA().wrap_predictor(brightness, {}, MULTI_LABEL)(x).sigmoid(), expected, atol=1e-6)


def test_so_are_ensembles_and_certain_answers_keep_their_signs():
    logits = torch.tensor([[[2.0, -1.0], [0.0, -3.0]], [[200.0, -200.0], [300.0, -100.0]]])
    answer = DeepEnsemble(members=2).wrap_predictor(lambda x: logits, {}, MULTI_LABEL)(None)
    assert torch.allclose(answer[0].sigmoid(), logits[0].sigmoid().mean(dim=0), atol=1e-6)
    assert torch.isfinite(answer).all() and answer[1, 0] > 100 and answer[1, 1] < -90


def test_networks_that_answer_as_one(net):
    nets = [net(), net()]
    for k, one in enumerate(nets):
        one.spec = NetSpec(**{**one.spec.to_dict(), "task": "multi-label"})
        torch.nn.init.normal_(one.head.weight, std=1 + k)
        one.eval()
    x = torch.randn(4, 3, 10, 10, generator=torch.Generator().manual_seed(1))
    expected = (nets[0](x).sigmoid() + nets[1](x).sigmoid()) / 2
    assert torch.allclose(as_one(nets)(x).sigmoid(), expected, atol=1e-6)


@pytest.mark.parametrize("how", ["weighted", "linear"])
def test_stacking_gives_the_better_model_more_weight(honest, how):
    logits, targets = honest
    guess = 1.5 * torch.from_numpy(Rng(8).batch("guess", 0, np.arange(N)).normal((K,)))
    method = Stacking(runs=("a",), how=how)
    fitted = method.fit(Outputs.of(torch.stack([logits, guess], dim=1), targets))
    first, second = fitted.get("weights") or fitted["scales"]
    assert first > 0.9 and abs(second) < 0.1
    answer = method.wrap_predictor(lambda x: x, fitted, MULTI_LABEL)(torch.stack([logits, guess], dim=1))
    assert float((answer.sigmoid() - logits.sigmoid()).abs().mean()) < 0.05


def test_drawn_labels_give_each_label_s_own_fisher_information():
    """On average the squared gradient is p (1 - p) / N^2, and the gradient itself nothing."""
    logits = torch.tensor([[0.0, 2.0, -3.0]], dtype=torch.float64).expand(20_000, 3)
    with Rng(2).torch_scope("draw"):
        drawn = len(logits) * sampled_label_gradient(logits, logits, MULTI_LABEL)
    p = logits[0].sigmoid()
    assert torch.allclose(drawn.square().mean(dim=0), p * (1 - p), rtol=0.06)
    assert drawn.mean(dim=0).abs().max() < 0.02
    assert (drawn[:, 0] * drawn[:, 1]).mean().abs() < 0.01  # labels are drawn apart


def test_a_sample_has_the_mean_weight_of_its_labels():
    weights_K = torch.tensor([0.5, 2.0, 4.0])
    rows = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0.5, 0], [1, 1, 1]])
    found = ClassTargets(rows, MULTI_LABEL).weighted(lambda same: torch.ones(len(same)), weights_K)
    assert found.tolist() == pytest.approx([0.5, 1.25, 1.0, 1.5, 6.5 / 3])
    counts = np.array([50, 30, 20])
    context = Context(MULTI_LABEL, ("a", "b", "c"), counts, lambda: None)
    batch = Batch(torch.zeros(3, 1), ClassTargets(rows[:3], MULTI_LABEL), np.arange(3), torch.ones(3))
    outcome = Outcome(torch.linspace(-1, 1, 9).view(3, 3), batch, None)
    ratio = ClassWeight().wrap_loss(task_loss, None, context)(outcome) / task_loss(outcome)
    w = class_weights(counts, "inverse", 0.9)
    assert ratio.tolist() == pytest.approx([w[0], (w[0] + w[1]) / 2, 1.0], rel=1e-6)


def test_consistency_is_label_by_label():
    logits = torch.linspace(-2, 2, 3 * 4 * 5, dtype=torch.float64).sin().mul(3).view(3, 4, 5)
    targets = ClassTargets((torch.arange(60).view(12, 5) % 2).double(), MULTI_LABEL)
    outcome = Outcome(logits.reshape(12, 5), Batch(torch.zeros(12, 1), targets, np.arange(12), torch.ones(12)), None)
    found = JsdConsistency(weight=2.0).wrap_loss(task_loss, None, None)(outcome)[:4]
    yes = logits.sigmoid().numpy()
    p = np.stack([yes, 1 - yes])
    divergence = (p * np.log(p / p.mean(axis=1, keepdims=True))).sum(axis=(0, 3)).mean(axis=0)
    clean = F.binary_cross_entropy_with_logits(logits[0], targets.probs_BK[:4], reduction="none").sum(dim=1)
    assert found.numpy() == pytest.approx(clean.numpy() + 2 * divergence, rel=1e-5)


def test_methods_that_are_told_nothing_of_the_data_are_refused_before_any_work():
    method = parse_method("balanced_sampler")
    refuse_foreign((method,), "image-classification", SINGLE_LABEL)
    with pytest.raises(
        RecipeError, match="method 'balanced_sampler' does not apply to samples with any number of labels"
    ):
        refuse_foreign((method,), "image-classification", MULTI_LABEL)
