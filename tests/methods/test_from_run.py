from pathlib import Path

import pytest
import torch

from whet.core.errors import RecipeError
from whet.core.recipe import parse_method
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.methods import FromRun, Mixout, SpectralNorm
from whet.models.build import build_net, load_net
from whet.testing.bench import make_bench

CLASSES = ("glass", "metal", "wood")


@pytest.fixture
def fresh():
    def made(architecture="resnet9_slim", mean=(0.5,) * 3, std=(0.25,) * 3):
        with Rng(9).torch_scope("init"):
            return build_net(ModelSpec(architecture=architecture, weights="none"), CLASSES)[0]

    return made


def test_every_weight_of_the_backbone_and_the_known_classes_come_along(teacher_run, fresh, context):
    run = teacher_run(mean=(0.5,) * 3, std=(0.25,) * 3)
    theirs, net = load_net(Path(run) / "model"), fresh()
    wood = net.head.weight[2].clone()
    FromRun(run=run).initialise(net, context((3, 3, 3)))
    assert all(
        torch.equal(a, b) for a, b in zip(net.backbone.state_dict().values(), theirs.backbone.state_dict().values())
    )
    assert torch.equal(net.head.weight[0], theirs.head.weight[1])  # glass is second there
    assert torch.equal(net.head.weight[1], theirs.head.weight[2])
    assert torch.equal(net.head.weight[2], wood)


def test_another_architecture_is_refused_and_named(teacher_run, fresh, context):
    run = teacher_run(mean=(0.5,) * 3, std=(0.25,) * 3)
    with pytest.raises(RecipeError, match="the run has resnet9_slim, this recipe trains vgg16"):
        FromRun(run=run).initialise(fresh("vgg16"), context((3, 3, 3)))


def test_inputs_normalised_otherwise_are_refused(teacher_run, fresh, context):
    with pytest.raises(RecipeError, match=r"preprocesses its inputs differently .*mean 0.4"):
        FromRun(run=teacher_run()).initialise(fresh(), context((3, 3, 3)))


def test_a_run_that_is_not_there_is_named(tmp_path, fresh, context):
    with pytest.raises(RecipeError, match=r"from_run.run = '.*nowhere': no finished run found there"):
        FromRun(run=str(tmp_path / "nowhere")).initialise(fresh(), context((3, 3, 3)))


def test_a_training_goes_on_from_what_another_learnt(finished_run, tmp_path):
    """Before its first step it answers as the other run did."""
    import whet

    data = finished_run.parent / "images"
    settings = {"architecture": "resnet9_slim", "weights": "none", "budget": "1ep", "seed": 1}
    first = whet.train(data, methods=[{"sgd": {"lr": 1e-9}}, {"from_run": {"run": str(finished_run)}}], **settings,
                       out=tmp_path / "on")  # fmt: skip
    validations = [r for r in first.folder.log_records() if r["event"] == "validation"]
    other = [r for r in whet.load(finished_run).folder.log_records() if r["event"] == "validation"]
    assert validations[0]["accuracy"] > other[0]["accuracy"] or other[0]["accuracy"] == 1.0


STRUCTURAL = [
    "lora",
    "adapter",
    "mixout",
    "spectral_norm",
    "weight_noise",
    "squeeze_excite",
    "weight_standardization",
    "multiple_instance",
]


@pytest.mark.parametrize("name", STRUCTURAL)
def test_it_finds_the_weights_where_other_methods_have_put_them(name, teacher_run):
    """Parametrised weights have other names, adapters and gates are new."""
    run = teacher_run(mean=(0.5,) * 3, std=(0.25,) * 3)
    theirs = load_net(Path(run) / "model").backbone.state_dict()
    bench = make_bench((FromRun(run=run), parse_method(name)), architecture="resnet9_slim")
    ours = bench.plan.net.architecture_state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs if "running" not in key and "tracked" not in key)


def test_mixout_goes_back_to_the_other_run_s_weights(teacher_run):
    run = teacher_run(mean=(0.5,) * 3, std=(0.25,) * 3)
    net = make_bench((FromRun(run=run), Mixout()), architecture="resnet9_slim").plan.net
    chains = [m.parametrizations.weight for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert chains and all(torch.equal(chain[0].start, chain.original) for chain in chains)


def test_spectral_norm_bounds_the_other_run_s_weights_from_the_first_step(teacher_run):
    run = teacher_run(mean=(0.5,) * 3, std=(0.25,) * 3)
    net = make_bench((FromRun(run=run), SpectralNorm()), architecture="resnet9_slim").plan.net.eval()
    largest = [
        torch.linalg.svdvals(m.weight.detach().flatten(1))[0].item()
        for m in net.backbone.modules()
        if isinstance(m, torch.nn.Conv2d)
    ]
    assert largest == pytest.approx([1.0] * len(largest), abs=0.1)
