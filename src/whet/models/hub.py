"""Networks of the `transformers` library: from a local folder or a hub name, safetensors only, never remote code."""

from __future__ import annotations

import copy
import inspect
import json
import math
from collections.abc import Mapping
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
from whet.models.hub_segmenters import (
    ACCEPTED,
    OWN,
    OwnDecoder,
    SegmenterBackbone,
    brings_decoder,
    labels_of,
    named,
    renew_classifier,
    segmenter_class,
    spare_keys,
    taken_apart,
)
from whet.models.mend import mend
from whet.models.net import Net, NetSpec, with_head
from whet.models.patches import patchify
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
    B, _, H, W = x_BCHW.shape
    patches_BND = patchify(x_BCHW, side)
    shape_B2 = torch.tensor([[H // side, W // side]], device=x_BCHW.device).expand(B, 2)
    return {
        "pixel_values": patches_BND, "spatial_shapes": shape_B2,
        "pixel_attention_mask": torch.ones(patches_BND.shape[:2], dtype=torch.long, device=x_BCHW.device),
    }  # fmt: skip


def build(spec: ModelSpec, classes: tuple[str, ...], task: str = "single-label") -> tuple[Net, list[Sentence]]:
    """The architecture with its weights (random for `none`) and a new head; the head `own` is the decoder of a segmenter, whose
    weights are kept."""
    transformers = library()
    name = spec.architecture if spec.weights == "none" else spec.weights
    offline = is_local(name) or not hub_is_reachable()
    head = spec.head if spec.head != "auto" else usual_head(spec, task)
    options = {} if head == OWN else {"num_labels": task_named(task).outputs(len(classes))}
    config = load_checked(
        lambda: transformers.AutoConfig.from_pretrained(name, **options, local_files_only=offline), name
    )
    config.architectures = config.architectures or []  # transformers needs a list for model types with two classifiers
    auto = _auto(config, name, head, task)
    notes = []
    if spec.weights == "none":
        model = load_checked(lambda: auto.from_config(config, dtype=torch.float32), name)
        notes.append(english("{name}: random weights, as requested (weights: none)", name=name))
    else:
        model, note = _with_weights(auto, config, name, head, offline=offline)
        notes += [english("weights from {weights}", weights=name), *note]
    settings = _preprocessing(name, offline)
    mean, std, missing = _normalisation(name, config.model_type, settings)
    notes += [missing] if missing else []
    notes += mend(model)
    native = _native_size(config)
    if head == OWN:
        told = renew_classifier(model, labels_of(classes, task))
        notes += [told] if spec.weights != "none" else []
        native = _given_size(settings) or native
    made = NetSpec(
        "transformers", config.model_type, classes, mean, std, native, spec.weights != "none", task=task, head=head
    )
    return _wrap(model, made), notes


def _with_weights(auto: Any, config: Any, name: str, head: str, *, offline: bool) -> tuple[Any, list[Sentence]]:
    """The network with its weights, and a note if its decoder is new. WeightsError if tensors of anything but the part for the
    classes are missing."""
    model, info = load_checked(
        lambda: auto.from_pretrained(
            name, config=config, dtype=torch.float32, use_safetensors=True, ignore_mismatched_sizes=True,
            output_loading_info=True, local_files_only=offline,
        ),
        name,
    )  # fmt: skip
    absent = flat(info["missing_keys"]) + flat(info["mismatched_keys"])
    spare = spare_keys(model, absent) if head == OWN else tuple(f"{one}." for one in _classifiers(model))
    lost = [key for key in absent if not (spare and key.startswith(spare))]
    if lost:
        raise WeightsError(f"weights '{name}' lack {len(lost)} tensors of the backbone, the first is '{lost[0]}'")
    if head == OWN and len(spare) > 1:
        return model, [
            english("the weights have no decoder; that of {kind} starts from random weights", kind=config.model_type)
        ]
    return model, []


def usual_head(spec: ModelSpec, task: str) -> str:
    """The head that `auto` means: the decoder of a segmenter, otherwise the first of the task."""
    heads = task_named(task).heads
    if OWN not in heads:
        return heads[0]
    name = spec.architecture if spec.weights == "none" else spec.weights
    offline = is_local(name) or not hub_is_reachable()
    config = load_checked(lambda: library().AutoConfig.from_pretrained(name, local_files_only=offline), name)
    return OWN if brings_decoder(config, task) else heads[0]


def _auto(config: Any, name: str, head: str = "linear", task: str = "single-label") -> Any:
    """The transformers class for this configuration."""
    if head == OWN:
        return segmenter_class(config, name, task)
    transformers = library()
    classifiers = transformers.AutoModelForImageClassification
    kind = config.model_type
    if type(config) in classifiers._model_mapping and kind not in _OTHER:
        return classifiers
    if kind in _ENCODERS:
        return transformers.AutoModel
    raise WeightsError(
        f"'{name}' is a {named(kind)}; accepted for images: the image classifiers of transformers that take pixels, the encoders "
        f"{', '.join(sorted(_ENCODERS))}, and for masks the segmenters {ACCEPTED}"
    )


def load(folder: Path, spec: NetSpec) -> Net:
    """Load a network written by `save`."""
    model = reload(_auto(_saved_config(folder), str(folder), spec.head, spec.task), folder)
    mend(model)
    if spec.head == OWN:
        return _wrap(model, spec)
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
    model, info = load_checked(
        lambda: transformers.AutoModelForImageClassification.from_pretrained(
            name, dtype=torch.float32, use_safetensors=True, output_loading_info=True, local_files_only=offline
        ),
        name,
    )
    if lost := flat(info["missing_keys"]):
        raise WeightsError(
            f"weights '{name}' are no complete image classifier: {len(lost)} tensors are missing, the first is '{lost[0]}'"
        )
    classes = tuple(str(model.config.id2label[k]) for k in range(model.config.num_labels))
    mean, std, _ = _normalisation(name, model.config.model_type, _preprocessing(name, offline))
    mend(model)
    trained = model.get_submodule(_classifiers(model)[0])
    native = _native_size(model.config)
    net = _wrap(model, NetSpec("transformers", model.config.model_type, classes, mean, std, native, pretrained=True))
    net.head.load_state_dict(trained.state_dict())
    return net.eval(), Path(found).parent


def load_bare(folder: Path, spec: NetSpec) -> Net:
    """The network of a configuration written by `save_config`, with random weights."""
    config = _saved_config(folder)
    model = _auto(config, str(folder), spec.head, spec.task).from_config(config, dtype=torch.float32)
    mend(model)
    return _wrap(model, spec)


def save(net: Net, folder: Path) -> None:
    """Write config.json and model.safetensors in the format of transformers, with our head as the classifier; for a bare encoder
    the head is a separate file."""
    assert isinstance(net.backbone, HubBackbone | SegmenterBackbone)
    save_config(net, folder)
    model = cast(Any, net.backbone.model)
    part = net.head.part if isinstance(net.head, OwnDecoder) else net.last
    if not net.backbone.classifiers:
        model.save_pretrained(folder)
        save_tensors(net.linear.state_dict(), folder / HEAD_FILE)
        return
    try:
        for name in net.backbone.classifiers:
            model.set_submodule(name, copy.deepcopy(part))  # copies, because shared tensors are written only once
        model.save_pretrained(folder)
    finally:
        for name in net.backbone.classifiers:
            model.set_submodule(name, nn.Identity())


def save_config(net: Net, folder: Path) -> None:
    """Write config.json in the format of transformers with our classes, and the normalisation of the inputs."""
    assert isinstance(net.backbone, HubBackbone | SegmenterBackbone)
    model = cast(Any, net.backbone.model)
    labels = labels_of(net.spec.classes, net.spec.task) if net.spec.head == OWN else net.spec.classes
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: k for k, label in enumerate(labels)}
    if not getattr(net.task, "exclusive", True):
        model.config.problem_type = "multi_label_classification"
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    half = {"do_normalize": True, "image_mean": list(net.spec.mean), "image_std": list(net.spec.std)}
    (folder / "preprocessor_config.json").write_text(json.dumps(half, indent=2) + "\n")


def _wrap(model: Any, spec: NetSpec) -> Net:
    if spec.head == OWN:
        pad_inside(model)
        speed_up_depthwise(model)
        return Net(spec, *taken_apart(model, spec.task))
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


def _preprocessing(name: str, offline: bool) -> dict[str, Any]:
    """The settings of the inputs that these weights were trained with; empty where they are not given."""
    from transformers.utils import cached_file

    path = cached_file(
        name, "preprocessor_config.json", local_files_only=offline, _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    return cast(dict[str, Any], json.loads(Path(path).read_text())) if path is not None else {}


def _normalisation(name: str, model_type: str, settings: Mapping[str, Any]) -> tuple[Any, Any, Sentence | None]:
    """Mean and standard deviation of the inputs, and a note where they are a guess."""
    if settings.get("do_normalize") is False:
        return (0.0,) * 3, (1.0,) * 3, None
    if "image_mean" in settings and "image_std" in settings:
        return tuple(settings["image_mean"]), tuple(settings["image_std"]), None
    mean, std = _HALF if model_type in _MEAN_OF_HALF else _IMAGENET
    note = english(
        "{name} has no preprocessor_config.json; inputs are normalised as usual for {kind} (mean {mean}, std {std})",
        name=name, kind=model_type, mean=mean, std=std,
    )  # fmt: skip
    return mean, std, note


def _given_size(settings: Mapping[str, Any]) -> int | None:
    """The side of the images in these settings: a number, or a height or shortest edge."""
    size = settings.get("size")
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge"))
    return size if isinstance(size, int) else None


def _native_size(config: Any) -> int:
    """The side of the images that the weights were trained with, if the configuration contains it."""
    config = getattr(config, "vision_config", config)
    size = getattr(config, "image_size", None)
    if size is None and getattr(config, "num_patches", None):  # SigLIP 2 gives the number of patches instead
        size = math.isqrt(config.num_patches) * config.patch_size
    if isinstance(size, list | tuple):
        size = size[0]
    return size if isinstance(size, int) else 224
