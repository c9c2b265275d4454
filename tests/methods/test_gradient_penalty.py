import pytest
import torch
from tests.methods.questions import images, question, sharp
from torch import nn

from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.methods import SGD, GradientPenalty
from whet.models import build_net
from whet.testing.bench import make_bench, train_steps
from whet.training.plan import task_loss


def test_of_a_linear_model_it_is_known_in_closed_form():
    """d loss / d x = W' (p - y), and the penalty's own gradient is that of the closed form."""
    with Rng(0).torch_scope("init"):
        model = nn.Linear(7, 3)
        x = torch.empty(5, 7).normal_()
    given = question(model, x)
    ours = GradientPenalty(strength=0.4).wrap_loss(task_loss, None, None)(given)
    residual = given.logits_BK.softmax(dim=1) - given.batch.targets.probs_BK
    closed = task_loss(given) + 0.4 * (residual @ model.weight).square().sum(dim=1)
    assert torch.allclose(ours, closed, rtol=1e-5)
    (by_ours,) = torch.autograd.grad(ours.sum(), model.weight)
    (by_closed,) = torch.autograd.grad(closed.sum(), model.weight)
    assert torch.allclose(by_ours, by_closed, rtol=1e-4, atol=1e-6)


def test_training_with_it_flattens_the_loss():
    def steepness(*methods):
        bench = make_bench((SGD(lr=0.1), *methods))
        train_steps(bench, 40)
        net, x = bench.plan.net.eval(), bench.batch(0).x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(task_loss(question(net, x)).sum(), x)
        return gradient.square().sum().item()

    assert steepness(GradientPenalty(strength=10.0)) < 0.5 * steepness()


@pytest.mark.parametrize("kind", ["vit", "mobilenet_v1"])
def test_real_layers_can_be_differentiated_twice(tmp_path, kind):
    """Attention, and the strided depthwise convolution of ours."""
    import transformers

    config = {
        "vit": transformers.ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32
        ),
        "mobilenet_v1": transformers.MobileNetV1Config(depth_multiplier=0.25, image_size=32),
    }[kind]
    config.save_pretrained(tmp_path)
    with Rng(0).torch_scope("init"):
        net, _ = build_net(ModelSpec(architecture=str(tmp_path), weights="none"), ("a", "b", "c"))
        x = torch.empty(4, 3, 32, 32).normal_()
    loss = GradientPenalty().wrap_loss(task_loss, None, None)(question(net.train(), x)).sum()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
    assert sum(p.grad is not None for p in net.parameters()) > 10


def test_images_of_a_network(net):
    """Against finite differences of the loss along its gradient."""
    model, x = sharp(net().double()), images(4).double()
    given = question(model, x)
    penalty = (GradientPenalty(strength=1.0).wrap_loss(task_loss, None, None)(given) - task_loss(given)).detach()
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(task_loss(question(model, leaf)).sum(), leaf)
    step = 1e-5 * gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]
    slope = (task_loss(question(model, x + step)) - task_loss(question(model, x - step))).detach() / 2e-5
    assert penalty.tolist() == pytest.approx((slope**2).tolist(), rel=1e-2)
