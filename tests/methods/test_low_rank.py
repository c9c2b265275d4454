import copy

import pytest
import torch
from tests.conftest import write_images
from tests.models.kinds import KINDS, built, inputs
from torch import nn

from whet.api import train
from whet.core.errors import NoEffectError, RecipeError
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.exporting.export import export
from whet.methods import SGD, LinearProbe, LowRank
from whet.methods.compress.low_rank import TwoLayers, _factors, _layers
from whet.models.build import load_net, save_net
from whet.models.depthwise import StridedDepthwiseConv2d
from whet.models.net import Net, NetSpec, new_head
from whet.models.zoo_audio.yamnet import YAMNet
from whet.testing.bench import make_bench


def spectrum(*values, shape, seed=0):
    """A matrix with these singular values."""
    with Rng(seed).torch_scope("matrix"):
        left, right = (torch.linalg.qr(torch.randn(side, len(values), dtype=torch.float64))[0] for side in shape)
    return (left * torch.tensor(values, dtype=torch.float64)) @ right.T


def net_of(*layers, features):
    spec = NetSpec("zoo", "bench", ("a", "b"), (0.5,) * 3, (0.25,) * 3)
    return Net(spec, nn.Sequential(*layers), new_head(features, 2)).eval()


@pytest.mark.parametrize("layer", [nn.Linear(64, 96), nn.Conv2d(64, 96, 1, stride=2), nn.Linear(96, 64, bias=False)])
def test_two_layers_of_full_rank_are_the_layer(layer):
    """Right result 11 of the bundle: at full rank equal within 1e-4."""
    both = TwoLayers(layer, 64)
    with torch.no_grad():
        both.set_factors(_factors(layer), layer.bias, 64)
    side = layer.weight.shape[1]
    x = torch.linspace(-3, 3, 2 * side * 25).sin()
    x = x.view(2, side, 5, 5) if isinstance(layer, nn.Conv2d) else x.view(2, 25, side)
    assert both(x).shape == layer(x).shape
    assert (both(x) - layer(x)).abs().max() < 1e-4
    assert torch.allclose(both.weight, layer.weight, atol=1e-5)
    assert (both.bias is None) == (layer.bias is None)


def test_the_approximation_is_the_best_one_of_its_rank(context):
    """Eckart and Young: the squared error is the sum of the other squared singular values; the rank is the smallest multiple of 8
    with the energy."""
    values = [0.8**k for k in range(64)]
    net = net_of(nn.Linear(64, 128), features=128)
    with torch.no_grad():
        net.backbone[0].weight.copy_(spectrum(*values, shape=(128, 64)))
    thinner = LowRank(energy=0.999).compress(net, context())
    squares = torch.tensor(values, dtype=torch.float64).square()
    assert 8 < int((squares.cumsum(0) < 0.999 * squares.sum()).sum()) + 1 <= 16
    both = thinner.backbone[0]
    assert both.down.weight.shape == (16, 64) and both.up.weight.shape == (128, 16)
    error = (both.weight - net.backbone[0].weight).detach().double().square().sum()
    assert float(error) == pytest.approx(float(squares[16:].sum()), rel=1e-3)
    assert thinner.spec.changes == (
        {"low_rank": {"energy": 0.999, "energy_of": "weights", "ranks": {"backbone.0": 16}}},
    )
    assert any("1 of 1 layers became two thinner ones" in note for note in thinner.notes)


def test_the_energy_of_the_outputs_is_that_on_the_training_samples(context):
    """The squared error of the outputs is the sum of the other squared singular values of weight @ C^(1/2), and below that of the
    plain decomposition of the same rank."""
    net = net_of(nn.Linear(64, 96), features=96)
    with Rng(1).torch_scope("x"):
        x_MN = torch.randn(500, 64) * torch.tensor([0.9**k for k in range(64)])
        x_MN[:, 9] = 0  # an input that is never used
    thinner = LowRank(energy=0.95, energy_of="outputs").compress(net, context(features=lambda backbone: backbone(x_MN)))
    weight, both = net.backbone[0].weight.detach().double(), thinner.backbone[0]
    values = torch.linalg.svdvals(x_MN.double() @ weight.T).square()
    rank = both.down.out_features
    assert rank - 8 < int((values.cumsum(0) < 0.95 * values.sum()).sum()) + 1 <= rank
    error = lambda other: float((x_MN.double() @ (weight - other.detach().double()).T).square().sum())  # noqa: E731
    assert error(both.weight) == pytest.approx(float(values[rank:].sum()), rel=1e-3)
    plain = LowRank(ranks={"backbone.0": rank}).change(copy.deepcopy(net), context())
    with torch.no_grad():
        plain.backbone[0].set_factors(_factors(net.backbone[0]), None, rank)
    assert error(both.weight) < 0.8 * error(plain.backbone[0].weight)
    assert not thinner.backbone[0]._forward_pre_hooks


def test_only_layers_that_become_faster_are_replaced(context):
    """64 x 64: 0.8 of 32 is 25.6, so rank 24 is replaced and rank 32 stays."""
    for count, replaced in ((24, True), (25, False)):
        net = net_of(nn.Linear(64, 64), nn.Linear(64, 64), features=64)
        with torch.no_grad():
            net.backbone[0].weight.copy_(spectrum(*[1.0] * count, shape=(64, 64)))
            net.backbone[1].weight.copy_(spectrum(*[1.0] * 8, shape=(64, 64)))
        thinner = LowRank(energy=0.9999).compress(net, context())
        assert isinstance(thinner.backbone[0], TwoLayers) is replaced
        assert isinstance(thinner.backbone[1], TwoLayers)
        assert type(net.backbone[0]) is nn.Linear  # the trained network itself is kept


def test_nothing_to_save_leaves_the_network_as_it_was(context):
    net = net_of(nn.Linear(16, 16), features=16)
    with pytest.raises(NoEffectError, match="would not be faster for any of 1 layers"):
        LowRank().compress(net, context())
    with pytest.raises(NoEffectError, match="no linear layer and no 1x1 convolution"):
        LowRank().compress(net_of(nn.Conv2d(3, 64, 3), nn.Flatten(), features=64), context())
    bench = make_bench((LowRank(),))
    assert bench.plan.compressed(bench.plan.net) is bench.plan.net
    assert any(line.startswith("low_rank has no effect here") for line in bench.plan.ineffective)


def test_layers_that_are_not_theirs_alone_stay(context):
    tied, hooked, plain = (nn.Linear(64, 64) for _ in range(3))
    embedding = nn.Embedding(64, 64)
    embedding.weight = tied.weight
    keeps = nn.Sequential(nn.Linear(64, 64))
    keeps.layers = [keeps[0]]  # called from there, as in Mask2Former
    hooked.register_forward_hook(lambda module, inputs, output: output + 1)
    grouped, wide = nn.Conv2d(64, 64, 1, groups=2), nn.Conv2d(64, 64, 1, padding=1)
    depthwise = StridedDepthwiseConv2d(64, 64, 1, stride=2, groups=64)
    net = net_of(tied, embedding, hooked, plain, grouped, wide, depthwise, keeps, features=64)
    with torch.no_grad():
        for layer in (tied, hooked, plain, keeps[0]):
            layer.weight.copy_(spectrum(*[1.0] * 4, shape=(64, 64)))
        for layer in (grouped, wide, depthwise):
            layer.weight.fill_(1.0)
    ranks = LowRank().compress(net, context()).spec.changes[0]["low_rank"]["ranks"]
    assert ranks == {"backbone.3": 8}


def test_ranks_are_found_and_never_given():
    with pytest.raises(RecipeError, match=r"low_rank.ranks is found by the run .* leave it out"):
        Recipe(methods=(SGD(), LowRank(ranks={"backbone.0": 8})))


@pytest.mark.parametrize("medium", ["image", "text", "audio"])
def test_a_saved_network_loads_bit_for_bit(medium, tmp_path, context):
    bench = make_bench((), "text-classification" if medium == "text" else "image-classification", architecture={
        "image": "mobilenet_v2", "text": "text_transformer", "audio": "resnet9_slim"}[medium])  # fmt: skip
    net, x = bench.plan.net.eval(), bench.batch(0).x
    if medium == "audio":
        with Rng(0).torch_scope("net"):
            spec = NetSpec("zoo", "yamnet", ("a", "b"), (0.0,), (1.0,), medium="audio", mel=_mel())
            net, x = Net(spec, YAMNet(), new_head(1024, 2), _front()).eval(), torch.randn(2, 1, 96, 64)
    with torch.no_grad():
        for layer in net.backbone.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d) and layer.weight[0, 0].numel() == 1 and len(layer.weight) > 64:
                weight = layer.weight.flatten(1)
                layer.weight.copy_((weight[:, :4] @ weight[:4]).view_as(layer.weight))
    thinner = LowRank().compress(net, context(tuple([10] * len(net.spec.classes))))
    save_net(thinner, tmp_path / "model", {})
    again = load_net(tmp_path / "model")
    assert sum(isinstance(layer, TwoLayers) for layer in again.modules()) > 3
    assert sum(p.numel() for p in again.parameters()) < sum(p.numel() for p in net.parameters())
    with torch.no_grad():
        assert torch.equal(again(x), thinner(x))
        assert torch.allclose(thinner(x), net(x), atol=1e-3 * float(net(x).abs().max()))


def _mel():
    from dataclasses import asdict

    from whet.models.mel import YAMNET_MEL

    return asdict(YAMNET_MEL)


def _front():
    from whet.models.front import AudioFront
    from whet.models.mel import MelSettings

    return AudioFront(MelSettings(**_mel()), 0.0, 1.0)


QUICK = ("bert", "t5", "clip", "deit (distilled)", "mobilenet_v1", "wav2vec2", "cvt")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in KINDS]
)
def test_every_kind_of_network_works_with_its_layers_replaced(name, tmp_path, context):
    """All at full rank: equal to the network; and equal bit for bit when loaded again."""
    kind = KINDS[name]
    kind.save(tmp_path / "published")
    net = built(tmp_path / "published", kind.medium).eval()
    x, parts = inputs(net, kind.medium), {name: _factors(layer) for name, layer in _layers(net).items()}
    assert parts or name in ("bit", "gpt2", "squeezebert")  # their layers are of other kinds
    ranks = {name: len(values) for name, (_, values, _) in parts.items()}
    replaced = LowRank(ranks=ranks).change(copy.deepcopy(net), context((1,) * len(net.spec.classes))).eval()
    with torch.no_grad():
        for layer, rank in ranks.items():
            replaced.get_submodule(layer).set_factors(parts[layer], net.get_submodule(layer).bias, rank)
        save_net(replaced, tmp_path / "saved", {})
        expected, found = net(x), replaced(x)
        assert (found - expected).abs().max() < 1e-4 * max(1.0, float(expected.abs().max()))
        assert torch.equal(load_net(tmp_path / "saved")(x), found)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A frozen backbone, whose features are computed once in training."""
    root = tmp_path_factory.mktemp("low_rank")
    data = write_images(root / "images", {"glass": 12, "metal": 10, "paper": 8})
    recipe = Recipe(methods=(SGD(lr=0.05), LinearProbe(), LowRank(energy=0.9, energy_of="outputs"))).setting(
        image_size=32, batch_size=8, precision="fp32", torch_threads=1, budget="1ep"
    )
    return data, train(data, recipe=recipe, architecture="mobilenet_v2", weights="none", out=root / "run")


def test_the_metrics_of_a_run_are_those_of_the_thinner_network(run):
    data, run = run
    net = load_net(run.path / "model")
    assert sum(isinstance(layer, TwoLayers) for layer in net.modules()) > 20
    assert any("layers became two thinner ones" in note for note in run.metrics["notes"])
    kept = run.predictions.set_index("id").filter(like="p:")
    again = run.predict([data / name for name in kept.index]).filter(like="p:")
    assert len(kept) and abs(kept.to_numpy() - again.to_numpy()).max() < 1e-4


@pytest.mark.slow
def test_a_run_exports(run, tmp_path):
    """The gate compares the ONNX file with the run."""
    bundle = export(run[1], tmp_path / "bundle")
    assert bundle.info["parity"]["largest_difference"] < 1e-4
