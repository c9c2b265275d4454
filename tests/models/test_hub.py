import json

import numpy as np
import pytest
import torch
from torch import nn

from whet.core.errors import RecipeError, WeightsError
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.data.image import decode
from whet.models import build_net, load_net
from whet.models.build import read_extra, save_net

CLASSES = ("glass", "metal", "paper")


def build(weights, architecture=None, classes=CLASSES):
    spec = ModelSpec(architecture=str(architecture or weights), weights=str(weights))
    with Rng(0).torch_scope("init"):
        return build_net(spec, classes)


def test_the_tensorflow_settings_are_found_corrected_and_told(mobilenet):
    net, notes = build(mobilenet)
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {m.momentum for m in norms} == {0.1}
    assert len(norms) == 27
    assert all(m.p == 0 for m in net.modules() if isinstance(m, nn.Dropout))
    assert any("momentum 0.9997" in note for note in notes)
    assert any("dropout of 0.999" in note for note in notes)
    assert any("mean (0.5, 0.5, 0.5)" in note for note in notes)
    assert net.spec.native_size == 128


def test_the_backbone_gives_what_the_classifier_was_given(shared, mobilenet):
    """Our features through the published classifier name the cat on the check image."""
    from transformers import AutoModelForImageClassification

    net, _ = build(mobilenet)
    published = AutoModelForImageClassification.from_pretrained(mobilenet, dtype=torch.float32).eval()
    pixels = decode((shared / "data" / "weights" / "check_cat.jpg").read_bytes())
    import cv2

    image = torch.from_numpy(cv2.resize(pixels, (128, 128), interpolation=cv2.INTER_AREA))[None]
    with torch.inference_mode():
        x = net.eval().prepare(image.numpy())
        logits = published.classifier(net.backbone(x))
        assert torch.allclose(logits, published(pixel_values=x).logits, atol=1e-4)
    labels = (shared / "data" / "weights" / "imagenet_labels.txt").read_text().splitlines()
    assert "cat" in labels[int(logits.argmax())].lower()


def test_normalising_is_what_the_weights_want(mobilenet):
    net, _ = build(mobilenet)
    x = net.prepare(np.array([[[[0, 255, 51]]]], dtype=np.uint8))
    assert x.flatten().tolist() == pytest.approx([-1.0, 1.0, -0.6])
    assert x.shape == (1, 3, 1, 1)


def test_saved_it_opens_here_and_in_transformers(mobilenet, tmp_path):
    from transformers import AutoModelForImageClassification

    net, _ = build(mobilenet)
    save_net(net.eval(), tmp_path / "model", {"fitted": {}})
    x = net.prepare(Rng(0).batch("x", 0, np.arange(2)).uniform(0, 255, (64, 64, 3)).astype(np.uint8))
    with torch.inference_mode():
        expected = net(x)
        again = load_net(tmp_path / "model")
        assert torch.allclose(again(x), expected, atol=1e-5)
        theirs = AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
        assert torch.allclose(theirs(pixel_values=x).logits, expected, atol=1e-5)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "glass", "1": "metal", "2": "paper"}
    assert config["classifier_dropout_prob"] == 0
    assert read_extra(tmp_path / "model")["fitted"] == {}
    assert str(mobilenet) not in "".join(p.read_text() for p in (tmp_path / "model").glob("*.json"))
    with torch.inference_mode():
        assert torch.allclose(net(x), expected)  # saving left the network whole


def test_random_weights_on_purpose_only(mobilenet):
    net, notes = build("none", mobilenet)
    pretrained, _ = build(mobilenet)
    name = "backbone.model.mobilenet_v1.conv_stem.convolution.weight"
    assert not torch.equal(net.state_dict()[name], pretrained.state_dict()[name])
    assert "random weights, as requested" in notes[0]


@pytest.mark.parametrize(
    ("weights", "architecture", "message"),
    [
        ("./nowhere", None, r"no config.json in that folder"),
        ("none", "resnet8", r"unknown architecture 'resnet8'. Did you mean 'resnet18'"),
        ("./nowhere.safetensors", "resnet9", r"nowhere.safetensors do not exist; accepted"),
    ],
)
def test_weights_that_cannot_be_had(weights, architecture, message):
    with pytest.raises((WeightsError, RecipeError), match=message):
        build(weights, architecture)


def test_a_hub_name_out_of_reach_is_one_clear_error(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"hub name 'nobody/nothing'.*--weights a folder with config.json"):
        build("nobody/nothing")


def test_a_backbone_that_lacks_tensors_is_refused(mobilenet, tmp_path):
    """transformers would fill them with random numbers."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(mobilenet / "model.safetensors")
    tensors.pop("mobilenet_v1.conv_stem.convolution.weight")
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((mobilenet / "config.json").read_text())
    with pytest.raises(WeightsError, match=r"lack 1 tensors of the backbone.*conv_stem"):
        build(tmp_path)


def test_damaged_weights_are_refused(mobilenet, tmp_path):
    (tmp_path / "config.json").write_text((mobilenet / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((mobilenet / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(WeightsError, match="no weights from the folder"):
        build(tmp_path)


def test_other_architectures_of_the_library_work(tmp_path):
    """A transformer and a residual network, from their configuration alone."""
    import transformers

    configs = [
        transformers.ViTConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=32
        ),
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"),
        transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2),
    ]
    for number, config in enumerate(configs):
        config.save_pretrained(tmp_path / str(number))
        net, _ = build("none", tmp_path / str(number))
        logits = net(torch.zeros(2, 3, 32, 32))
        assert logits.shape == (2, 3)
        assert len(net.blocks()) >= 3
        save_net(net.eval(), tmp_path / f"saved{number}", {})
        x = torch.ones(2, 3, 32, 32)
        assert torch.allclose(load_net(tmp_path / f"saved{number}")(x), net(x), atol=1e-5)
