"""The networks to start from: what each needs, its licence, size, accuracy, and speed on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.models import Net, build_net
from whet.models.build import DEFAULT_HUB_NAME, zoo_of
from whet.models.packaged import INSTALL, PACKAGED, at_hand
from whet.models.zoo_audio.yamnet_h5 import PLACE

_SECONDS = 0.5
_SIZE = {"image": 224, "text": 64, "audio": 1000}  # pixels, tokens, milliseconds


@dataclass(frozen=True)
class Start:
    """A network to start from. name: for --architecture, or for --weights where it is pretrained. needs: what has to be done
    first, empty if nothing. megabytes: of the weights file. top1: published accuracy on ImageNet in %. parameters: in millions,
    without the last layer. per_second: images of 224 px, texts of 64 tokens or clips of a second, predicted in a second of
    processor time, one at a time; None where it was not measured."""

    name: str
    medium: str
    pretrained: bool
    needs: str
    licence: str
    megabytes: float | None
    top1: float | None
    parameters: float | None = None
    per_second: float | None = None


_ELSEWHERE = (
    Start(DEFAULT_HUB_NAME, "image", True, "the hub, or a folder of it", "Apache-2.0", 14.2, 71.8),
    Start(
        "yamnet", "audio", True, f"--weights yamnet.h5, from {PLACE}; pip install 'whet[h5]'", "Apache-2.0", 15.3, None
    ),
)


def list_weights(*, speed: bool = True) -> list[Start]:
    """All networks by name, pretrained ones first; other folders and hub names are accepted too. speed: also measure those at
    hand, about a second for each."""
    found = [_packaged(name, speed) for name in PACKAGED] + list(_ELSEWHERE)
    pretrained = {start.name for start in found}
    return found + [start for start in _from_scratch(speed) if start.name not in pretrained]


def _packaged(name: str, speed: bool) -> Start:
    one, path = PACKAGED[name], at_hand(name)
    needs = "" if path is not None else INSTALL
    parameters, per_second = _measured(name, one.medium, name, speed) if path is not None else (None, None)
    return Start(name, one.medium, True, needs, one.licence, one.size, one.top1, parameters, per_second)


def _from_scratch(speed: bool) -> Iterator[Start]:
    for medium in ("image", "text", "audio"):
        for name in zoo_of(medium):
            parameters, per_second = _measured(name, medium, "none", speed)
            yield Start(name, medium, False, "", "Apache-2.0", None, None, parameters, per_second)


def _measured(name: str, medium: str, weights: str, speed: bool) -> tuple[float, float | None]:
    """The parameters of the backbone in millions, and the samples in a second."""
    with Rng(0).torch_scope("weights"):
        net, _ = build_net(
            ModelSpec(architecture=name, weights=weights), ("a", "b"), medium, ["a text", "another text"]
        )
    net.eval()
    parameters = sum(one.numel() for one in net.backbone.parameters()) / 1e6
    return parameters, _per_second(net, medium) if speed else None


def _per_second(net: Net, medium: str) -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            x = net.front.blank(1, _SIZE[medium])
            net(x)
            count, started = 0, time.process_time()
            while (used := time.process_time() - started) < _SECONDS:
                net(x)
                count += 1
    finally:
        torch.set_num_threads(threads)
    return count / used
