"""Build a network from names: which architecture, whose weights. Weights that cannot be had are an error, never replaced."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from whet.core.errors import RecipeError, RunError, WeightsError, unknown
from whet.core.recipe import ModelSpec
from whet.models import hub
from whet.models.net import Net, NetSpec, new_head
from whet.models.zoo import ZOO

SMALL_PICTURE = 64
DEFAULT_HUB_NAME = "google/mobilenet_v2_1.0_224"
_ZOO_MEAN, _ZOO_STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_WHET_FILE = "whet.json"


def resolve(spec: ModelSpec, picture_size: int) -> ModelSpec:
    """Every `auto` replaced: small pictures start from scratch on a small net, larger ones from pretrained weights."""
    architecture, weights = spec.architecture, spec.weights
    if architecture == "auto" and weights not in ("auto", "none"):
        architecture = weights
    if architecture == "auto":
        small = picture_size <= SMALL_PICTURE
        architecture = "resnet9" if small or weights == "none" else DEFAULT_HUB_NAME
    if weights == "auto":
        weights = "none" if architecture in ZOO else architecture
    return ModelSpec(architecture=architecture, weights=weights)


def build_net(spec: ModelSpec, classes: tuple[str, ...]) -> tuple[Net, list[str]]:
    """The network of a resolved ModelSpec with a new head, and notes on what was found and mended. Draws from torch's global
    generator: call it inside `Rng.torch_scope`."""
    if spec.architecture in ZOO:
        return _build_zoo(spec, classes)
    if spec.weights not in ("none", spec.architecture) and not (Path(spec.weights) / "config.json").is_file():
        raise WeightsError(
            f"weights '{spec.weights}' for architecture '{spec.architecture}': accepted are a folder with config.json and "
            "model.safetensors, the architecture's own name, or none"
        )
    if "/" not in spec.architecture and not Path(spec.architecture).exists():
        raise RecipeError(
            unknown("architecture", spec.architecture, ZOO)
            + "; or a local folder, or a hub name such as "
            + DEFAULT_HUB_NAME
        )
    return hub.build(spec, classes)


def _build_zoo(spec: ModelSpec, classes: tuple[str, ...]) -> tuple[Net, list[str]]:
    backbone, features = ZOO[spec.architecture]()
    if spec.weights == "none":
        net_spec = NetSpec("zoo", spec.architecture, classes, _ZOO_MEAN, _ZOO_STD)
        return Net(net_spec, backbone, new_head(features, len(classes))), ["random weights, as asked (weights: none)"]
    state = _read_weights(Path(spec.weights).expanduser())
    wanted = backbone.state_dict()
    missing = [name for name, tensor in wanted.items() if name not in state or state[name].shape != tensor.shape]
    if missing:
        raise WeightsError(
            f"weights {spec.weights} do not fit {spec.architecture}: {len(missing)} of {len(wanted)} tensors are missing "
            f"or of another shape, the first is '{missing[0]}'"
        )
    backbone.load_state_dict({name: state[name] for name in wanted})
    net_spec = NetSpec("zoo", spec.architecture, classes, _IMAGENET_MEAN, _IMAGENET_STD)
    return Net(net_spec, backbone, new_head(features, len(classes))), [f"weights from {spec.weights}"]


def _read_weights(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise WeightsError(
            f"weights {path} do not exist; accepted: a .safetensors or .pth file, or a folder with model.safetensors"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - whatever a foreign file does to its reader, it is no weights file
        raise WeightsError(f"weights {path} cannot be read: {error}") from None
    return state.get("state_dict", state)


def save_net(net: Net, folder: Path, extra: dict) -> None:
    """Write the model: config.json and model.safetensors that transformers opens itself where the backbone is one of theirs,
    and whet.json with the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    if net.spec.source == "transformers":
        hub.save(net, folder)
    else:
        tensors = {f"backbone.{name}": tensor for name, tensor in net.backbone.state_dict().items()}
        tensors |= {f"head.{name}": tensor for name, tensor in net.linear.state_dict().items()}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        config = {"model_type": "whet", "architecture": net.spec.architecture, "num_labels": len(net.spec.classes)}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / _WHET_FILE).write_text(
        json.dumps({"net": net.spec.to_dict(), **extra}, indent=2, ensure_ascii=False) + "\n"
    )


def read_extra(folder: Path) -> dict:
    """What `save_net` was given beside the network."""
    path = folder / _WHET_FILE
    if not path.is_file():
        raise RunError(f"{folder} holds no model: {_WHET_FILE} is missing (the run may not have finished)")
    return json.loads(path.read_text())


def load_net(folder: Path) -> Net:
    """The network `save_net` wrote, in evaluation mode."""
    spec = NetSpec.from_dict(read_extra(folder)["net"])
    if spec.source == "transformers":
        return hub.load(folder, spec).eval()
    backbone, features = ZOO[spec.architecture]()
    net = Net(spec, backbone, new_head(features, len(spec.classes)))
    net.load_state_dict(load_file(folder / "model.safetensors"))
    return net.eval()
