"""YAMNet's official weights, yamnet.h5 of tensorflow/models (research/audioset/yamnet), under the names of our network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whet.core.errors import WeightsError

PLACE = "https://storage.googleapis.com/audioset/yamnet.h5"
_DATASET = re.compile(r"layer(\d+)/(conv|depthwise_conv|pointwise_conv)(?:/bn)?/([a-z_]+)(?::0)?$")
_NAMES = {
    "kernel": "0.weight",
    "depthwise_kernel": "0.weight",
    "gamma": "1.weight",
    "beta": "1.bias",
    "moving_mean": "1.running_mean",
    "moving_variance": "1.running_var",
}


def read_h5(path: Path) -> dict[str, Tensor]:
    """The tensors of the layers before the classifier. The file has no scales of its BatchNorms: these are 1. Raises
    WeightsError."""
    try:
        import h5py
    except ImportError:
        raise WeightsError(f"{path}: .h5 files need h5py: pip install 'whet[h5]'") from None
    found: dict[str, Tensor] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and (match := _DATASET.search(name)) and match[3] in _NAMES:
            found[f"{_place(int(match[1]), match[2])}.{_NAMES[match[3]]}"] = _converted(item[()], match[3])

    try:
        with h5py.File(path, "r") as file:
            file.visititems(take)
    except OSError as error:
        raise WeightsError(f"{path}: not readable as an HDF5 file: {error}") from None
    for name in [name for name in found if name.endswith("1.running_mean")]:
        found.setdefault(name.replace("running_mean", "weight"), torch.ones_like(found[name]))
    return found


def _place(layer: int, kind: str) -> str:
    """Layer 1 is a convolution, every further one a depthwise and a pointwise convolution."""
    return f"features.{0 if layer == 1 else 2 * (layer - 2) + (1 if kind == 'depthwise_conv' else 2)}"


def _converted(value: Any, kind: str) -> Tensor:
    tensor = torch.from_numpy(value).float()
    if kind == "kernel":  # height, width, inputs, outputs
        return tensor.permute(3, 2, 0, 1).contiguous()
    return tensor.permute(2, 3, 0, 1).contiguous() if kind == "depthwise_kernel" else tensor
