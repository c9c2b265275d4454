import pytest
import torch

from whet.core.batch import Outcome, Progress
from whet.methods import BYOL, SGD
from whet.methods.pretrain.byol import momentum_at
from whet.testing.bench import make_bench, train_steps

SMALL = BYOL(width=8, hidden=8, momentum=0.9)


def test_the_loss_is_the_squared_distance_of_unit_vectors():
    """|q / |q| - z' / |z'||^2 = 2 - 2 cos(q, z'), with the target's embedding of the other view."""
    bench = make_bench((SMALL,), "image-pretraining")
    batch, net = bench.batch(0), bench.plan.net.eval()
    pretext = net.pretext
    features = net.backbone(batch.x)
    loss_B = bench.plan.loss(Outcome(features, batch, net, features))
    q = torch.nn.functional.normalize(pretext.predictor(pretext.projector(features)), dim=1)
    z = torch.nn.functional.normalize(pretext.target["projector"](pretext.target["backbone"](batch.x)), dim=1)
    expected = [(q[i] - z[(i + 8) % 16]).square().sum().item() for i in range(16)]
    assert loss_B.tolist() == pytest.approx(expected, abs=1e-5)


def test_the_momentum_rises_along_a_half_cosine():
    assert momentum_at(0.99, Progress(0, 100, 10)) == pytest.approx(0.99)
    assert momentum_at(0.99, Progress(50, 100, 10)) == pytest.approx(0.995)
    assert momentum_at(0.99, Progress(100, 100, 10)) == pytest.approx(1)


def test_the_target_is_the_moving_average_of_the_weights():
    bench = make_bench((SMALL, SGD(lr=0.5)), "image-pretraining")
    net = bench.plan.net
    ours, target = net.backbone[0].weight, net.pretext.target["backbone"][0].weight
    expected = target.clone()
    assert torch.equal(ours, target)
    for step in range(2):
        train_steps(bench, 1, start=step)
        kept = momentum_at(0.9, Progress(step + 1, 12, 3))
        expected = kept * expected + (1 - kept) * ours.detach()
        assert not torch.equal(ours, target) and torch.allclose(target, expected, atol=1e-6)


def test_the_target_gets_no_gradient():
    bench = make_bench((SMALL,), "image-pretraining")
    trained = {id(p) for group in bench.plan.optimizer.param_groups for p in group["params"]}
    assert not any(id(p) in trained or p.requires_grad for p in bench.plan.net.pretext.target.parameters())
    assert any(id(p) in trained for p in bench.plan.net.pretext.predictor.parameters())
