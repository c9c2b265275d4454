import torch

from whet.methods import EMA


def test_the_average_is_the_weighted_sum_of_all_weights(progress):
    """Unrolled: a_T = sum over steps of w_t (1 - d_t) prod of later d; d_t = min(decay, (1 + t) / (10 + t))."""
    net = torch.nn.Linear(1, 1, bias=False)
    values = [0.3, -1.0, 2.0, 0.5, 4.0]
    with torch.no_grad():
        net.weight.fill_(1.0)
    runtime = EMA(decay=0.35).start(net, None)
    expected = 1.0
    for step, value in enumerate(values, start=1):
        with torch.no_grad():
            net.weight.fill_(value)
        runtime.after_step(progress(step))
        keep = min(0.35, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * value
    assert torch.allclose(runtime.average["weight"], torch.tensor([[expected]]))


def test_prediction_uses_the_average_and_counters_are_copied(progress):
    net = torch.nn.BatchNorm1d(2)
    method = EMA(decay=0.9)
    runtime = method.start(net, None)
    net(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)))
    runtime.after_step(progress(1))
    chosen = method.weights(dict(net.state_dict()), runtime, final=True)
    assert chosen is runtime.average
    assert int(chosen["num_batches_tracked"]) == 1
    assert not torch.equal(chosen["running_mean"], net.running_mean)
    assert not torch.equal(chosen["running_mean"], torch.zeros(2))


def test_training_s_own_weights_are_not_touched(progress):
    net = torch.nn.Linear(2, 2)
    before = net.weight.clone()
    runtime = EMA().start(net, None)
    runtime.after_step(progress(1))
    runtime.average["weight"].fill_(7)
    assert torch.equal(net.weight, before)
