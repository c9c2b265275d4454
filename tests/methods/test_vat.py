import pytest
import torch
from tests.methods.questions import Watched, images, question, sharp
from torch.distributions import Categorical, kl_divergence

from whet.core.rng import Rng
from whet.methods import VAT
from whet.training.plan import task_loss


def added(model, x, seed=0, labels=None, **settings):
    """What the method adds to the loss."""
    given = question(model, x, labels)
    with Rng(seed).torch_scope("model", 0):
        return (VAT(**settings).wrap_loss(task_loss, None, None)(given) - task_loss(given)).detach()


def test_the_move_has_the_stated_size_and_the_penalty_is_the_divergence_there(net):
    model, x = Watched(sharp(net())), images()
    clean = Categorical(logits=model.model(x))
    model.asked.clear()
    found = added(model, x, epsilon=0.2, weight=0.5)
    moved = model.asked[-1]
    assert (moved - x).flatten(1).square().mean(dim=1).sqrt().tolist() == pytest.approx([0.2] * len(x), rel=1e-4)
    expected = 0.5 * kl_divergence(clean, Categorical(logits=model.model(moved)))
    assert torch.allclose(found, expected.detach(), atol=1e-6)


def test_it_finds_worse_than_random_directions(net):
    model, x = sharp(net()), images()
    clean = Categorical(logits=model(x))
    found = added(model, x, epsilon=0.2)
    for seed in range(10):
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        noise = 0.2 * noise / noise.flatten(1).square().mean(dim=1).sqrt()[:, None, None, None]
        assert (found > kl_divergence(clean, Categorical(logits=model(x + noise)))).all()


def test_more_iterations_find_steeper_directions(net):
    model, x = sharp(net()), images()
    assert added(model, x, iterations=4).sum() >= added(model, x, iterations=1).sum()


def test_labels_play_no_part(net):
    model, x = sharp(net()), images()
    assert torch.allclose(added(model, x), added(model, x, labels=torch.zeros(12, dtype=torch.long)), atol=1e-6)


def test_the_gradient_flows_into_the_moved_answer_only(net):
    """The clean answer is the teacher: it is held fixed."""
    model, x = sharp(net()), images()
    given = question(model, x)
    given.logits_BK.retain_grad()
    with Rng(0).torch_scope("model", 0):
        total = (VAT(weight=3.0).wrap_loss(task_loss, None, None)(given)).sum()
    total.backward()
    with_it = given.logits_BK.grad.clone()
    again = question(model, x)
    again.logits_BK.retain_grad()
    task_loss(again).sum().backward()
    assert torch.allclose(with_it, again.logits_BK.grad)
