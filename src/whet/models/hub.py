"""Networks of the `transformers` library: from a local folder or a hub name, safetensors only, never remote code."""

from __future__ import annotations

import copy
import inspect
import json
import math
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from whet.core.errors import WeightsError
from whet.core.language import Sentence, english
from whet.core.spec import ModelSpec
from whet.core.task import task_named
from whet.models.depthwise import speed_up_depthwise
from whet.models.hub_access import (
    HEAD_FILE,
    flat,
    hub_is_reachable,
    is_local,
    library,
    load_checked,
    reload,
    save_tensors,
)
from whet.models.mend import mend
from whet.models.net import Net, NetSpec, head_name, with_head
from whet.models.same_padding import pad_inside

_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_MEAN_OF_HALF = frozenset({"mobilenet_v1", "mobilenet_v2", "vit", "beit", "vit_msn"})
# Encoders without a classifier, which return one vector per image.
_ENCODERS = frozenset({"clip_vision_model", "dinov3_convnext", "dinov3_vit", "siglip_vision_model"})
# Not supported: they take no pixels, return no logits, or belong to another library.
_OTHER = frozenset({"imagegpt", "perceiver", "pp_lcnet", "shieldgemma2", "timm_wrapper"})


class HubBackbone(nn.Module):
    """A transformers network: pixels (B, 3, H, W) -> features (B, D).

    In a classifier, the linear layers named `classifiers` are replaced by identities, so that it returns their input; for two (a
    distilled network, which averages them) the mean of their inputs. A bare encoder (no such layer) returns its pooled output.
    """

    def __init__(self, model: nn.Module, classifiers: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.classifiers = model, classifiers
        config = cast(Any, model).config
        self._patch = int(config.vision_config.patch_size) if config.model_type == "siglip2" else None
        modules = [model, getattr(model, "vision_model", model)]
        any_size = any("interpolate_pos_encoding" in inspect.signature(one.forward).parameters for one in modules)
        self._options = {"interpolate_pos_encoding": True} if any_size else {}

    def forward(self, x_BCHW: Tensor) -> Tensor:
        inputs = {"pixel_values": x_BCHW} if self._patch is None else _patches(x_BCHW, self._patch)
        found = self.model(**inputs, **self._options)
        return cast(Tensor, found.logits if self.classifiers else found.pooler_output)


def _patches(x_BCHW: Tensor, side: int) -> dict[str, Tensor]:
    """The input format of SigLIP 2: patches (B, N, side * side * 3), row by row, and the number of rows and columns."""
    B, C, H, W = x_BCHW.shape
    rows, columns = H // side, W // side
    cut = x_BCHW[:, :, : rows * side, : columns * side].reshape(B, C, rows, side, columns, side)
    patches_BND = cut.permute(0, 2, 4, 3, 5, 1).reshape(B, rows * columns, side * side * C)
    shape_B2 = torch.tensor([[rows, columns]], device=x_BCHW.device).expand(B, 2)
    return {
        "pixel_values": patches_BND, "spatial_shapes": shape_B2,
        "pixel_attention_mask": torch.ones((B, rows * columns), dtype=torch.long, device=x_BCHW.device),
    }  # fmt: skip


def build(spec: ModelSpec, classes: tuple[str, ...], task: str = "single-label") -> tuple[Net, list[Sentence]]:
    """The architecture with its weights (random for `none`) and a new head."""
    transformers = library()
    name = spec.architecture if spec.weights == "none" else spec.weights
    offline = is_local(name) or not hub_is_reachable()
    options = {"num_labels": task_named(task).outputs(len(classes)), "local_files_only": offline}
    config = load_checked(lambda: transformers.AutoConfig.from_pretrained(name, **options), name)
    config.architectures = config.architectures or []  # transformers needs a list for model types with two classifiers
    auto = _auto(config, name)
    notes = []
    if spec.weights == "none":
        model = load_checked(lambda: auto.from_config(config, dtype=torch.float32), name)
        notes.append(english("{name}: random weights, as requested (weights: none)", name=name))
    else:
        model, info = load_checked(
            lambda: auto.from_pretrained(
                name, config=config, dtype=torch.float32, use_safetensors=True, ignore_mismatched_sizes=True,
                output_loading_info=True, local_files_only=offline,
            ),
            name,
        )  # fmt: skip
        heads = tuple(f"{head}." for head in _classifiers(model))
        absent = flat(info["missing_keys"]) + flat(info["mismatched_keys"])
        lost = [key for key in absent if not (heads and key.startswith(heads))]
        if lost:
            raise WeightsError(f"weights '{name}' lack {len(lost)} tensors of the backbone, the first is '{lost[0]}'")
        notes.append(english("weights from {weights}", weights=name))
    mean, std, note = _normalisation(name, config.model_type, offline)
    if note:
        notes.append(note)
    notes += mend(model)
    pretrained = spec.weights != "none"
    net = _wrap(
        model,
        NetSpec(
            "transformers",
            config.model_type,
            classes,
            mean,
            std,
            _native_size(config),
            pretrained,
            task=task,
            head=head_name(spec, task),
        ),
    )
    return net, notes


def _auto(config: Any, name: str) -> Any:
    """The transformers class for this configuration."""
    transformers = library()
    classifiers = transformers.AutoModelForImageClassification
    kind = config.model_type
    if type(config) in classifiers._model_mapping and kind not in _OTHER:
        return classifiers
    if kind in _ENCODERS:
        return transformers.AutoModel
    raise WeightsError(
        f"'{name}' is a {kind}; accepted for images: the image classifiers of transformers that take pixels, and the encoders "
        f"{', '.join(sorted(_ENCODERS))}"
    )


def load(folder: Path, spec: NetSpec) -> Net:
    """Load a network written by `save`."""
    model = reload(_auto(_saved_config(folder), str(folder)), folder)
    mend(model)
    classifiers = _classifiers(model)
    trained = model.get_submodule(classifiers[0]) if classifiers else None
    net = _wrap(model, spec)
    net.head.load_state_dict(load_file(folder / HEAD_FILE) if trained is None else trained.state_dict())
    return net


def _saved_config(folder: Path) -> Any:
    return library().AutoConfig.from_pretrained(folder, local_files_only=True)


def load_classifier(name: str) -> tuple[Net, Path]:
    """A complete trained classifier with head and classes, from a local folder or a hub name; and its folder."""
    from transformers.utils import cached_file

    transformers = library()
    offline = is_local(name) or not hub_is_reachable()
    found = load_checked(lambda: cached_file(name, "model.safetensors", local_files_only=offline), name)
    model = load_checked(
        lambda: transformers.AutoModelForImageClassification.from_pretrained(
            name, dtype=torch.float32, use_safetensors=True, local_files_only=offline
        ),
        name,
    )
    classes = tuple(str(model.config.id2label[k]) for k in range(model.config.num_labels))
    mean, std, _ = _normalisation(name, model.config.model_type, offline)
    mend(model)
    trained = model.get_submodule(_classifiers(model)[0])
    native = _native_size(model.config)
    net = _wrap(model, NetSpec("transformers", model.config.model_type, classes, mean, std, native, pretrained=True))
    net.head.load_state_dict(trained.state_dict())
    return net.eval(), Path(found).parent


def load_bare(folder: Path, spec: NetSpec) -> Net:
    """The network of a configuration written by `save_config`, with random weights."""
    config = _saved_config(folder)
    model = _auto(config, str(folder)).from_config(config, dtype=torch.float32)
    mend(model)
    return _wrap(model, spec)


def save(net: Net, folder: Path) -> None:
    """Write config.json and model.safetensors in the format of transformers, with our head as the classifier; for a bare encoder
    the head is a separate file."""
    assert isinstance(net.backbone, HubBackbone)
    save_config(net, folder)
    model = cast(Any, net.backbone.model)
    if not net.backbone.classifiers:
        model.save_pretrained(folder)
        save_tensors(net.linear.state_dict(), folder / HEAD_FILE)
        return
    try:
        for name in net.backbone.classifiers:
            model.set_submodule(name, copy.deepcopy(net.linear))  # copies, because shared tensors are written only once
        model.save_pretrained(folder)
    finally:
        for name in net.backbone.classifiers:
            model.set_submodule(name, nn.Identity())


def save_config(net: Net, folder: Path) -> None:
    """Write config.json in the format of transformers with our classes, and the normalisation of the inputs."""
    assert isinstance(net.backbone, HubBackbone)
    model = cast(Any, net.backbone.model)
    model.config.id2label = dict(enumerate(net.spec.classes))
    model.config.label2id = {label: k for k, label in enumerate(net.spec.classes)}
    if not getattr(net.task, "exclusive", True):
        model.config.problem_type = "multi_label_classification"
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    half = {"do_normalize": True, "image_mean": list(net.spec.mean), "image_std": list(net.spec.std)}
    (folder / "preprocessor_config.json").write_text(json.dumps(half, indent=2) + "\n")


def _wrap(model: Any, spec: NetSpec) -> Net:
    classifiers = _classifiers(model)
    config = model.config
    width = getattr(config, "hidden_size", None) or getattr(config, "hidden_sizes", [None])[-1]
    features = model.get_submodule(classifiers[0]).in_features if classifiers else width
    for name in classifiers:
        model.set_submodule(name, nn.Identity())
    pad_inside(model)
    speed_up_depthwise(model)
    return with_head(spec, HubBackbone(model, classifiers), features)


def _classifiers(model: Any) -> tuple[str, ...]:
    """The linear layers whose number of outputs is the number of classes."""
    if model.config.model_type in _ENCODERS:
        return ()
    wider = copy.deepcopy(model.config)
    wider.num_labels = model.config.num_labels + 1
    with torch.device("meta"):
        other = dict(type(model)(wider).named_modules())
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features != other[name].out_features
    ]
    if not found:
        raise WeightsError(
            f"{type(model).__name__} has no linear classifier to replace; this architecture is not supported"
        )
    return tuple(found)


def _normalisation(name: str, model_type: str, offline: bool) -> tuple[Any, Any, Sentence | None]:
    """Mean and standard deviation of the inputs that these weights were trained with."""
    from transformers.utils import cached_file

    path = cached_file(
        name, "preprocessor_config.json", local_files_only=offline, _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    if path is not None:
        plain = json.loads(Path(path).read_text())
        if "image_mean" in plain and "image_std" in plain:
            return tuple(plain["image_mean"]), tuple(plain["image_std"]), None
    mean, std = _HALF if model_type in _MEAN_OF_HALF else _IMAGENET
    note = english(
        "{name} has no preprocessor_config.json; inputs are normalised as usual for {kind} (mean {mean}, std {std})",
        name=name, kind=model_type, mean=mean, std=std,
    )  # fmt: skip
    return mean, std, note


def _native_size(config: Any) -> int:
    """The side of the images that the weights were trained with, if the configuration contains it."""
    config = getattr(config, "vision_config", config)
    size = getattr(config, "image_size", None)
    if size is None and getattr(config, "num_patches", None):  # SigLIP 2 gives the number of patches instead
        size = math.isqrt(config.num_patches) * config.patch_size
    if isinstance(size, list | tuple):
        size = size[0]
    return size if isinstance(size, int) else 224
