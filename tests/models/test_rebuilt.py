"""Networks that methods changed: saved, loaded, resumed, and planned once more."""

import copy
import json
import shutil
from typing import Annotated

import numpy as np
import pytest
import torch
from pydantic import Field
from tests.conftest import write_images
from torch import nn
from torch.nn.utils import parametrize

from whet.api import resume, train
from whet.core.batch import Context
from whet.core.method import Method
from whet.core.output import claim
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.core.stages import Changes
from whet.methods import SGD
from whet.models import build_net, load_net
from whet.models.attach import attach_after, attach_before
from whet.models.build import read_extra, save_net
from whet.tasks import SINGLE_LABEL
from whet.training import session
from whet.training.plan import Plan

CLASSES = ("glass", "metal", "paper")


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


class ExtraLayer(Method, Changes, family="architecture", tasks={"image-classification"}):
    """Do a thing.

    Use when: testing.
    Do not use when: not testing.
    Source: Nobody 2020.
    """

    order = 10
    size: Annotated[int, Field(ge=1)] = 3

    def change(self, net, context):
        assert context.classes == CLASSES and context.task == SINGLE_LABEL
        first = next(module for module in net.backbone.modules() if isinstance(module, nn.Conv2d))
        channels = first.out_channels
        attach_after(first, "extra", nn.Conv2d(channels, channels, self.size, padding=self.size // 2))
        net.built_with(self)
        return net


class DoubledWeights(Method, Changes, family="architecture", tasks={"image-classification"}):
    """Do a thing.

    Use when: testing.
    Do not use when: not testing.
    Source: Nobody 2020.
    """

    order = 20

    def change(self, net, context):
        for module in list(net.backbone.modules()):
            if isinstance(module, nn.Conv2d):
                parametrize.register_parametrization(module, "weight", Doubled())
        return net


@pytest.fixture
def known():
    """The two methods above in the registry, as a recipe and a saved model look for them there."""
    for cls in (ExtraLayer, DoubledWeights):
        registry()._by_name[cls.name] = cls
    yield
    for cls in (ExtraLayer, DoubledWeights):
        del registry()._by_name[cls.name]


def tiny_resnet(folder):
    import transformers

    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    config.save_pretrained(folder)
    return str(folder)


def planned(architecture, *methods):
    with Rng(0).torch_scope("init"):
        net, _ = build_net(ModelSpec(architecture=architecture, weights="none"), CLASSES)
    context = Context(SINGLE_LABEL, CLASSES, np.array([5, 5, 5]), lambda: None)
    return Plan(Recipe(methods=(SGD(), *methods)), net, context)


def moved(net):
    """The network after its statistics have seen something, in evaluation mode."""
    net.train()
    with torch.no_grad(), Rng(1).torch_scope("x"):
        net(torch.randn_like(torch.empty(4, 3, 32, 32)))
    return net.eval()


X = torch.linspace(-2, 2, 2 * 3 * 32 * 32).sin().view(2, 3, 32, 32)


@pytest.mark.parametrize("source", ["zoo", "transformers"])
def test_a_rebuilt_network_survives_saving(known, tmp_path, source):
    architecture = "resnet9_slim" if source == "zoo" else tiny_resnet(tmp_path / "config")
    net = moved(planned(architecture, ExtraLayer(size=1), DoubledWeights()).net).baked()
    bare = planned(architecture).net
    assert bare.state_dict().keys() < net.state_dict().keys()  # what was there keeps its name
    model = claim(tmp_path / "run", "run").path / "model"
    save_net(bare, model, {})  # as a run does at its start
    save_net(net, model, {"task": "image-classification"})
    assert read_extra(model)["net"]["changes"] == [{"extra_layer": {"size": 1}}]
    assert not (model / "model.safetensors").exists()  # transformers could not open it as its own
    again = load_net(model)
    assert again.spec == net.spec
    with torch.no_grad():
        assert torch.allclose(again(X), net(X), atol=1e-6)
        assert not torch.allclose(again(X), bare.eval()(X), atol=1e-3)


def test_parametrised_weights_are_saved_as_what_they_come_to(known, tmp_path):
    """transformers opens the model itself and answers the same."""
    from transformers import AutoModelForImageClassification

    architecture = tiny_resnet(tmp_path / "config")
    plan = planned(architecture, DoubledWeights())
    own = moved(plan.net)
    net = own.baked()
    assert not any(parametrize.is_parametrized(module) for module in net.modules())
    assert any(parametrize.is_parametrized(module) for module in own.modules())  # training could go on
    save_net(net, tmp_path / "model", {})
    theirs = AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        assert torch.allclose(load_net(tmp_path / "model")(X), own(X), atol=1e-6)
        assert torch.allclose(theirs(pixel_values=X).logits, own(X), atol=1e-6)


def test_nothing_changes_twice(known):
    """The timing probe plans a copy of a network that is changed already."""
    plan = planned("resnet9_slim", ExtraLayer(), DoubledWeights(), registry().get("dropout")())
    again = Plan(plan.recipe, copy.deepcopy(plan.net), plan.context)
    assert again.net.state_dict().keys() == plan.net.state_dict().keys()
    assert str(again.net) == str(plan.net)


def test_new_layers_start_the_same_for_the_same_seed(known):
    with Rng(5).torch_scope("elsewhere"):
        first = planned("resnet9_slim", ExtraLayer()).net.state_dict()
    second = planned("resnet9_slim", ExtraLayer()).net.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_parts_before_and_after_run_in_their_place():
    layer = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        for linear in layer:
            linear.weight.copy_(torch.eye(2))
    attach_before(layer, "first", nn.Threshold(0.0, 7.0))
    attach_after(layer, "last", nn.Threshold(8.0, -1.0))
    out = copy.deepcopy(layer)(torch.tensor([[-1.0, 9.0]]))
    assert out.tolist() == [[-1.0, 9.0]]
    assert [name for name, _ in layer.named_modules()] == ["", "0", "0.first", "1", "1.last"]


@pytest.mark.slow
@pytest.mark.sample
def test_a_run_with_changes_resumes_in_its_last_moment_and_predicts(known, tmp_path, monkeypatch):
    """Killed after the final model was written and before the run was marked as done: the folder holds the rebuilt network."""
    data = write_images(tmp_path / "images", dict.fromkeys(CLASSES, 14))
    recipe = Recipe(methods=(SGD(), ExtraLayer(), DoubledWeights(), registry().get("ema")())).setting(
        image_size=32, batch_size=8, precision="fp32", budget="2ep"
    )
    with monkeypatch.context() as patch:
        patch.setattr(session, "remove", lambda *_: None)  # what is left at that moment
        run = train(data, recipe=recipe, architecture="resnet9_slim", out=tmp_path / "run")
    first = run.predict(data / "metal")
    before = json.loads((tmp_path / "run" / "metrics.json").read_text())
    shutil.copytree(tmp_path / "run", tmp_path / "killed")
    (tmp_path / "killed" / "DONE").unlink()
    (tmp_path / "killed" / "metrics.json").unlink()
    again = resume(tmp_path / "killed")
    after = json.loads((tmp_path / "killed" / "metrics.json").read_text())
    assert after["test"] == before["test"] and after["val"] == before["val"]
    assert (again.predict(data / "metal") == first).all(axis=None)
