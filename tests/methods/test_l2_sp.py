import torch

from whet.methods import L2SP, SGD
from whet.testing.bench import make_bench, train_steps
from whet.training.plan import task_loss


def test_the_penalty_is_the_paper_s(net, outcome, context):
    """alpha / 2 |w - w0|^2 over the backbone + beta / 2 |w|^2 over the head, in float64."""
    model = net().double()
    runtime = L2SP(alpha=0.3, beta=0.02).start(model, context())
    given = outcome([[1.0, 2.0, 0.5]], [0])
    start = [p.detach().clone() for p in model.backbone.parameters()]
    with torch.no_grad():
        for place, parameter in enumerate(model.parameters()):
            parameter.add_(0.1 * (place + 1))
    added = runtime.wrap_loss(task_loss, model, context())(given) - task_loss(given)
    away = sum((p - w0).square().sum() for p, w0 in zip(model.backbone.parameters(), start) if p.ndim > 1)
    assert torch.allclose(added, 0.15 * away + 0.01 * model.head.weight.square().sum(), rtol=1e-12)


def test_at_the_start_the_backbone_costs_nothing(net, outcome, context):
    model = net()
    given = outcome([[1.0, 2.0, 0.5]], [0])
    loss = L2SP(alpha=100.0, beta=0.0).start(model, context()).wrap_loss(task_loss, model, context())
    assert torch.equal(loss(given), task_loss(given))


def test_it_holds_weights_near_their_start_where_l2_pulls_them_to_zero():
    def distance(methods):
        bench = make_bench((SGD(lr=0.1), *methods))
        start = bench.plan.net.backbone[0].weight.detach().clone()
        train_steps(bench, 12)
        return float((bench.plan.net.backbone[0].weight.detach() - start).norm())

    assert distance((L2SP(alpha=3.0),)) < 0.3 * distance(())


def test_a_resumed_training_is_pulled_to_the_first_start(net, context):
    """Not to the weights it was resumed with."""
    model = net()
    first = L2SP().start(model, context())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    second = L2SP().start(model, context())
    second.load_state_dict(first.state_dict())
    kept = second.state_dict()["start"]
    assert kept.keys() == {"0.weight", "3.weight"}
    assert all(torch.equal(kept[name], p) for name, p in net().backbone.named_parameters() if name in kept)
