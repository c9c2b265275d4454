"""Networks of the `transformers` library: from a local folder or a hub name, safetensors only, never remote code."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from whet.core.errors import WeightsError
from whet.core.recipe import ModelSpec
from whet.models.depthwise import speed_up_depthwise
from whet.models.hub_access import ask, flat, hub_answers, is_local, library
from whet.models.mend import mend
from whet.models.net import Net, NetSpec, new_head
from whet.models.same_padding import pad_inside

_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_MEAN_OF_HALF = frozenset({"mobilenet_v1", "mobilenet_v2", "vit", "beit", "vit_msn"})


class HubBackbone(nn.Module):
    """A transformers classifier whose last linear layer is taken out: it gives that layer's input."""

    def __init__(self, model: nn.Module, classifier_name: str) -> None:
        super().__init__()
        self.model = model
        self.classifier_name = classifier_name
        self._options = {}
        if "interpolate_pos_encoding" in inspect.signature(model.forward).parameters:
            self._options["interpolate_pos_encoding"] = True

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.model(pixel_values=x_BCHW, **self._options).logits


def build(spec: ModelSpec, classes: tuple[str, ...]) -> tuple[Net, list[str]]:
    """The architecture with its weights (or random ones, where `none` was asked for) and a new head."""
    transformers = library()
    name = spec.architecture if spec.weights == "none" else spec.weights
    offline = is_local(name) or not hub_answers()
    options = {"num_labels": len(classes), "local_files_only": offline}
    config = ask(lambda: transformers.AutoConfig.from_pretrained(name, **options), name)
    notes = []
    if spec.weights == "none":
        model = ask(lambda: transformers.AutoModelForImageClassification.from_config(config, dtype=torch.float32), name)
        notes.append(f"{name}: random weights, as asked (weights: none)")
    else:
        model, info = ask(
            lambda: transformers.AutoModelForImageClassification.from_pretrained(
                name, config=config, dtype=torch.float32, use_safetensors=True, ignore_mismatched_sizes=True,
                output_loading_info=True, local_files_only=offline,
            ),
            name,
        )  # fmt: skip
        head_name = _classifier_name(model, len(classes))
        lost = [key for key in flat(info["missing_keys"]) if not key.startswith(head_name)]
        lost += [key for key in flat(info["mismatched_keys"]) if not key.startswith(head_name)]
        if lost:
            raise WeightsError(f"weights '{name}' lack {len(lost)} tensors of the backbone, the first is '{lost[0]}'")
        notes.append(f"weights from {name}")
    mean, std, note = _normalisation(name, config.model_type, offline)
    if note:
        notes.append(note)
    notes += mend(model)
    pretrained = spec.weights != "none"
    net = _wrap(model, NetSpec("transformers", config.model_type, classes, mean, std, _native_size(config), pretrained))
    return net, notes


def load(folder: Path, spec: NetSpec) -> Net:
    """A network `save` wrote."""
    transformers = library()
    model = transformers.AutoModelForImageClassification.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
    )
    mend(model)
    trained = model.get_submodule(_classifier_name(model, len(spec.classes)))
    net = _wrap(model, spec)
    net.head.load_state_dict(trained.state_dict())
    return net


def load_classifier(name: str) -> tuple[Net, Path]:
    """A whole trained classifier, head and classes included, from a local folder or a hub name; and the folder where it lies."""
    from transformers.utils import cached_file

    transformers = library()
    offline = is_local(name) or not hub_answers()
    found = ask(lambda: cached_file(name, "model.safetensors", local_files_only=offline), name)
    model = ask(
        lambda: transformers.AutoModelForImageClassification.from_pretrained(
            name, dtype=torch.float32, use_safetensors=True, local_files_only=offline
        ),
        name,
    )
    classes = tuple(str(model.config.id2label[k]) for k in range(model.config.num_labels))
    mean, std, _ = _normalisation(name, model.config.model_type, offline)
    mend(model)
    trained = model.get_submodule(_classifier_name(model, len(classes)))
    native = _native_size(model.config)
    net = _wrap(model, NetSpec("transformers", model.config.model_type, classes, mean, std, native, pretrained=True))
    net.head.load_state_dict(trained.state_dict())
    return net.eval(), Path(found).parent


def load_bare(folder: Path, spec: NetSpec) -> Net:
    """The network whose configuration `save_config` wrote, with random weights."""
    transformers = library()
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    model = transformers.AutoModelForImageClassification.from_config(config, dtype=torch.float32)
    mend(model)
    return _wrap(model, spec)


def save(net: Net, folder: Path) -> None:
    """config.json and model.safetensors as transformers itself writes them, our head in the classifier's place."""
    assert isinstance(net.backbone, HubBackbone)
    save_config(net, folder)
    model, name = cast(Any, net.backbone.model), net.backbone.classifier_name
    model.set_submodule(name, net.linear)
    try:
        model.save_pretrained(folder)
    finally:
        model.set_submodule(name, nn.Identity())


def save_config(net: Net, folder: Path) -> None:
    """config.json as transformers writes it, with our classes, and how inputs are normalised."""
    assert isinstance(net.backbone, HubBackbone)
    model = cast(Any, net.backbone.model)
    model.config.id2label = dict(enumerate(net.spec.classes))
    model.config.label2id = {label: k for k, label in enumerate(net.spec.classes)}
    if net.spec.multi_label:
        model.config.problem_type = "multi_label_classification"
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    half = {"do_normalize": True, "image_mean": list(net.spec.mean), "image_std": list(net.spec.std)}
    (folder / "preprocessor_config.json").write_text(json.dumps(half, indent=2) + "\n")


def _wrap(model: Any, spec: NetSpec) -> Net:
    name = _classifier_name(model, len(spec.classes))
    features = model.get_submodule(name).in_features
    model.set_submodule(name, nn.Identity())
    pad_inside(model)
    speed_up_depthwise(model)
    return Net(spec, HubBackbone(model, name), new_head(features, len(spec.classes)))


def _classifier_name(model: nn.Module, num_classes: int) -> str:
    """The last linear layer with one output a class."""
    found = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and m.out_features == num_classes]
    if not found:
        raise WeightsError(
            f"{type(model).__name__} has no linear classifier to replace; this architecture is not supported"
        )
    return found[-1]


def _normalisation(name: str, model_type: str, offline: bool) -> tuple[Any, Any, str]:
    """Mean and standard deviation of the inputs these weights were trained with."""
    from transformers.utils import cached_file

    path = cached_file(
        name, "preprocessor_config.json", local_files_only=offline, _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    if path is not None:
        plain = json.loads(Path(path).read_text())
        if "image_mean" in plain and "image_std" in plain:
            return tuple(plain["image_mean"]), tuple(plain["image_std"]), ""
    mean, std = _HALF if model_type in _MEAN_OF_HALF else _IMAGENET
    note = f"inputs are normalised as {model_type} usually is (mean {mean}, std {std})"
    return mean, std, f"{name} has no preprocessor_config.json; {note}"


def _native_size(config: Any) -> int:
    """The side of the pictures that the weights were trained with, as far as the configuration tells."""
    size = getattr(config, "image_size", None)
    return size if isinstance(size, int) else 224
