import pytest
import torch
import torch.nn.functional as F

from whet.core.batch import Outcome
from whet.core.errors import NoEffectError
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.methods import Head, LinearProbe
from whet.methods.transfer.head import GeM
from whet.models.build import build_net, load_net, save_net
from whet.testing.bench import make_bench, train_steps

X = torch.linspace(-3, 3, 5 * 6).sin().view(5, 6)


def changed(net, context, **settings):
    with Rng(1).torch_scope("change"):
        return Head(**settings).change(net, context())


def test_mlp_is_two_linear_layers_with_a_relu_between(net, context):
    head = changed(net(), context, form="mlp", hidden=9).head
    first, last = (layer for layer in head if isinstance(layer, torch.nn.Linear))
    expected = (X @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    assert first.weight.shape == (9, 6)
    assert torch.allclose(head(X), expected, atol=1e-6)


def test_cosine_is_the_scaled_cosine_of_the_angle(net, context):
    head = changed(net(), context, form="cosine", scale=7.0).head
    expected = 7 * F.cosine_similarity(X[:, None], head.weight[None], dim=2)
    assert torch.allclose(head(X), expected, atol=1e-6)
    assert torch.allclose(head(100 * X), head(X), atol=1e-5)  # the length of the features says nothing
    assert head.scale.requires_grad


def test_gem_lies_between_the_mean_and_the_largest_value():
    x = torch.linspace(0.1, 3, 2 * 3 * 4 * 4).view(2, 3, 4, 4)
    assert torch.allclose(GeM(1.0)(x), x.mean(dim=(2, 3), keepdim=True), rtol=1e-5)
    assert torch.allclose(GeM(200.0)(x), x.amax(dim=(2, 3), keepdim=True), rtol=0.02)
    expected = (x.double() ** 3).mean(dim=(2, 3)) ** (1 / 3)
    assert torch.allclose(GeM()(x).flatten(1).double(), expected, rtol=1e-5)
    assert GeM()(torch.zeros(1, 2, 3, 3)).isfinite().all()


def test_gem_takes_the_place_of_the_pooling_and_learns(net, context):
    bench = make_bench((Head(form="gem"),))
    (pooling,) = [module for module in bench.plan.net.modules() if isinstance(module, GeM)]
    train_steps(bench, 3)
    assert pooling.p.item() != 3.0
    model = net()
    model.backbone = torch.nn.Flatten()
    with pytest.raises(NoEffectError, match="no global pooling"):
        changed(model, context, form="gem")


def test_the_loss_of_several_dropped_features_is_their_mean(net, context):
    model = changed(net(), context, form="multi_sample_dropout", drop=0.5, samples=4).train()
    features, asked = torch.ones(2, 6), []

    def loss(outcome):
        asked.append(outcome.logits_BK.detach())
        return outcome.logits_BK[:, 0]

    method = Head(form="multi_sample_dropout", drop=0.5, samples=4)
    with Rng(0).torch_scope("drop"):
        given = Outcome(model.head(features), make_bench(()).batch(0), model, features)
        mean = method.wrap_loss(loss, model, context())(given)
    assert len(asked) == 4
    assert torch.allclose(mean, torch.stack(asked)[:, :, 0].mean(dim=0))
    assert len({tuple(logits.flatten().tolist()) for logits in asked}) == 4
    model.eval()
    assert torch.allclose(model(torch.zeros(2, 3, 16, 16)), model.head[1](model.backbone(torch.zeros(2, 3, 16, 16))))


def test_it_learns_on_a_frozen_backbone(net, context):
    bench = make_bench((Head(form="mlp", hidden=16), LinearProbe()))
    before = [parameter.detach().clone() for parameter in bench.plan.net.head.parameters()]
    train_steps(bench, 3)
    assert not any(torch.equal(p, old) for p, old in zip(bench.plan.net.head.parameters(), before))


def test_it_is_saved_and_loaded(tmp_path, context):
    x = torch.linspace(-3, 3, 2 * 3 * 256).sin().view(2, 3, 16, 16)
    for form in ("mlp", "cosine", "gem", "multi_sample_dropout"):
        with Rng(0).torch_scope("init"):
            made = build_net(ModelSpec(architecture="resnet9_slim", weights="none"), ("a", "b"))[0].eval()
        made = changed(made, context, form=form).eval()
        save_net(made, tmp_path / form, {"task": "image-classification"})
        assert torch.equal(load_net(tmp_path / form)(x), made(x))
