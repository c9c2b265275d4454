import pytest
import torch
from tests.models.kinds import KINDS, built, inputs
from torch import nn

from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.models import build_net
from whet.models.attach import attach_after
from whet.models.residual import residual_branches


class Nothing(nn.Module):
    def forward(self, x):
        return 0 * x


def configs():
    import transformers

    return {
        "vit": transformers.ViTConfig(
            hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16, image_size=32
        ),
        "beit": transformers.BeitConfig(
            hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16, image_size=32
        ),
        "convnext": transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 2], num_stages=2),
        "resnet": transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 1], layer_type="basic"),
        "mobilenet_v2": transformers.MobileNetV2Config(depth_multiplier=0.35, image_size=32),
    }


def build(name, tmp_path):
    architecture = name
    if name != "resnet9_slim":
        configs()[name].save_pretrained(tmp_path)
        architecture = str(tmp_path)
    with Rng(0).torch_scope("init"):
        return build_net(ModelSpec(architecture=architecture, weights="none"), ("a", "b"))[0]


@pytest.mark.parametrize(
    ("name", "count"),
    [("resnet9_slim", 2), ("vit", 3), ("beit", 3), ("convnext", 3), ("resnet", 3), ("mobilenet_v2", 10)],
)
def test_without_its_branch_a_block_is_its_shortcut(name, count, tmp_path):
    net = build(name, tmp_path).eval()
    branches = residual_branches(net.backbone)
    assert len(branches) == count
    pairs = []

    def seen(block, inputs, output):
        shortcut = getattr(block, "shortcut", nn.Identity())(inputs[0])
        activation = getattr(block, "activation", nn.Identity())
        pairs.append((activation(shortcut), output))

    for branch in branches:
        attach_after(branch.end, "nothing", Nothing())
        branch.block.register_forward_hook(seen)
    with torch.no_grad(), Rng(0).torch_scope("x"):
        net(torch.empty(2, 3, 32, 32).normal_())
    assert len(pairs) == count
    assert all(torch.allclose(kept, out, atol=1e-6) for kept, out in pairs)


def test_a_plain_network_has_none():
    assert not residual_branches(nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU()))


# The blocks of each, and the branches of a block.
MIXERS = {
    "clip": ("vision_model.encoder.layers", 2), "siglip": ("vision_model.encoder.layers", 2),
    "bert": ("encoder.layer", 2), "roberta": ("encoder.layer", 2), "electra": ("encoder.layer", 2),
    "deberta-v2": ("encoder.layer", 2),
    "distilbert": ("transformer.layer", 2), "albert": ("encoder.albert_layer_groups", 2), "mpnet": ("encoder.layer", 2),
    "modernbert": ("layers", 2), "t5": ("encoder.block", 2), "gpt2": ("h", 2),
    "audio-spectrogram-transformer": ("layers", 1), "wav2vec2": ("encoder.layers", 2), "wavlm": ("encoder.layers", 2),
    "hubert": ("encoder.layers", 2), "data2vec-audio": ("encoder.layers", 2), "wav2vec2-conformer": ("encoder.layers", 4),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXERS)
def test_without_its_branches_a_transformer_lets_every_token_pass_alone(name, tmp_path):
    """Attention is what brings tokens together, and it ends in a branch."""
    kind, (where, each) = KINDS[name], MIXERS[name]
    kind.save(tmp_path)
    net = built(tmp_path, kind.medium).eval()
    blocks = net.backbone.model.get_submodule(where)
    branches = residual_branches(net.backbone)
    assert len(branches) == each * len(blocks)
    calls = []
    blocks[0].register_forward_pre_hook(lambda block, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
    with torch.no_grad():
        net(inputs(net, kind.medium))
    (x, *rest), kwargs = calls[0]
    rest = [None if "Cache" in type(one).__name__ else one for one in rest]  # GPT-2 keeps keys for a next token
    moved = x.clone()
    moved[:, 0] += torch.linspace(-1, 1, x.shape[-1])

    def others(x_BLD):
        found = blocks[0](x_BLD, *rest, **kwargs)
        return (found[0] if isinstance(found, tuple) else found)[:, 1:]

    with torch.no_grad():
        assert not torch.allclose(others(moved), others(x), atol=1e-6)
        for branch in branches:
            attach_after(branch.end, "nothing", Nothing())
        assert torch.equal(others(moved), others(x))
        scaled = others(2 * x)  # without the perceptron nothing bends: norms apart, twice the input is twice the output
        assert torch.allclose(scaled, 2 * others(x), atol=1e-4) or torch.allclose(scaled, others(x), atol=1e-3)


def test_efficientnet_s_branches_are_those_with_a_shortcut(tmp_path):
    kind = KINDS["efficientnet"]
    kind.save(tmp_path)
    net = built(tmp_path, kind.medium)
    branches = residual_branches(net.backbone)
    assert branches and all(branch.block.apply_dropout for branch in branches)
    for branch in branches:
        attach_after(branch.end, "nothing", Nothing())
    seen = []
    for branch in branches:
        branch.block.register_forward_hook(lambda block, inputs, output: seen.append(torch.equal(inputs[0], output)))
    with torch.no_grad():
        net.eval()(inputs(net, kind.medium))
    assert seen and all(seen)


def test_cvt_drops_the_sum_itself_so_it_has_no_branch(tmp_path):
    KINDS["cvt"].save(tmp_path)
    assert not residual_branches(built(tmp_path, "image").backbone)
