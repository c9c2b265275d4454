"""A network as whet sees it: a front that brings samples to it, a backbone that turns them into features, a head that answers."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from whet.core.batch import HiddenMix
from whet.core.method import Method
from whet.core.task import ClassTask, task_named
from whet.models.blocks import layer_of, split_blocks
from whet.models.front import Front, ImageFront
from whet.models.mend import spare_lone_values
from whet.models.token_vectors import TokenVectors, token_vectors


@dataclass(frozen=True)
class NetSpec:
    """What is needed to build the same network again, without its weights."""

    source: str  # "zoo" or "transformers"
    architecture: str  # the zoo's name, or the model type of transformers
    classes: tuple[str, ...]
    mean: tuple[float, ...] = ()  # of what the front normalises, a number a channel
    std: tuple[float, ...] = ()
    native_size: int | None = None  # the size of samples that the weights were trained with, where there is one
    pretrained: bool = False
    medium: str = "image"  # what it is shown
    mel: dict[str, Any] | None = None  # of audio clips: how their spectrograms are made (models.mel.MelSettings)
    width: float = 1.0  # of a network of the zoo: its channels, as a multiple
    depth: int = 1  # of a network of the zoo: its layers of one size, as a multiple
    task: str = "single-label"  # what is asked of a sample, by its name; see `core.task`
    changes: tuple[dict[str, Any], ...] = ()  # methods that rebuilt it, {name: settings}, in the order they did

    @property
    def outputs(self) -> int:
        """How many numbers the head gives."""
        return task_named(self.task).outputs(len(self.classes))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> NetSpec:
        plain = {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}
        return cls(**plain)


class Net(nn.Module):
    """front: painted samples -> inputs (see `Batch.x`). backbone: inputs -> features (B, D). head: features -> logits (B, K).

    `lr_scale` holds a factor on the learning rate by parameter name (1 where absent, 0 = frozen). Modules in `eval_only`
    stay in evaluation mode while the rest trains (a frozen backbone, BatchNorm that keeps its statistics). `changed_by` names
    the methods that have changed this network already, `notes` holds what they have to tell about it.
    """

    def __init__(self, spec: NetSpec, backbone: nn.Module, head: nn.Module, front: Front | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.adopt(backbone)
        self.head = head
        self.front = front or ImageFront(spec.mean, spec.std)
        self.lr_scale: dict[str, float] = {}
        self.eval_only: list[nn.Module] = []
        self.changed_by: set[str] = set()
        self.notes: list[str] = []

    def adopt(self, backbone: nn.Module) -> None:
        """Take a backbone as its architecture brings it, before any method changes it."""
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
        return self.head(self.backbone(x))

    def prepare(self, content: Any, size: int = 0) -> Tensor:
        """Painted samples of one batch -> what the backbone takes, on the network's device; see `Front.receive`."""
        return self.front(self.front.receive(content, size))

    @property
    def task(self) -> ClassTask:
        """What is asked of a sample."""
        return cast(ClassTask, task_named(self.spec.task))

    @property
    def device(self) -> torch.device:
        return self.linear.weight.device

    def on(self, device: torch.device) -> Net:
        """This network on a device, channels last in memory."""
        return self.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train(self, mode: bool = True) -> Net:
        super().train(mode)
        for module in self.eval_only:
            module.eval()
        return self

    # --- changes by methods -----------------------------------------------------------------------------------------
    def built_with(self, method: Method) -> None:
        """Record that this method rebuilt the network in a way that prediction needs too: the network is then saved with it,
        and loading lets it rebuild the bare network before the weights are put in."""
        self.spec = replace(self.spec, changes=(*self.spec.changes, {method.name: method.settings_dict()}))
        self.changed_by.add(method.name)

    def baked(self) -> Net:
        """The network as prediction needs it: a copy where every weight that a method parametrised (torch.nn.utils.parametrize) is
        a plain one again, of the value it has in evaluation. What the architecture itself parametrises (the weight norm of
        wav2vec2's positions) stays so. The network itself where there is nothing to do."""
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
            # Not by torch's own remove_parametrizations: it would strip the class, which the copy shares with this network.
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module.parametrizations
            setattr(module, weight, nn.Parameter(value))
        return net

    def _parametrized(self) -> Iterator[tuple[Any, str, Any, int]]:
        """Every parametrised weight: its module, its name, its parametrisations, and how many of these the architecture brought."""
        for name, module in self.named_modules():
            if parametrize.is_parametrized(module):
                for weight, chain in cast(Any, module).parametrizations.items():
                    yield module, weight, chain, self._architecture_parametrizations.get((name, weight), 0)

    def architecture_state(self) -> dict[str, Tensor]:
        """The backbone's own weights and statistics under the names that the bare architecture has for them, wherever methods have
        moved them; the tensors themselves, not copies."""
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
        """Keep a module of this network as it is: no gradient, no new statistics."""
        inside = {id(parameter) for parameter in module.parameters()}
        self.scale_lr([name for name, parameter in self.named_parameters() if id(parameter) in inside], 0.0)
        self.eval_only.append(module)

    def freeze_blocks(self, count: int) -> float:
        """Keep the first blocks, those nearest the input, as they are; the share of the backbone's weights that this is."""
        names = [name for block in self.blocks()[:count] for name in block]
        self.scale_lr(names, 0.0)
        self.eval_only += self.layers(names)
        return sum(self.get_parameter(name).numel() for name in names) / sum(
            p.numel() for p in self.backbone.parameters()
        )

    def freeze_backbone(self, but: Container[str] = ()) -> None:
        """Keep every parameter of the backbone but these as it is, and the statistics of its BatchNorm layers."""
        self.scale_lr([name for name, _ in self.backbone.named_parameters(prefix="backbone") if name not in but], 0.0)
        self.keep_statistics()

    def keep_statistics(self) -> int:
        """Let the backbone's BatchNorm layers keep the statistics they came with; how many such layers there are."""
        norms = [module for module in self.backbone.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self.eval_only += norms
        return len(norms)

    @contextlib.contextmanager
    def batch_statistics(self) -> Iterator[None]:
        """Within the block the backbone's BatchNorm layers go by the statistics of the batch, as they do in training, but for those
        that rest; all else stays in evaluation mode. The statistics that they keep are as before afterwards."""
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
        """Let gradients flow only to parameters whose learning rate is not zero."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(self.lr_scale.get(name, 1.0) != 0)

    @property
    def backbone_frozen(self) -> bool:
        return self.backbone in self.eval_only and not any(p.requires_grad for p in self.backbone.parameters())

    def blocks(self) -> list[list[str]]:
        """Parameter names in depth order: one list a block of the backbone, the first nearest the input (`split_blocks`), then the
        head with what belongs to it."""
        blocks, tail = split_blocks(self.backbone)
        head = [name for name, _ in self.head.named_parameters(prefix="head")]
        return [*blocks.values(), tail + head]

    @property
    def block_names(self) -> list[str]:
        """The names of the backbone's blocks, the first nearest the input."""
        return list(split_blocks(self.backbone)[0])

    def layers(self, names: Iterable[str]) -> list[nn.Module]:
        """The modules that own some of these parameters and no other ones, nor hold any module with other ones, each once."""
        wanted = list(names)
        inside = {id(self.get_parameter(name)) for name in wanted}
        found = [self.get_submodule(layer) for layer in dict.fromkeys(map(layer_of, wanted))]
        return [module for module in found if all(id(parameter) in inside for parameter in module.parameters())]

    @contextlib.contextmanager
    def hidden_mix(self, changes: Iterable[HiddenMix]) -> Iterator[None]:
        """Within the block the outputs of some of the backbone's blocks pass through these changes. A text is changed at one of two
        places, where texts can be laid upon each other: the vectors of its tokens, or its features."""
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
    def keeping_features(self) -> Iterator[list[Tensor]]:
        """Within the block the list fills with what the head is given, call by call."""
        kept: list[Tensor] = []
        handle = self.head.register_forward_pre_hook(lambda head, inputs: kept.append(inputs[0]))
        try:
            yield kept
        finally:
            handle.remove()

    # --- the linear layers of the head ------------------------------------------------------------------------------
    @property
    def linear(self) -> nn.Linear:
        """The layer that gives the logits."""
        return self._linears()[-1]

    @property
    def width(self) -> int:
        """How many features the head takes."""
        return self._linears()[0].in_features

    def _linears(self) -> list[nn.Linear]:
        return [module for module in self.head.modules() if isinstance(module, nn.Linear)]


def _moved(name: str) -> str:
    """Where a weight lies once it is parametrised."""
    layer, _, weight = name.rpartition(".")
    return f"{layer}.parametrizations.{weight}.original"


def _through(change: Callable[[Tensor], Tensor], module: nn.Module, inputs: Any, output: Any) -> Any:
    if isinstance(module, TokenVectors):
        x_BLD, real_BL = output
        real_BL1 = real_BL[..., None].to(x_BLD)
        return change(x_BLD * real_BL1), change(real_BL1)[..., 0] > 0  # padding is where nothing of a token is left
    return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)


def new_head(features: int, classes: int) -> nn.Linear:
    """A linear head with small random weights, so that training starts from nearly equal probabilities."""
    head = nn.Linear(features, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head
