"""Segmentation networks of the `transformers` library, with the decoder that they bring, for the classes of pixels or for objects.

The part that predicts the classes is taken out of the network and becomes the head: the decoder of feature maps (SegFormer,
UperNet), or the classifier of queries (Mask2Former, EoMT), which alone predict objects. It is put back when the network is saved,
so that the folder opens in transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from whet.core.errors import RecipeError
from whet.core.language import Sentence, english
from whet.core.mask_task import MaskTask
from whet.core.task import task_named
from whet.models.decoders import Decoder
from whet.models.hub_access import library
from whet.models.query_outputs import packed

OWN = "own"
"""The head of an architecture that brings a decoder."""


@dataclass(frozen=True)
class Segmenter:
    """auto: the transformers class that finds its network. part: the module that becomes the head. classifier: the layer for the
    classes, inside the network. features: the network without this part, for pixels (B, 3, H, W) -> the input of the head: maps, or
    the vectors (B, Q, D) and mask logits (B, Q, h, w) of queries, for each layer of the decoder, the last one last."""

    auto: str
    part: str
    classifier: str
    features: Callable[[Any, Tensor], Any]

    @property
    def queries(self) -> bool:
        return self.part == self.classifier


Queries = list[tuple[Tensor, Tensor]]


def _mask2former(model: Any, x_BCHW: Tensor) -> Queries:
    found = model(pixel_values=x_BCHW, output_auxiliary_logits=True)
    layers = [(one["class_queries_logits"], one["masks_queries_logits"]) for one in found.auxiliary_logits]
    return [*layers, (found.class_queries_logits, found.masks_queries_logits)]


def _eomt(model: Any, x_BCHW: Tensor) -> Queries:
    """Its forward pass returns the last layer only; in training it predicts from every block with queries."""
    layers: Queries = []
    predict = model.predict

    def kept(hidden_BND: Tensor) -> tuple[Tensor, Tensor]:
        masks_BQhw, vectors_BQD = predict(hidden_BND)
        layers.append((vectors_BQD, masks_BQhw))
        return masks_BQhw, vectors_BQD

    model.predict = kept
    try:
        model(pixel_values=x_BCHW)
    finally:
        del model.predict
    return layers


_PIXELS, _QUERIES = "AutoModelForSemanticSegmentation", "AutoModelForUniversalSegmentation"
SEGMENTERS: dict[str, Segmenter] = {
    "segformer": Segmenter(
        _PIXELS, "decode_head", "decode_head.classifier", lambda model, x: list(model(pixel_values=x).logits)
    ),
    "upernet": Segmenter(
        _PIXELS,
        "decode_head",
        "decode_head.classifier",
        lambda model, x: list(model.backbone.forward_with_filtered_kwargs(x).feature_maps),
    ),
    "mask2former": Segmenter(_QUERIES, "class_predictor", "class_predictor", _mask2former),
    "eomt": Segmenter(_QUERIES, "class_predictor", "class_predictor", _eomt),
}
"""The supported kinds, by their model type."""
_FIXED_SIZE = frozenset({"eomt"})
_REFUSED = {"rf_detr": "its loss of boxes and groups of queries is not trained here"}
"""Segmenters of transformers that a person may well expect to work, and why they do not."""
ACCEPTED = ", ".join(sorted(SEGMENTERS))
_OF_OBJECTS = ", ".join(sorted(name for name, kind in SEGMENTERS.items() if kind.queries))


class SegmenterBackbone(nn.Module):
    """A segmenter without the part that becomes the head: pixels (B, 3, H, W) -> the input of that head. RecipeError for another
    image size than its own, where it has a fixed one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        config = cast(Any, model).config
        self.model, self.kind = model, config.model_type
        self.classifiers = (SEGMENTERS[self.kind].part,)
        self._side = int(config.image_size) if self.kind in _FIXED_SIZE else None
        model.set_submodule(SEGMENTERS[self.kind].part, nn.Identity())

    def forward(self, x_BCHW: Tensor) -> Any:
        H, W = x_BCHW.shape[2:]
        if self._side is not None and {H, W} != {self._side}:
            raise RecipeError(
                f"{self.kind} takes images of {self._side} x {self._side} px only, not {H} x {W}; set train.image_size and "
                f"train.eval_size to {self._side}"
            )
        return SEGMENTERS[self.kind].features(self.model, x_BCHW)

    def fixed(self) -> SegmenterBackbone:
        """The same network without decisions by weights, which no graph can have: the shares of masked attention of EoMT are
        numbers."""
        model = cast(Any, self.model)
        if isinstance(shares := getattr(model, "attn_mask_probs", None), Tensor):
            del model.attn_mask_probs
            model.attn_mask_probs = shares.tolist()
        return self


class OwnDecoder(Decoder):
    """A part of a network of transformers as a head."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part


class MapDecoder(OwnDecoder):
    """The decoder of feature maps: maps (B, C, h, w), the finest first -> logits (B, K, h, w) at the stride of the finest."""

    @property
    def last(self) -> nn.Conv2d:
        return cast(nn.Conv2d, self.part.classifier)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return cast(Tensor, self.part(maps))


class QueryDecoder(OwnDecoder):
    """The classifier of queries. Its last output is "no object"."""

    @property
    def last(self) -> nn.Linear:
        return cast(nn.Linear, self.part)


class QueryPixels(QueryDecoder):
    """Queries -> (B, K, h, w), the logarithm of the sum over the queries of the probability of the class times that of the pixel.

    Source: Cheng, Schwing, Kirillov 2021, arXiv:2107.06278 (semantic inference). Deviates: trained by the loss of the pixels in
    place of a loss of matched masks.
    """

    def forward(self, layers: Queries) -> Tensor:
        vectors_BQD, masks_BQhw = layers[-1]
        with torch.autocast(vectors_BQD.device.type, enabled=False):
            class_BQK = self.part(vectors_BQD.float()).softmax(dim=2)[..., :-1]
            share_BKhw = torch.einsum("bqk,bqhw->bkhw", class_BQK, masks_BQhw.float().sigmoid())
            return share_BKhw.clamp(min=torch.finfo(torch.float32).tiny).log()


class QueryObjects(QueryDecoder):
    """Queries -> the outputs of `query_outputs`, (B, Q, H, w); in training those of all layers of the decoder, (B, L, Q, H, w)."""

    def forward(self, layers: Queries) -> Tensor:
        with torch.autocast(layers[-1][0].device.type, enabled=False):
            shown = layers if self.training else layers[-1:]
            found = [packed(self.part(vectors_BQD.float()), masks_BQhw.float()) for vectors_BQD, masks_BQhw in shown]
            return torch.stack(found, dim=1) if self.training else found[0]


def taken_apart(model: Any, task: str) -> tuple[SegmenterBackbone, OwnDecoder]:
    """The backbone and the head of a segmenter for this task."""
    kind = SEGMENTERS[model.config.model_type]
    part = model.get_submodule(kind.part)
    head = (QueryObjects if _of_objects(task) else QueryPixels) if kind.queries else MapDecoder
    return SegmenterBackbone(model), head(part)


def _of_objects(task: str) -> bool:
    made = task_named(task)
    return isinstance(made, MaskTask) and made.counts_objects


def labels_of(classes: Sequence[str], task: str) -> Sequence[str]:
    """The classes that a segmenter has for a task with these classes: of objects, those without the background."""
    return classes[1:] if _of_objects(task) else classes


def brings_decoder(config: Any, task: str) -> bool:
    """Whether a network of this configuration is a segmenter with a decoder of its own for this task."""
    kind = SEGMENTERS.get(config.model_type)
    return kind is not None and (kind.queries or not _of_objects(task))


def named(kind: str) -> str:
    """The model type for an error, with the reason why it is not supported, where there is a particular one."""
    return f"{kind} ({_REFUSED[kind]})" if kind in _REFUSED else kind


def segmenter_class(config: Any, name: str, task: str) -> Any:
    """The class of transformers for this configuration; RecipeError if it is no supported segmenter."""
    if not brings_decoder(config, task):
        what, accepted = ("objects", _OF_OBJECTS) if _of_objects(task) else ("pixels", ACCEPTED)
        raise RecipeError(
            f"model.head = {OWN}: '{name}' is a {named(config.model_type)}, which brings no decoder for {what} that is supported "
            f"here; accepted: {accepted}, or another head"
        )
    if getattr(config, "use_auxiliary_head", False):  # of UperNet: serves transformers' own training only
        config.use_auxiliary_head = False
    return getattr(library(), SEGMENTERS[config.model_type].auto)


def spare_keys(model: Any, absent: Sequence[str]) -> tuple[str, ...]:
    """Prefixes of tensors that weights may lack: those of transformers' own loss, and a decoder of maps, if all of it is absent
    (the weights are those of the encoder)."""
    kind = SEGMENTERS[model.config.model_type]
    decoder = {f"{kind.part}.{name}" for name, _ in model.get_submodule(kind.part).named_parameters()}
    return ("criterion.", *((f"{kind.part}.",) if not kind.queries and decoder <= set(absent) else ()))


def renew_classifier(model: Any, classes: Sequence[str]) -> Sentence:
    """Give the model a classifier for these classes, and say which. If its own classes have the same names, in any order, their
    weights are kept; otherwise they are random. "No object" of a query is always kept."""
    config, kind = model.config, SEGMENTERS[model.config.model_type]
    saved = tuple(str(config.id2label[k]) for k in range(config.num_labels))
    layer = model.get_submodule(kind.classifier)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    kept = sorted(classes) == sorted(saved)
    rows = [saved.index(name) for name in classes] if kept else []
    outputs = len(classes) + kind.queries
    if isinstance(layer, nn.Conv2d):
        new: nn.Conv2d | nn.Linear = nn.Conv2d(layer.in_channels, outputs, 1)
    else:
        new = nn.Linear(layer.in_features, outputs)
    new_bias = cast(Tensor, new.bias)
    nn.init.normal_(new.weight, std=0.01)
    with torch.no_grad():
        new_bias.zero_()
        new.weight[: len(rows)], new_bias[: len(rows)] = weight[rows], bias[rows]
        if kind.queries:
            new.weight[-1], new_bias[-1] = weight[-1], bias[-1]
            balance = model.criterion.empty_weight
            model.criterion.empty_weight = torch.cat([balance.new_ones(len(classes)), balance[-1:]])
    model.set_submodule(kind.classifier, new)
    if kept:
        return english(
            "the classifier of the weights is kept: its {n} classes have the names of the data's", n=len(saved)
        )
    return english(
        "a new classifier: the classes of the weights are {theirs}, those of the data {ours}",
        theirs=_shown(saved), ours=_shown(classes),
    )  # fmt: skip


def _shown(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" … ({len(names)})" if len(names) > most else "")
