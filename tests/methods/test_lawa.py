import torch

from whet.core.batch import FinalizeContext
from whet.methods import LAWA
from whet.testing.bench import make_bench, train_steps


def walk(method, progress, values, per_epoch):
    """A single weight that takes these values, one a step."""
    net = torch.nn.Linear(1, 1, bias=False)
    runtime = method.start(net, None)
    for step, value in enumerate(values, start=1):
        with torch.no_grad():
            net.weight.fill_(value)
        runtime.after_step(progress(step, len(values), per_epoch))
    return method.weights(dict(net.state_dict()), runtime, final=True)["weight"].item()


def test_the_mean_is_of_the_last_epochs_only(progress):
    values = [float(value) for value in range(1, 13)]  # epochs of three end at 3, 6, 9, 12
    assert walk(LAWA(latest=3), progress, values, 3) == (6 + 9 + 12) / 3
    assert walk(LAWA(latest=2, every="1st"), progress, values, 3) == (11 + 12) / 2
    assert walk(LAWA(latest=9), progress, values, 3) == (3 + 6 + 9 + 12) / 4


def test_of_one_it_is_the_last_weights(progress):
    assert walk(LAWA(latest=1), progress, [1.0, 5.0, 2.0], 3) == 2.0


def test_validations_see_the_last_weights(progress):
    net = torch.nn.Linear(1, 1)
    method = LAWA()
    runtime = method.start(net, None)
    runtime.after_step(progress(10))
    runtime.after_step(progress(20))
    now = dict(net.state_dict())
    assert method.weights(now, runtime, final=False) is now


def test_the_end_of_a_training():
    bench = make_bench((LAWA(latest=2),))
    train_steps(bench, 9)
    first = {name: tensor.clone() for name, tensor in bench.plan.net.state_dict().items()}
    train_steps(bench, 3, 9)
    second = {name: tensor.clone() for name, tensor in bench.plan.net.state_dict().items()}
    batches = [bench.batch(step).x for step in range(12, 15)]
    bench.plan.finalize(FinalizeContext(lambda: iter(batches), lambda weights: {}))
    for name, parameter in bench.plan.net.named_parameters():
        assert torch.allclose(parameter, (first[name] + second[name]) / 2, atol=1e-7)
    assert int(bench.plan.net.backbone[1].num_batches_tracked) == 3  # its statistics are those of the three batches
