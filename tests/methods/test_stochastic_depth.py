import pytest
import torch

from whet.core.errors import NoEffectError
from whet.core.rng import Rng
from whet.methods import StochasticDepth
from whet.models.residual import residual_branches
from whet.testing.bench import make_bench


def resnet(*methods):
    return make_bench(methods, architecture="resnet9_slim").plan.net


def test_later_branches_are_left_out_more_often():
    net = resnet(StochasticDepth(prob=0.4))
    shares = []
    for branch in residual_branches(net.backbone):
        branch.block.train()
        with torch.no_grad(), Rng(0).torch_scope("model", 0):
            x = torch.ones(2000, branch.block.body[0][0].in_channels, 2, 2)
            shares.append((branch.block(x) == x).flatten(1).all(dim=1).float().mean().item())
    assert shares == pytest.approx([0.2, 0.4], abs=0.03)


def test_a_branch_that_stays_is_scaled_so_that_the_mean_is_kept():
    net = resnet(StochasticDepth(prob=0.4)).train()
    drop = residual_branches(net.backbone)[-1].end.stochastic_depth
    with Rng(0).torch_scope("model", 0):
        out = drop(torch.ones(4000, 3, 2, 2))
    assert sorted(out.unique().tolist()) == pytest.approx([0, 1 / 0.6])
    assert torch.equal(out.amax(dim=(1, 2, 3)), out.amin(dim=(1, 2, 3)))  # a whole branch, for a whole sample
    assert out.mean().item() == pytest.approx(1.0, abs=0.03)


def test_nothing_is_left_out_at_prediction():
    x = torch.linspace(-1, 1, 2 * 3 * 256).view(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(resnet(StochasticDepth(prob=0.9)).eval()(x), resnet().eval()(x))


def test_transformers_have_branches_too(tmp_path, context):
    import transformers

    from whet.core.spec import ModelSpec
    from whet.models import build_net

    transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=32
    ).save_pretrained(tmp_path)
    with Rng(0).torch_scope("init"):
        net, _ = build_net(ModelSpec(architecture=str(tmp_path), weights="none"), ("a", "b"))
        x = torch.empty(64, 3, 32, 32).normal_()
    net = StochasticDepth(prob=0.5).change(net, context())
    with torch.no_grad(), Rng(1).torch_scope("model", 0):
        assert torch.equal(net.eval()(x), net(x))
        assert not torch.allclose(net.train()(x), net.eval()(x), atol=1e-4)


def test_a_network_without_branches_is_told(net, context):
    with pytest.raises(NoEffectError, match="no residual branch is known in bench"):
        StochasticDepth().change(net(), context())
