import pytest
import torch

from whet.methods import EMA, SGD, MaxNorm
from whet.testing.bench import make_bench, train_steps


def test_long_rows_are_shortened_and_keep_their_direction(net, context, progress):
    model = net().double()
    with torch.no_grad():
        rows = [[3.0, 4.0, 0, 0, 0, 0], [0.1, 0, 0.2, 0, 0, 0], [0, 0, 0, 0, 0, -9.0]]
        model.head.weight.copy_(torch.tensor(rows, dtype=torch.float64))
        model.head.bias.fill_(50.0)
    runtime = MaxNorm(max_norm=2.0).start(model, context())
    runtime.after_step(progress(1))
    assert model.head.weight[0].tolist() == pytest.approx([1.2, 1.6, 0, 0, 0, 0], rel=1e-6)
    assert model.head.weight[1].tolist() == [0.1, 0, 0.2, 0, 0, 0]  # bit for bit
    assert model.head.weight[2, 5].item() == pytest.approx(-2.0, rel=1e-6)
    assert model.head.bias.tolist() == [50.0] * 3


def test_a_filter_of_a_convolution_is_one_unit(net, context, progress):
    model = net().double()
    before = model.backbone[0].weight.detach().clone()
    MaxNorm(max_norm=0.3).start(model, context()).after_step(progress(1))
    length = before.flatten(1).norm(dim=1)
    expected = before * (0.3 / length).clamp(max=1)[:, None, None, None]
    assert torch.allclose(model.backbone[0].weight, expected, rtol=1e-5)
    assert (length > 0.3).any()


def test_no_step_of_a_training_ends_outside_and_averages_see_it():
    bench = make_bench((MaxNorm(max_norm=0.05), SGD(lr=1.0), EMA(decay=0.9)))
    for step in range(6):
        train_steps(bench, 1, start=step)
        for weights in (bench.plan.net.state_dict(), bench.plan.weights(final=False)):
            assert weights["head.weight"].norm(dim=1).max() <= 0.05 * (1 + 1e-5)
