import copy
import sys

import pytest
import torch
from tests.conftest import write_images
from tests.models.kinds import KINDS, built, inputs
from torch import nn

from whet.api import train
from whet.core.errors import NoEffectError, RecipeError
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.core.spec import ModelSpec
from whet.exporting.export import export
from whet.methods import SGD, Distill, Freeze, LowRank, PruneStructured, TemperatureScaling
from whet.methods.compress.channels import widths_of
from whet.models import build_net
from whet.models.build import load_net, save_net
from whet.testing.bench import make_bench, train_steps
from whet.training.job import resume_run, train_run
from whet.training.log import Observer

CLASSES = ("glass", "metal", "paper")


def net_of(architecture, medium="image", task="single-label"):
    with Rng(0).torch_scope("init"):
        return build_net(ModelSpec(architecture=architecture, weights="none"), CLASSES, medium, task=task)[0].eval()


def sample(net, size=None):
    blank = net.front(net.front.blank(2, size or {"image": 64, "audio": 600}[net.spec.medium]))
    return torch.linspace(-1, 1, blank.numel()).mul(1e3).sin().view(blank.shape)


def weights_of(net):
    return sum(parameter.numel() for parameter in net.parameters())


def operations_of(net, x):
    """Multiplications of a forward pass."""
    counted = []

    def count(layer, inputs, output):
        counted.append(output[0, 0].numel() * layer.weight.numel() if layer.weight.ndim > 2 else layer.weight.numel())

    handles = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        net(x)
    for handle in handles:
        handle.remove()
    return sum(counted)


@pytest.mark.parametrize(
    ("architecture", "medium", "task"),
    [
        ("resnet9", "image", "single-label"),
        ("resnet18", "image", "single-label"),
        ("mobilenet_v2", "image", "single-label"),
        ("efficientnet_b0", "image", "single-label"),
        ("convmixer", "image", "single-label"),
        pytest.param("vgg16", "image", "single-label", marks=pytest.mark.slow),
        pytest.param("alexnet", "image", "single-label", marks=pytest.mark.slow),
        ("audio_cnn", "audio", "single-label"),
        ("yamnet", "audio", "single-label"),
        ("resnet18", "image", "semantic-segmentation"),
    ],
)
def test_a_third_of_the_channels_goes_in_sixteens_and_the_rest_loads_bit_for_bit(
    architecture, medium, task, tmp_path, context, monkeypatch
):
    net = net_of(architecture, medium, task)
    x, before, old = sample(net), weights_of(net), widths_of(net)
    operations = operations_of(net, x)
    thin = PruneStructured().change(net, context((5,) * 3)).eval()
    changed = {name: width for name, width in widths_of(thin).items() if width != old[name]}
    for name, width in changed.items():
        for after, channels in zip(width, old[name]):
            flattened = channels % 16 == 0 and after % 16 == 0  # of a map: the cells of a multiple of 16 channels
            assert after == channels or flattened or after % 16 == 0, name
            assert after in (16, channels) or after <= 0.7 * channels, name
    assert weights_of(thin) < 0.75 * before and operations_of(thin, x) < 0.75 * operations
    (entry,) = thin.spec.changes
    assert {name: tuple(width) for name, width in entry["prune_structured"]["widths"].items()} == changed
    first = next(module for module in thin.modules() if isinstance(module, nn.Conv2d))
    assert first.in_channels == x.shape[1] and thin(x).shape[1] == 3
    save_net(thin, tmp_path / "model", {})
    monkeypatch.setitem(sys.modules, "torch_pruning", None)  # not needed any more
    again = load_net(tmp_path / "model").on(torch.device("cpu"))  # in memory as in a run
    with torch.no_grad():
        assert torch.equal(again(x), thin(x))
    thin.train()(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in thin.parameters())


def test_the_weakest_channels_go_and_others_keep_their_outputs(net, context):
    """A channel without weights does not matter: the outputs stay the same without it. The others are removed by the mean over the
    layers of a group of their squared norms, each relative to the mean."""
    model = net(features=6).eval()
    weak = [1, 4]
    with torch.no_grad():
        for layer in (model.backbone[3], model.backbone[4]):
            for tensor in (layer.weight, layer.bias):
                if tensor is not None:
                    tensor[weak] = 0
        model.backbone[4].weight[[0, 2, 3, 5]] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    x = torch.linspace(-2, 2, 2 * 3 * 96 * 96).sin().view(2, 3, 96, 96)
    with torch.no_grad():
        expected, kept = model(x), model.backbone[4].weight[[0, 2, 3, 5]].clone()
    thin = PruneStructured(share=0.3, multiple=4).change(copy.deepcopy(model), context((5,) * 3)).eval()
    assert widths_of(thin) == {
        "backbone.0": (3, 4), "backbone.1": (4, 4), "backbone.3": (4, 4), "backbone.4": (4, 4), "head": (4, 3),
    }  # fmt: skip
    with torch.no_grad():
        assert torch.equal(thin.backbone[4].weight, kept)
        assert torch.allclose(thin(x), expected, atol=1e-6)


def test_share_zero_and_small_layers(net, context):
    model = net()
    assert PruneStructured(share=0).change(model, context((5,) * 3)) is model
    with pytest.raises(NoEffectError, match="no layer has channels to remove: 16 are kept in each"):
        PruneStructured().change(net(), context((5,) * 3))


@pytest.mark.parametrize("architecture", ["vit_tiny", "convnext_atto"])
def test_networks_of_tokens_are_refused_by_name_before_anything_is_trained(architecture):
    with pytest.raises(RecipeError, match=rf"prune_structured: {architecture} applies linear layers to tokens"):
        PruneStructured().require(net_of(architecture))


QUICK = ("mobilenet_v1", "mobilenet_v2", "regnet", "bit", "swin")


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name, kind in KINDS.items()
        if kind.medium in ("image", "audio")
    ],
)
def test_every_kind_of_network_is_pruned_or_refused(name, tmp_path, context):
    kind = KINDS[name]
    kind.save(tmp_path / "published")
    net = built(tmp_path / "published", kind.medium).eval()
    x, before = inputs(net, kind.medium), weights_of(net)
    try:
        thin = PruneStructured(share=0.4, multiple=2).change(net, context((1,) * len(net.spec.classes))).eval()
    except (RecipeError, NoEffectError) as error:
        assert "prune_structured: " in str(error) or "no layer has channels" in str(error)
        return
    save_net(thin, tmp_path / "saved", {})
    assert weights_of(thin) < before
    with torch.no_grad():
        assert torch.equal(load_net(tmp_path / "saved")(x), thin(x))


def test_a_missing_library_is_named_before_anything_is_trained(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(RecipeError, match=r"prune_structured: torch_pruning .* pip install whet\[compress\]"):
        PruneStructured().require(net_of("resnet9_slim"))


def test_what_is_trained_first_is_the_recipe_without_what_compresses(tmp_path):
    method = PruneStructured()
    recipe = Recipe(methods=(SGD(lr=0.3), TemperatureScaling(), LowRank(), method)).setting(seed=4, budget="8m")
    before = method.predecessor(recipe)
    assert before.methods == (SGD(lr=0.3),)
    assert before.train.budget.seconds == 240
    assert str(method.predecessor(recipe.setting(budget="7ep")).train.budget) == "7ep"
    assert PruneStructured(share=0).predecessor(recipe) is None
    assert PruneStructured(run="somewhere").predecessor(recipe) is None
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    run.requested.write_text("{}")
    assert method.predecessor(recipe.replace(model=ModelSpec(weights=str(run.path)))) is None
    with pytest.raises(RecipeError, match="widths is found by the run"):
        Recipe(methods=(SGD(), PruneStructured(widths={"head": (1, 2)})))


def recipe_of(data, *methods, **settings):
    from whet.core.spec import DataSpec

    return Recipe(
        data=DataSpec(path=str(data)), model=ModelSpec(architecture="resnet9_slim", weights="none"),
        methods=(SGD(lr=0.05), *methods),
    ).setting(budget="2ep", batch_size=8, image_size=32, precision="fp32", torch_threads=1, seed=2, **settings)  # fmt: skip


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A run that trains its first run itself."""
    root = tmp_path_factory.mktemp("pruned")
    data = write_images(root / "images", {"glass": 16, "metal": 12, "paper": 10})
    return data, train(data, recipe=recipe_of(data, PruneStructured()), out=root / "run")


def test_a_run_that_is_refused_leaves_nothing(pruned, tmp_path):
    recipe = recipe_of(pruned[0], PruneStructured()).replace(model=ModelSpec(architecture="vit_tiny", weights="none"))
    with pytest.raises(RecipeError, match="vit_tiny applies linear layers to tokens"):
        train_run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_prunes_the_network_that_it_trained_first(pruned):
    data, run = pruned
    first = RunFolder(run.path / "external_models" / "prune_structured")
    assert first.finished and "prune_structured" not in Recipe.load(first.requested)
    whole, thin = load_net(first.model), load_net(run.path / "model")
    assert weights_of(thin) < 0.5 * weights_of(whole)
    assert any(
        note.startswith("prune_structured: 5 groups of layers lost channels; 412,051") for note in run.metrics["notes"]
    )
    assert not (run.path / "model" / "external_models").exists()
    (entry,) = thin.spec.changes
    assert entry["prune_structured"]["run"] == ""
    kept = run.predictions.set_index("id").filter(like="p:")
    again = run.predict([data / name for name in kept.index]).filter(like="p:")
    assert abs(kept.to_numpy() - again.to_numpy()).max() < 1e-4


def test_the_weights_of_a_run_are_pruned_head_included(pruned, context):
    _, run = pruned
    first = str(run.path / "external_models" / "prune_structured")
    theirs, ours = load_net(RunFolder(first).model), net_of("resnet9_slim")
    thin = PruneStructured(run=first).change(ours, context((5,) * 3))
    again = PruneStructured().change(theirs, context((5,) * 3))
    assert all(torch.equal(a, b) for a, b in zip(thin.state_dict().values(), again.state_dict().values(), strict=True))
    with pytest.raises(
        RecipeError, match=r"built with prune_structured\) is not that of this recipe .* not compressed"
    ):
        PruneStructured(run=str(run.path)).change(net_of("resnet9_slim"), context((5,) * 3))
    with pytest.raises(RecipeError, match=r"\(resnet9_slim, built with no method\) is not that .*\(resnet18\)"):
        PruneStructured(run=first).change(net_of("resnet18"), context((5,) * 3))


def test_a_run_starts_from_a_run_with_that_run_as_its_teacher(pruned, tmp_path):
    data, run = pruned
    first = str(run.path / "external_models" / "prune_structured")
    recipe = recipe_of(data, PruneStructured(), Distill(teacher=first))
    recipe = recipe.replace(model=ModelSpec(architecture="auto", weights=first))
    student = train(data, recipe=recipe.setting(budget="1ep"), out=tmp_path / "student")
    assert not (student.path / "external_models").exists()
    assert weights_of(load_net(student.path / "model")) == weights_of(load_net(run.path / "model"))


@pytest.mark.slow
def test_a_run_exports(pruned, tmp_path):
    """The gate compares the ONNX file with the run."""
    assert export(pruned[1], tmp_path / "bundle")


class _Stops(Observer):
    """Ends the second of two trainings in its fourth step."""

    def __init__(self, first):
        self._first = first

    def step(self, record):
        if self._first.finished and record["step"] == 4:
            raise InterruptedError


@pytest.mark.slow
@pytest.mark.sample
def test_a_run_that_stopped_goes_on_with_the_same_channels(pruned, tmp_path):
    data, _ = pruned
    recipe = recipe_of(data, PruneStructured(), checkpoint_every="1st")
    whole = train_run(recipe, tmp_path / "whole")
    first = RunFolder(tmp_path / "stopped" / "external_models" / "prune_structured")
    with pytest.raises(InterruptedError):
        train_run(recipe, tmp_path / "stopped", observer=_Stops(first))
    moved = (tmp_path / "stopped").rename(tmp_path / "moved")
    assert resume_run(moved).read_predictions().equals(whole.read_predictions())


def test_a_pruned_network_is_trained_whole():
    bench = make_bench((PruneStructured(), Freeze(share=0.5)), architecture="resnet9_slim")
    assert bench.plan.notes == ["prune_structured overrides settings of freeze: share = 0.0 instead of 0.5"]
    assert bench.plan.recipe.method("freeze") == Freeze(share=0.0)
    assert all(parameter.requires_grad for parameter in bench.plan.net.parameters())
    train_steps(bench, 2)
    assert weights_of(bench.plan.net) < 412_051 / 2
    assert PruneStructured(share=0).take_over(Freeze(share=0.5)) is None
    assert PruneStructured().take_over(Freeze(share=0.0)) is None
