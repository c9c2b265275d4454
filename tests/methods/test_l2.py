import torch

from whet.methods import L2, SGD, AdamW
from whet.training.plan import task_loss


def test_the_penalty_is_half_the_squared_norm(net, outcome, context):
    model = net()
    given = outcome([[1.0, 2.0, 0.5]], [0])
    added = L2(strength=0.3).wrap_loss(task_loss, model, context())(given) - task_loss(given)
    assert torch.allclose(added, 0.15 * sum((p**2).sum() for p in model.parameters() if p.ndim > 1).double())


def test_with_sgd_it_is_decay_and_with_adam_it_is_not(descend):
    """Under SGD the penalty's gradient shrinks a weight by lr * strength; Adam scales it to its own step size."""
    shrunk = descend(SGD(lr=0.1, momentum=0.0), [2.0], lambda w: 0.5 * w, 1)
    assert shrunk[0] == 2.0 * (1 - 0.1 * 0.5)
    adam = descend(AdamW(lr=0.1, weight_decay=0.0), [2.0], lambda w: 0.5 * w, 1)
    assert abs(adam[0] - (2.0 - 0.1)) < 1e-6
