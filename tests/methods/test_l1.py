import torch

from whet.methods import L1
from whet.testing.bench import make_bench, train_steps
from whet.training.plan import task_loss


def test_the_penalty_is_the_sum_of_absolute_weights(net, outcome, context):
    model = net()
    given = outcome([[1.0, 2.0, 0.5]], [0])
    added = L1(strength=0.01).wrap_loss(task_loss, model, context())(given) - task_loss(given)
    expected = 0.01 * sum(p.abs().sum() for p in model.parameters() if p.ndim > 1)
    assert torch.allclose(added, expected.double())


def test_it_drives_weights_to_zero_that_squares_only_shrink():
    """Soft thresholding: with nothing to fit, each step moves every weight towards zero by the same amount."""
    from whet.methods import SGD

    def mean_size(methods):
        bench = make_bench((SGD(lr=0.02, momentum=0.0), *methods))
        train_steps(bench, 12)
        return float(bench.plan.net.head.weight.detach().abs().mean())

    assert mean_size((L1(strength=0.5),)) < 0.5 * mean_size(())
