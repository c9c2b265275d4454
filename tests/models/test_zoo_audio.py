import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from whet.core.errors import WeightsError
from whet.core.spec import ModelSpec
from whet.data.audio import decode
from whet.models.build import resolve
from whet.models.mel import YAMNET_MEL, LogMel
from whet.models.same_padding import TensorFlowConv2d
from whet.models.zoo_audio import AUDIO_ZOO, load_yamnet
from whet.models.zoo_audio.yamnet import patches


@pytest.mark.parametrize("name", AUDIO_ZOO)
@pytest.mark.parametrize(("width", "depth"), [(1.0, 1), (0.25, 1), (0.25, 2)])
def test_every_network_takes_spectrograms_of_any_length_and_learns(name, width, depth):
    entry = AUDIO_ZOO[name]
    backbone, features = entry.build(width=width, depth=depth)
    for frames in (11, 96, 150):
        x = torch.linspace(-6, 2, 2 * frames * entry.mel.mels).view(2, 1, frames, entry.mel.mels)
        y = backbone(x)
        assert y.shape == (2, features)
    y.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in backbone.parameters())


def test_width_and_depth_change_what_they_say():
    small, wide, deep = (AUDIO_ZOO["audio_cnn"].build(width=w, depth=d)[0] for w, d in ((0.5, 1), (1.0, 1), (0.5, 2)))
    count = lambda net, kind: sum(isinstance(m, kind) for m in net.modules())  # noqa: E731
    assert count(deep, nn.Conv2d) == 2 * count(small, nn.Conv2d) == 2 * count(wide, nn.Conv2d)
    assert sum(p.numel() for p in wide.parameters()) > 3.5 * sum(p.numel() for p in small.parameters())


@pytest.mark.parametrize(("frames", "count"), [(20, 1), (96, 1), (97, 2), (144, 2), (145, 3), (498, 10)])
def test_patches_cover_every_frame_and_end_in_silence(frames, count):
    x = torch.arange(frames, dtype=torch.float32)[None, None, :, None].expand(1, 1, frames, 64)
    cut = patches(x)
    assert cut.shape == (1, count, 96, 64)
    for number in range(count):
        expected = torch.arange(48 * number, 48 * number + 96, dtype=torch.float32)
        expected[expected >= frames] = YAMNET_MEL.silence
        assert torch.equal(cut[0, number, :, 0], expected)


def test_same_padding_is_tensorflow_s():
    """An even side at stride 2 is padded at its end alone, an odd one on both sides; a 3x3 kernel of ones counts what it covers."""
    for side, corner, last in ((4, 9, 4), (5, 4, 4)):
        layer = TensorFlowConv2d(1, 1, 3, 2, bias=False)
        nn.init.ones_(layer.weight)
        y = layer(torch.ones(1, 1, side, side))[0, 0]
        assert y.shape == (-(-side // 2), -(-side // 2))
        assert (y[0, 0].item(), y[-1, -1].item()) == (corner, last)


@pytest.fixture(scope="module")
def pretrained(shared):
    backbone, _ = AUDIO_ZOO["yamnet"].build()
    rest = load_yamnet(backbone, shared / "data" / "weights" / "yamnet.safetensors")
    return backbone.eval(), rest


def test_it_loads_all_of_yamnet(pretrained):
    backbone, rest = pretrained
    assert set(rest) == {"classifier.weight", "classifier.bias"}
    assert rest["classifier.weight"].shape == (521, 1024)
    mobilenet_v1, two_colours = 3_206_976, 2 * 9 * 32  # its published count, less what a stem for one channel lacks
    assert sum(p.numel() for p in backbone.parameters()) == mobilenet_v1 - two_colours


@pytest.mark.parametrize(
    ("folder", "classes"),
    [("dog_bark", {67, 68, 69, 70}), ("chainsaw", {337, 340, 341, 342, 343})],  # of AudioSet's 521, in YAMNet's order
)
def test_it_hears_what_is_there(pretrained, shared, folder, classes):
    backbone, rest = pretrained
    paths = sorted((shared / "data" / "esc10" / folder).glob("*.ogg"))[:6]
    waves = torch.from_numpy(np.stack([np.resize(decode(path, 16000), 80000) for path in paths]))
    with torch.no_grad():
        features = backbone(LogMel(YAMNET_MEL)(waves))
    answers = (features @ rest["classifier.weight"].T + rest["classifier.bias"]).argmax(dim=1).tolist()
    assert sum(answer in classes for answer in answers) >= 4, answers


def test_weights_that_do_not_fit_are_named(tmp_path):
    backbone, _ = AUDIO_ZOO["yamnet"].build(width=0.25)
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="not readable"):
        load_yamnet(backbone, path)
    save_file({"features.0.0.weight": torch.zeros(32, 1, 3, 3)}, path)
    with pytest.raises(WeightsError, match=r"'features.0.0.weight' is \(32, 1, 3, 3\); YAMNet's is \(8, 1, 3, 3\)"):
        load_yamnet(backbone, path)
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"no weights 'features.0.0.weight'"):
        load_yamnet(backbone, path)


def _write_h5(path, weights):
    """As Keras writes TensorFlow's yamnet.h5: kernels are (height, width, inputs, outputs), BatchNorms have no scale."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:

        def put(layer, name, tensor):
            file[f"{layer}/{layer}/{name}:0"] = tensor.numpy()

        for number in range(27):
            kind = "conv" if number == 0 else "depthwise_conv" if number % 2 else "pointwise_conv"
            layer = f"layer{1 if number == 0 else (number + 1) // 2 + 1}/{kind}"
            kernel = weights[f"features.{number}.0.weight"]
            if kind == "depthwise_conv":
                put(layer, "depthwise_kernel", kernel.permute(2, 3, 0, 1))
            else:
                put(layer, "kernel", kernel.permute(2, 3, 1, 0))
            for ours, theirs in (("bias", "beta"), ("running_mean", "moving_mean"), ("running_var", "moving_variance")):
                put(f"{layer}/bn", theirs, weights[f"features.{number}.1.{ours}"])
        put("logits", "kernel", torch.zeros(1024, 521))


def test_tensorflows_own_file_gives_the_same_network(shared, tmp_path):
    backbone, _ = AUDIO_ZOO["yamnet"].build()
    load_yamnet(backbone, shared / "data" / "weights" / "yamnet.safetensors")
    wanted = backbone.state_dict()
    for number in range(27):  # scales of 1, as in the original; the scale goes into the statistics
        scale = wanted[f"features.{number}.1.weight"]
        wanted[f"features.{number}.0.weight"] *= scale[:, None, None, None]
        wanted[f"features.{number}.1.running_mean"] *= scale
        scale.fill_(1.0)
    _write_h5(tmp_path / "yamnet.h5", wanted)
    again, _ = AUDIO_ZOO["yamnet"].build()
    load_yamnet(again, tmp_path / "yamnet.h5")
    for name, tensor in wanted.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(again.state_dict()[name], tensor), name
    assert resolve(ModelSpec(weights=str(tmp_path / "yamnet.h5")), 0, "audio").architecture == "yamnet"


def test_what_is_no_weights_file_is_refused_by_name(tmp_path):
    pytest.importorskip("h5py")
    backbone, _ = AUDIO_ZOO["yamnet"].build(width=0.25)
    with pytest.raises(WeightsError, match=r"do not exist; accepted .*yamnet\.h5 \(https://"):
        load_yamnet(backbone, tmp_path / "yamnet.h5")
    (tmp_path / "yamnet.h5").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match="not readable as an HDF5 file"):
        load_yamnet(backbone, tmp_path / "yamnet.h5")
