"""Builds a network from the names of its architecture and weights. Unavailable weights are an error and are never replaced."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from whet.core.batch import Context
from whet.core.errors import NoEffectError, RecipeError, RunError, WeightsError, unknown
from whet.core.language import Sentence, english
from whet.core.output import put, remove, work_folder
from whet.core.recipe import parse_method
from whet.core.run_folder import write_whole
from whet.core.spec import ModelSpec
from whet.core.stages import Changes
from whet.core.task import Task
from whet.core.writing import writing
from whet.models import hub, hub_audio, hub_text
from whet.models.front import AudioFront, Front, TextFront
from whet.models.hub_access import HEAD_FILE, check_folder, load_tensors, save_tensors
from whet.models.hub_segmenters import OWN
from whet.models.mel import MelSettings
from whet.models.net import Net, NetSpec, head_name, with_head
from whet.models.packaged import LITE0, PACKAGED, at_hand, located
from whet.models.run_weights import is_run, net_of_run
from whet.models.tokens import Tokens
from whet.models.zoo import PRETRAINED, ZOO, Pretrained
from whet.models.zoo_audio import AUDIO_ZOO, load_yamnet
from whet.models.zoo_text import TEXT_ZOO, LearnsFromTexts

SMALL_IMAGE = 64
DEFAULT_HUB_NAME = "google/mobilenet_v2_1.0_224"
_EXAMPLES = {
    "image": DEFAULT_HUB_NAME, "text": "sentence-transformers/all-MiniLM-L6-v2", "audio": "facebook/wav2vec2-base",
}  # fmt: skip
SMALL_NETS = {"text": "fast_text", "audio": "audio_cnn"}
_ZOO_MEAN, _ZOO_STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
_WHET_FILE = "whet.json"
_CHANGED_FILE = "whet.safetensors"
_MEMBERS, _EXTERNAL_MODELS = "members", "external_models"
_TEXTS_AT_ONCE, _MOST_TOKENS = 256, 512


def resolve(spec: ModelSpec, image_size: int, medium: str = "image") -> ModelSpec:
    """Replace every `auto`. By default, small images use a small network trained from scratch, larger ones pretrained weights:
    EfficientNet-Lite0 if its package is installed, otherwise those of a hub name. Texts and audio clips are trained from scratch,
    unless weights are given. WeightsError for a network whose package is not installed."""
    architecture, weights = spec.architecture, spec.weights
    if architecture == "auto" and weights not in ("auto", "none"):
        architecture = "yamnet" if medium == "audio" and not is_run(weights) and _is_yamnet(weights) else weights
    if architecture == "auto" and medium in SMALL_NETS:
        architecture = SMALL_NETS[medium]
    if architecture == "auto":
        small = image_size <= SMALL_IMAGE
        pretrained = DEFAULT_HUB_NAME if at_hand(LITE0) is None else LITE0
        architecture = "resnet9" if small or weights == "none" else pretrained
    if weights == "auto":
        weights = "none" if architecture in zoo_of(medium) and architecture not in PACKAGED else architecture
    if weights in PACKAGED:
        located(weights)
    return spec.replace(architecture=architecture, weights=weights)


def usual_head(spec: ModelSpec, task: Task) -> str:
    """The head that `auto` means for a resolved ModelSpec."""
    if OWN not in task.heads or spec.architecture in ZOO or is_run(spec.weights):
        return task.heads[0]
    check_architecture(spec.architecture)
    return hub.usual_head(spec, task.name)


def _is_yamnet(weights: str) -> bool:
    """Whether weights for audio clips are a file, or a folder without a transformers configuration."""
    path = Path(weights).expanduser()
    return path.suffix in (".safetensors", ".h5") or (path.is_dir() and not (path / "config.json").is_file())


def zoo_of(medium: str) -> Mapping[str, object]:
    """The zoo networks of this medium, by name."""
    zoos: dict[str, Mapping[str, object]] = {"image": ZOO, "text": TEXT_ZOO, "audio": AUDIO_ZOO}
    return zoos[medium]


def build_net(
    spec: ModelSpec, classes: tuple[str, ...], medium: str = "image", texts: Iterable[str] = (), rate: int = 16_000,
    task: str = "single-label",
) -> tuple[Net, list[Sentence]]:  # fmt: skip
    """The network of a resolved ModelSpec with a new head, and notes on loading and corrections. texts: the training texts, from
    which a zoo network builds its vocabulary. rate: of the audio clips, in samples per second. task: its name, as in NetSpec. Uses
    torch's global generator: call it inside `Rng.torch_scope`."""
    if is_run(spec.weights):
        return net_of_run(spec, classes, medium, task, load_net)
    if medium == "text":
        return _build_for_texts(spec, classes, texts, task)
    if medium == "audio":
        return _build_for_audio(spec, classes, rate, task)
    if spec.architecture in ZOO:
        return _build_zoo(spec, classes, task)
    if spec.weights not in ("none", spec.architecture) and not (Path(spec.weights) / "config.json").is_file():
        raise WeightsError(
            f"weights '{spec.weights}' for architecture '{spec.architecture}': accepted are a folder with config.json and "
            "model.safetensors, the architecture's own name, or none"
        )
    check_architecture(spec.architecture)
    return hub.build(spec, classes, task)


def _with_paths(spec: ModelSpec) -> ModelSpec:
    weights = spec.weights if spec.weights == "none" else located(spec.weights)
    return spec.replace(architecture=located(spec.architecture), weights=weights)


def check_architecture(name: str, medium: str = "image") -> None:
    """Raise RecipeError unless the name is in the zoo, that of packaged weights, a folder with a network, or has the form of a hub
    name."""
    zoo = zoo_of(medium)
    if name in zoo or (name in PACKAGED and PACKAGED[name].medium == medium):
        return
    if "/" not in name and not Path(name).exists():
        like = f"; or a local folder, or a hub name such as {_EXAMPLES[medium]}"
        raise RecipeError(unknown("architecture", name, zoo) + like)
    check_folder(name)


def _build_zoo(spec: ModelSpec, classes: tuple[str, ...], task: str) -> tuple[Net, list[Sentence]]:
    backbone, features = ZOO[spec.architecture]()
    made = NetSpec("zoo", spec.architecture, classes, _ZOO_MEAN, _ZOO_STD, task=task, head=head_name(spec, task))
    if spec.weights == "none":
        return with_head(made, backbone, features), [english("random weights, as requested (weights: none)")]
    pretrained = PRETRAINED.get(spec.architecture, Pretrained())
    state = pretrained.renamed(_read_weights(Path(located(spec.weights)).expanduser()))
    wanted = backbone.state_dict()
    missing = [name for name, tensor in wanted.items() if name not in state or state[name].shape != tensor.shape]
    if missing:
        raise WeightsError(
            f"weights {spec.weights} do not fit {spec.architecture}: {len(missing)} of {len(wanted)} tensors are missing "
            f"or of another shape, the first is '{missing[0]}'"
        )
    backbone.load_state_dict({name: state[name] for name in wanted})
    made = replace(made, mean=pretrained.mean, std=pretrained.std, native_size=pretrained.size, pretrained=True)
    return with_head(made, backbone, features), [english("weights from {weights}", weights=spec.weights)]


def _build_for_texts(
    spec: ModelSpec, classes: tuple[str, ...], texts: Iterable[str], task: str
) -> tuple[Net, list[Sentence]]:
    if spec.architecture not in TEXT_ZOO:
        check_architecture(spec.architecture, "text")
        encoder, tokens, notes = hub_text.build(_with_paths(spec))
        made = NetSpec(
            "transformers", encoder.model_type, classes, native_size=encoder.most_tokens, pretrained=spec.weights != "none",
            medium="text", task=task, head=head_name(spec, task),
        )  # fmt: skip
        return _encoder_net(made, encoder, TextFront(tokens)), notes
    if spec.weights != "none":
        raise WeightsError(
            f"weights '{spec.weights}': {spec.architecture} builds its vocabulary from your texts and starts from random weights; "
            "accepted: none, or an encoder's folder or hub name as the architecture"
        )
    texts = list(texts)
    tokens = Tokens.train(texts)
    notes = [english("{n:,} tokens learned from the training texts", n=len(tokens))]
    made = NetSpec("zoo", spec.architecture, classes, medium="text", task=task, head=head_name(spec, task))
    net = _zoo_net(made, TextFront(tokens))
    if isinstance(net.backbone, LearnsFromTexts):
        chunks = (texts[start : start + _TEXTS_AT_ONCE] for start in range(0, len(texts), _TEXTS_AT_ONCE))
        net.backbone.learn(tokens.encode(chunk, _MOST_TOKENS) for chunk in chunks)
    return net, notes


def _build_for_audio(spec: ModelSpec, classes: tuple[str, ...], rate: int, task: str) -> tuple[Net, list[Sentence]]:
    if spec.architecture not in AUDIO_ZOO:
        check_architecture(spec.architecture, "audio")
        encoder, front, notes = hub_audio.build(spec)
        made = NetSpec(
            "transformers", encoder.model_type, classes, pretrained=spec.weights != "none", medium="audio", task=task,
            head=head_name(spec, task),
        )  # fmt: skip
        return _encoder_net(made, encoder, front), notes
    chosen = AUDIO_ZOO[spec.architecture]
    mel = chosen.mel if chosen.fixed_rate else chosen.mel.at_rate(min(rate, chosen.mel.rate))
    pretrained = spec.weights != "none"
    made = NetSpec(
        "zoo",
        spec.architecture,
        classes,
        (0.0,),
        (1.0,),
        pretrained=pretrained,
        medium="audio",
        mel=asdict(mel),
        task=task,
        head=head_name(spec, task),
    )
    net = _zoo_net(made, _audio_front(made))
    if not pretrained:
        return net, [english("random weights, as requested (weights: none)")]
    if spec.architecture != "yamnet":
        raise WeightsError(f"weights '{spec.weights}': {spec.architecture} starts from random weights; accepted: none")
    load_yamnet(net.backbone, Path(spec.weights).expanduser())
    return net, [english("weights from {weights}", weights=spec.weights)]


def _audio_front(spec: NetSpec) -> AudioFront:
    return AudioFront(MelSettings(**(spec.mel or {})), spec.mean[0], spec.std[0])


def standardised(net: Net, mel_BCLM: Tensor) -> Net:
    """The network with a front that standardises spectrograms to mean 0 and standard deviation 1, estimated from these, if its
    architecture requires it."""
    if isinstance(net.front, AudioFront) and net.spec.source == "zoo" and AUDIO_ZOO[net.spec.architecture].standardise:
        net.front.standardise(mel_BCLM)
        net.spec = replace(net.spec, mean=(float(net.front.mean),), std=(float(net.front.std),))
    return net


def _zoo_net(spec: NetSpec, front: Front | None = None) -> Net:
    """A zoo network with random weights."""
    if isinstance(front, TextFront):
        tokens = front.tokens
        made = TEXT_ZOO[spec.architecture](tokens.words, tokens.pad_id, width=spec.width, depth=spec.depth)
    elif isinstance(front, AudioFront):
        made = AUDIO_ZOO[spec.architecture].build(width=spec.width, depth=spec.depth)
    else:
        made = ZOO[spec.architecture](width=spec.width, depth=spec.depth)
    backbone, features = made
    return with_head(spec, backbone, features, front)


def _encoder_net(spec: NetSpec, encoder: hub_text.TextEncoder | hub_audio.AudioEncoder, front: Front) -> Net:
    return with_head(spec, encoder, encoder.features, front)


def _loaded_encoder(spec: NetSpec, folder: Path, *, bare: bool) -> Net:
    """An encoder of texts or audio clips with a new head; bare: with random weights."""
    if spec.medium == "audio":
        return _encoder_net(spec, *(hub_audio.load_bare(folder) if bare else hub_audio.load(folder)))
    encoder, tokens = hub_text.load_bare(folder) if bare else hub_text.load(folder)
    return _encoder_net(spec, encoder, TextFront(tokens))


def rescale(net: Net, *, width: float, depth: int) -> None:
    """Rebuild a zoo network with another width or depth, with random weights. Uses torch's global generator."""
    spec = net.spec
    zoo = zoo_of(spec.medium)
    if spec.source != "zoo" or spec.architecture not in zoo:
        raise NoEffectError(
            f"{spec.architecture} has a fixed size; zoo networks that can be scaled: {', '.join(sorted(zoo))}"
        )
    if spec.pretrained:
        raise NoEffectError(f"the pretrained weights of {spec.architecture} fit its own size only")
    net.spec = replace(spec, width=width, depth=depth)
    scaled = _zoo_net(net.spec, net.front)
    net.adopt(scaled.backbone)
    net.head = scaled.head


def _read_weights(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise WeightsError(
            f"weights {path} do not exist; accepted: a .safetensors or .pth file, or a folder with model.safetensors"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - any error while reading means that it is not a weights file
        raise WeightsError(f"weights {path} cannot be read: {error}") from None
    return state.get("state_dict", state)


def save_net(net: Net, folder: Path, extra: dict) -> None:
    """Write the model: config.json and model.safetensors in the format of transformers, if the backbone is a transformers network
    (for an encoder of texts or audio clips without the head, which is a separate file), and whet.json with the rest. A network that
    methods rebuilt is saved to whet.safetensors, which only `load_net` reads. The files are written to a temporary folder and moved
    one by one, so that the folder always contains a complete model."""
    with writing(folder, sum(tensor.nbytes for tensor in net.state_dict().values())):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with work_folder(folder) as beside:
            _write_net(net, beside, extra)
            put(beside, folder, last=_WHET_FILE)  # written last, because it refers to the others
    if _saved_whole(net.spec) and (folder / "model.safetensors").exists():
        remove(folder / "model.safetensors")


def _write_net(net: Net, folder: Path, extra: dict) -> None:
    hub_made, rebuilt = net.spec.source == "transformers", _saved_whole(net.spec)
    if isinstance(net.backbone, hub_text.TextEncoder) and isinstance(net.front, TextFront):
        write = hub_text.save_config if rebuilt else hub_text.save
        write(net.backbone, net.front.tokens, folder)
        if not rebuilt:
            save_tensors(net.linear.state_dict(), folder / HEAD_FILE)
    elif isinstance(net.backbone, hub_audio.AudioEncoder):
        (hub_audio.save_config if rebuilt else hub_audio.save)(net.backbone, folder)
        if not rebuilt:
            save_tensors(net.linear.state_dict(), folder / HEAD_FILE)
    elif hub_made and not rebuilt:
        hub.save(net, folder)
    elif hub_made:
        hub.save_config(net, folder)
    else:
        net.front.save(folder)
        config = {"model_type": "whet", "architecture": net.spec.architecture, "num_labels": net.spec.outputs}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if rebuilt:
        # Training-only modules that methods attached to the network are left out.
        parts = {name: tensor for name, tensor in net.state_dict().items() if name.startswith(("backbone.", "head."))}
        save_tensors(parts, folder / _CHANGED_FILE)
    elif not hub_made:
        tensors = {f"backbone.{name}": tensor for name, tensor in net.backbone.state_dict().items()}
        tensors |= {f"head.{name}": tensor for name, tensor in net.linear.state_dict().items()}
        save_tensors(tensors, folder / "model.safetensors")
    write_extra(folder, {"net": net.spec.to_dict(), **extra})


def read_extra(folder: Path) -> dict:
    """The `extra` data written by `save_net`."""
    path = folder / _WHET_FILE
    if not path.is_file():
        raise RunError(f"{folder} holds no model: {_WHET_FILE} is missing (the run may not have finished)")
    return json.loads(path.read_text())


def write_extra(folder: Path, extra: dict) -> None:
    """Replace the data returned by `read_extra`."""
    write_whole(folder / _WHET_FILE, json.dumps(extra, indent=2, ensure_ascii=False) + "\n")


def load_net(folder: Path) -> Net:
    """Load a network written by `save_net`, in evaluation mode."""
    extra = read_extra(folder)
    spec = NetSpec.from_dict(extra["net"])
    bare, hub_made = replace(spec, changes=()), spec.source == "transformers"
    if hub_made and spec.medium != "image":
        net = _loaded_encoder(bare, folder, bare=_saved_whole(spec))
        if not _saved_whole(spec):
            net.head.load_state_dict(load_file(folder / HEAD_FILE))
            return net.eval()
    elif hub_made and not _saved_whole(spec):
        return hub.load(folder, spec).eval()
    elif hub_made:
        net = hub.load_bare(folder, bare)
    else:
        net = _zoo_net(bare, _loaded_front(bare, folder))
    if spec.changes:
        net = _rebuilt(net, spec.changes)
    load_tensors(net, folder / (_CHANGED_FILE if _saved_whole(spec) else "model.safetensors"))
    return net.eval()


def _saved_whole(spec: NetSpec) -> bool:
    """Whether the network is saved to whet.safetensors: methods rebuilt it, or its head is ours and not linear."""
    return bool(spec.changes) or spec.head not in ("linear", OWN)


def _loaded_front(spec: NetSpec, folder: Path) -> Front | None:
    if spec.medium == "text":
        return TextFront.load(folder)
    return _audio_front(spec) if spec.medium == "audio" else None


def _rebuilt(net: Net, changes: tuple[dict, ...]) -> Net:
    """The bare network after these methods rebuilt it."""
    context = Context.of_loaded(net.task, net.spec.classes)
    for method in (parse_method(entry) for entry in changes):
        if not isinstance(method, Changes):
            raise RunError(f"the model was saved with the method '{method.name}', which does not change models here")
        net = method.change(net, context)
    return net.baked()


def member_folder(folder: Path, number: int) -> Path:
    """The folder of an ensemble member of the network in `folder`; numbers start at 1."""
    return folder / _MEMBERS / str(number)


def add_external_model(folder: Path, method: str, number: int, model: Path) -> None:
    """Copy another model folder into this one as an external model of this method; numbers start at 1."""
    place = folder / _EXTERNAL_MODELS / method / str(number)
    place.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(place) as beside:
        shutil.copytree(model, beside, dirs_exist_ok=True)
        put(beside, place, last=_WHET_FILE)


def external_model_folders(folder: Path) -> dict[str, list[Path]]:
    """The folders of the external models, by method, in order."""
    return {
        place.name: sorted(place.glob("[0-9]*"), key=lambda path: int(path.name))
        for place in sorted((folder / _EXTERNAL_MODELS).glob("*"))
    }


def load_nets(folder: Path) -> list[Net]:
    """The network written by `save_net`, and its ensemble members."""
    further = len(list((folder / _MEMBERS).glob("[0-9]*")))
    return [load_net(folder), *(load_net(member_folder(folder, number)) for number in range(1, further + 1))]
