"""A network of whet: a front that converts samples to inputs, a backbone that returns features, and a head that returns logits."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from whet.core.batch import HiddenMix
from whet.core.errors import NoEffectError, RecipeError
from whet.core.language import Sentence
from whet.core.method import Method
from whet.core.spec import ModelSpec
from whet.core.task import ClassTask, Task, task_named
from whet.models.blocks import layer_of, split_blocks
from whet.models.decoders import DECODERS, Decoder
from whet.models.front import Front, ImageFront
from whet.models.maps import Maps, dilate
from whet.models.mend import spare_lone_values
from whet.models.token_vectors import TokenVectors, token_vectors

FEATURES = "features"
"""The name of the head that returns the features themselves."""


@dataclass(frozen=True)
class NetSpec:
    """Everything needed to rebuild the same network without its weights."""

    source: str  # "zoo" or "transformers"
    architecture: str  # the zoo's name, or the model type of transformers
    classes: tuple[str, ...]
    mean: tuple[float, ...] = ()  # normalisation of the front, one number per channel
    std: tuple[float, ...] = ()
    native_size: int | None = None  # the sample size that the weights were trained with, if any
    pretrained: bool = False
    medium: str = "image"  # of its samples
    mel: dict[str, Any] | None = None  # for audio clips: the settings of their spectrograms (models.mel.MelSettings)
    width: float = 1.0  # for zoo networks: multiplier of the channels
    depth: int = 1  # for zoo networks: multiplier of the layers
    task: str = "single-label"  # name of the task; see `core.task`
    head: str = "linear"  # or a decoder of feature maps; see `models.decoders`
    changes: tuple[dict[str, Any], ...] = ()  # methods that rebuilt it, {name: settings}, in order

    @property
    def task_of_head(self) -> Task:
        """The task as networks with this head are trained and read."""
        return task_named(self.task).with_head(self.head)

    @property
    def outputs(self) -> int:
        """The number of outputs of the head."""
        return self.task_of_head.outputs(len(self.classes))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> NetSpec:
        plain = {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}
        return cls(**plain)


class FeatureHead(nn.Identity):
    """The head of a network whose outputs are the features themselves, (B, in_features)."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = in_features


class Net(nn.Module):
    """front: rendered samples -> inputs (see `Batch.x`). backbone: inputs -> features (B, D). head: features -> logits (B, K).
    maps: for a head that predicts pixels, collects the feature maps inside the backbone, which are then the head's input.

    `lr_scale` maps parameter names to learning rate factors (1 by default, 0 = frozen). Modules in `eval_only` stay in evaluation
    mode during training (a frozen backbone, BatchNorm with fixed statistics). `changed_by` contains the names of the methods that
    have changed this network, `notes` their notes about it.
    """

    def __init__(
        self, spec: NetSpec, backbone: nn.Module, head: nn.Module, front: Front | None = None, maps: Maps | None = None
    ) -> None:
        super().__init__()
        self.spec, self.maps = spec, maps
        self.adopt(backbone)
        self.head = head
        spare_lone_values(head)
        self.front = front or ImageFront(spec.mean, spec.std)
        self.lr_scale: dict[str, float] = {}
        self.eval_only: list[nn.Module] = []
        self.changed_by: set[str] = set()
        self.notes: list[Sentence] = []

    def adopt(self, backbone: nn.Module) -> None:
        """Set a backbone as created by its architecture, before any method changes it."""
        self.backbone = backbone
        spare_lone_values(backbone)
        self._architecture_names = frozenset(backbone.state_dict())
        self._architecture_parametrizations = {
            (name, weight): len(chain)
            for name, module in backbone.named_modules(prefix="backbone")
            if parametrize.is_parametrized(module)
            for weight, chain in cast(Any, module).parametrizations.items()
        }

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x) if self.maps is None else self.maps(self.backbone, x))

    def prepare(self, content: Any, size: int = 0) -> Tensor:
        """Rendered samples of one batch -> inputs of the backbone, on the network's device; see `Front.receive`."""
        return self.front(self.front.receive(content, size))

    @property
    def task(self) -> ClassTask:
        """The task of this network."""
        return cast(ClassTask, self.spec.task_of_head)

    @property
    def by_pixel(self) -> bool:
        """Whether the head predicts maps, from what is no single vector per image."""
        return isinstance(self.head, Decoder)

    @property
    def device(self) -> torch.device:
        return next(itertools.chain(self.parameters(), self.buffers())).device

    def on(self, device: torch.device) -> Net:
        """Move this network to a device, channels last in memory."""
        return self.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train(self, mode: bool = True) -> Net:
        super().train(mode)
        for module in self.eval_only:
            module.eval()
        return self

    # --- changes by methods -----------------------------------------------------------------------------------------
    def built_with(self, method: Method) -> None:
        """Record that this method rebuilt the network in a way that prediction needs: the method is saved with the network, and
        loading lets it rebuild the bare network before the weights are loaded."""
        self.spec = replace(self.spec, changes=(*self.spec.changes, {method.name: method.settings_dict()}))
        self.changed_by.add(method.name)

    def baked(self) -> Net:
        """The network for prediction: a copy where every weight that a method parametrised (torch.nn.utils.parametrize) is plain
        again, with its value in evaluation mode. Parametrisations of the architecture itself (the weight norm of wav2vec2's
        positions) stay. Returns the network itself if there are none to remove."""
        if not any(len(chain) > brought for *_, chain, brought in self._parametrized()):
            return self
        net = copy.deepcopy(self).eval()
        for module, weight, chain, brought in list(net._parametrized()):
            value = getattr(module, weight).detach().clone()
            del chain[brought:]
            with torch.no_grad():
                if brought:
                    setattr(module, weight, value)
                    continue
            # torch's remove_parametrizations would modify the class, which the copy shares with this network.
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module.parametrizations
            setattr(module, weight, nn.Parameter(value))
        return net

    def _parametrized(self) -> Iterator[tuple[Any, str, Any, int]]:
        """Every parametrised weight: its module, its name, its parametrisations, and how many of them belong to the
        architecture."""
        for name, module in self.named_modules():
            if parametrize.is_parametrized(module):
                for weight, chain in cast(Any, module).parametrizations.items():
                    yield module, weight, chain, self._architecture_parametrizations.get((name, weight), 0)

    def architecture_state(self) -> dict[str, Tensor]:
        """The backbone's own weights and statistics under their names in the bare architecture, even if methods have moved them;
        the tensors themselves, not copies."""
        state = self.backbone.state_dict()
        moved = {name: _moved(name) for name in self._architecture_names}
        places = {name: name if name in state else moved[name] for name in moved}
        return {name: state[place] for name, place in places.items() if place in state}

    # --- freezing and layers ----------------------------------------------------------------------------------------
    def scale_lr(self, names: Iterable[str], factor: float) -> None:
        """Multiply the learning rate of these parameters."""
        for name in names:
            self.lr_scale[name] = self.lr_scale.get(name, 1.0) * factor

    def freeze(self, module: nn.Module) -> None:
        """Freeze a module of this network: no gradients, no updates of statistics."""
        inside = {id(parameter) for parameter in module.parameters()}
        self.scale_lr([name for name, parameter in self.named_parameters() if id(parameter) in inside], 0.0)
        self.eval_only.append(module)

    def freeze_blocks(self, count: int) -> float:
        """Freeze the first blocks, those nearest the input; return the frozen share of the backbone's weights."""
        names = [name for block in self.blocks()[:count] for name in block]
        self.scale_lr(names, 0.0)
        self.eval_only += self.layers(names)
        return sum(self.get_parameter(name).numel() for name in names) / sum(
            p.numel() for p in self.backbone.parameters()
        )

    def freeze_backbone(self, but: Container[str] = ()) -> None:
        """Freeze every parameter of the backbone except these, and the statistics of its BatchNorm layers."""
        self.scale_lr([name for name, _ in self.backbone.named_parameters(prefix="backbone") if name not in but], 0.0)
        self.keep_statistics()

    def keep_statistics(self) -> int:
        """Freeze the statistics of the backbone's BatchNorm layers; return the number of these layers."""
        norms = [module for module in self.backbone.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self.eval_only += norms
        return len(norms)

    @contextlib.contextmanager
    def batch_statistics(self) -> Iterator[None]:
        """Within the block, the backbone's BatchNorm layers use batch statistics, as in training, except for layers in
        `eval_only`; all other modules are in evaluation mode. The running statistics are restored afterwards."""
        training = self.training
        self.train()
        norms = [m for m in self.backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
        kept = [[buffer.clone() for buffer in norm.buffers()] for norm in norms]
        self.eval()
        for norm in norms:
            norm.train()
        try:
            yield
        finally:
            for norm, buffers in zip(norms, kept):
                for buffer, value in zip(norm.buffers(), buffers):
                    buffer.copy_(value)
            self.train(training)

    def apply_freezing(self) -> None:
        """Enable gradients only for parameters with a non-zero learning rate."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(self.lr_scale.get(name, 1.0) != 0)

    @property
    def backbone_frozen(self) -> bool:
        return self.backbone in self.eval_only and not any(p.requires_grad for p in self.backbone.parameters())

    def blocks(self) -> list[list[str]]:
        """Parameter names in depth order: one list per block of the backbone, the first nearest the input (`split_blocks`), then
        the head with the parameters that belong to it."""
        blocks, tail = split_blocks(self.backbone)
        head = [name for name, _ in self.head.named_parameters(prefix="head")]
        return [*blocks.values(), tail + head]

    @property
    def block_names(self) -> list[str]:
        """The names of the backbone's blocks, the first nearest the input."""
        return list(split_blocks(self.backbone)[0])

    def layers(self, names: Iterable[str]) -> list[nn.Module]:
        """The modules whose parameters, including those of their children, are all among these, without duplicates."""
        wanted = list(names)
        inside = {id(self.get_parameter(name)) for name in wanted}
        found = [self.get_submodule(layer) for layer in dict.fromkeys(map(layer_of, wanted))]
        return [module for module in found if all(id(parameter) in inside for parameter in module.parameters())]

    @contextlib.contextmanager
    def hidden_mix(self, changes: Iterable[HiddenMix]) -> Iterator[None]:
        """Within the block, these changes are applied to the outputs of some of the backbone's blocks. For texts there are two
        positions where samples can be mixed: the token vectors and the features."""
        vectors = token_vectors(self.backbone)
        places = (
            [self.get_submodule(name) for name in self.block_names] if vectors is None else [vectors, self.backbone]
        )
        handles = []
        for inside in changes:
            place = places[round(inside.depth * (len(places) - 1))]
            handles.append(place.register_forward_hook(partial(_through, inside.change)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextlib.contextmanager
    def keeping_features(self) -> Iterator[list[Any]]:
        """Within the block, the list collects the input of the head for each call: vectors, or maps."""
        kept: list[Any] = []
        handle = self.head.register_forward_pre_hook(lambda head, inputs: kept.append(inputs[0]))
        try:
            yield kept
        finally:
            handle.remove()

    # --- the linear layers of the head ------------------------------------------------------------------------------
    @property
    def last(self) -> nn.Module:
        """The layer that returns the outputs."""
        if isinstance(self.head, FeatureHead):
            return self.head
        return self.head.last if isinstance(self.head, Decoder) else self.linear

    @property
    def linear(self) -> nn.Linear:
        """The last linear layer of a head for vectors."""
        return self._linears()[-1]

    @property
    def width(self) -> int:
        """The number of input features of the head."""
        return self.head.in_features if isinstance(self.head, FeatureHead) else self._linears()[0].in_features

    def _linears(self) -> list[nn.Linear]:
        return [module for module in self.head.modules() if isinstance(module, nn.Linear)]


def _moved(name: str) -> str:
    """The name of a weight after it is parametrised."""
    layer, _, weight = name.rpartition(".")
    return f"{layer}.parametrizations.{weight}.original"


def _through(change: Callable[[Tensor], Tensor], module: nn.Module, inputs: Any, output: Any) -> Any:
    if isinstance(module, TokenVectors):
        x_BLD, real_BL = output
        real_BL1 = real_BL[..., None].to(x_BLD)
        return change(x_BLD * real_BL1), change(real_BL1)[..., 0] > 0  # padding: the mixed mask is zero
    return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)


def head_name(spec: ModelSpec, task: str) -> str:
    """The head of a network for this task: `auto` is the task's first."""
    return task_named(task).heads[0] if spec.head == "auto" else spec.head


def with_head(spec: NetSpec, backbone: nn.Module, features: int, front: Front | None = None) -> Net:
    """The network with the head of its spec, with random weights. features: the length of the backbone's vector. RecipeError where
    the backbone has no feature maps for a decoder."""
    if spec.head == "linear":
        return Net(spec, backbone, new_head(features, spec.outputs), front)
    if spec.head == FEATURES:
        return Net(spec, backbone, FeatureHead(features), front)
    if spec.head not in DECODERS:
        raise RecipeError(
            f"model.head = {spec.head}: {spec.architecture} brings no decoder; accepted: {', '.join(sorted(DECODERS))}"
        )
    decoder = DECODERS[spec.head]
    if decoder.output_stride is not None:
        with contextlib.suppress(NoEffectError):  # a backbone that does not go so far needs no change
            dilate(backbone, decoder.output_stride)
    maps = Maps(backbone, spec.architecture)
    return Net(spec, backbone, decoder(maps.strides, maps.channels, spec.outputs), front, maps)


def new_head(features: int, classes: int) -> nn.Linear:
    """A linear head with small random weights, so that the initial probabilities are nearly equal."""
    head = nn.Linear(features, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head
