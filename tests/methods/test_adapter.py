import pytest
import torch
import torch.nn.functional as F
from tests.models.test_token_vectors import text_net
from torch import nn

from whet.core.errors import NoEffectError
from whet.core.rng import Rng
from whet.methods import SGD, Adapter
from whet.models.build import build_net, load_net, save_net
from whet.models.net import Net, NetSpec
from whet.models.zoo_text import TEXT_ZOO
from whet.testing.bench import make_bench, train_steps


def changed(net, context, **settings):
    with Rng(1).torch_scope("change"):
        return Adapter(**settings).change(net, context())


def stirred(net):
    """Every adapter away from the identity."""
    with torch.no_grad(), Rng(2).torch_scope("stir"):
        for name, parameter in net.named_parameters():
            if ".adapter." in name:
                nn.init.normal_(parameter, std=0.3)
    return net


def zoo(context):
    from whet.core.spec import ModelSpec

    with Rng(0).torch_scope("init"):
        return build_net(ModelSpec(architecture="resnet9_slim", weights="none"), ("a", "b"))[0].eval()


X = torch.linspace(-3, 3, 2 * 3 * 256).sin().view(2, 3, 16, 16)


def test_at_the_start_it_is_the_plain_network(context):
    assert torch.equal(changed(zoo(context), context)(X), zoo(context)(X))


def test_a_block_of_channels_gets_the_paper_s_bottleneck(net, context):
    """x + W_up gelu(W_down x + b) + b at every place of the map, once."""
    made = stirred(changed(net().eval(), context, size=3)).double()
    block = made.backbone[3]
    x_BCHW = X[:, :1].repeat(1, 4, 1, 1).double()
    plain = F.conv2d(x_BCHW, block.weight)
    down, up = block.adapter.down, block.adapter.up
    inner = torch.einsum("rc,bchw->brhw", down.weight, plain) + down.bias[:, None, None]
    outer = torch.einsum("cr,brhw->bchw", up.weight, F.gelu(inner)) + up.bias[:, None, None]
    assert down.weight.shape == (3, 6)
    assert torch.allclose(block(x_BCHW), plain + outer, rtol=0, atol=1e-12)


def test_tokens_are_adapted_along_their_last_axis(context):
    class Tokens(nn.Module):
        def forward(self, x_BCHW):
            return x_BCHW.flatten(2).transpose(1, 2)

    class First(nn.Module):
        def forward(self, x_BTD):
            return x_BTD[:, 0]

    backbone = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), Tokens(), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), First()
    )
    made = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), backbone, nn.Linear(8, 2)).eval()
    before = made(X)
    made = changed(made, context)
    assert made.backbone[2].adapter.down.weight.shape == (4, 8)  # at most half as wide as the block
    assert torch.allclose(made(X), before, atol=1e-6)
    assert not torch.allclose(stirred(made)(X), before, atol=1e-2)


def test_adapters_norms_and_the_head_move_and_nothing_else():
    bench = make_bench((Adapter(), SGD(lr=2.0)))
    before = {name: value.clone() for name, value in bench.plan.net.state_dict().items()}
    train_steps(bench, 4)
    kept = {name for name, value in bench.plan.net.state_dict().items() if torch.equal(value, before[name])}
    assert kept == {"backbone.0.weight", "backbone.1.running_mean", "backbone.1.running_var",
                    "backbone.1.num_batches_tracked"}  # fmt: skip


def test_it_is_saved_and_loaded_with_its_adapters(tmp_path, context):
    made = stirred(changed(zoo(context), context))
    save_net(made, tmp_path, {"task": "image-classification"})
    assert torch.equal(load_net(tmp_path)(X), made(X))
    assert not torch.allclose(made(X), zoo(context)(X))


def test_a_backbone_without_blocks_is_told(context):
    plain = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(NoEffectError):
        Adapter().change(plain, context())


@pytest.mark.parametrize("architecture", sorted(TEXT_ZOO))
def test_texts_of_any_length_pass_and_channels_are_what_is_adapted(architecture, context):
    """Convolutions over tokens give (B, C, L): as many channels for a text of any length."""
    made = stirred(changed(text_net(architecture), context))
    with torch.no_grad():
        for length in (3, 16, 64):
            ids_BL = torch.arange(2 * length).view(2, length) % 5 + 3
            assert made.backbone(ids_BL).isfinite().all()
    for name, module in made.named_modules():
        if isinstance(module, nn.Conv1d) and "adapter" in dict(module.named_children()):
            assert module.adapter.axis == 1 and module.adapter.down.in_features == module.out_channels, name
