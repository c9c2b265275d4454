"""Text encoders of the `transformers` library: from a local folder or a hub name, safetensors only, never remote code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from whet.core.errors import WeightsError
from whet.core.language import Sentence, english
from whet.core.spec import ModelSpec
from whet.models.hub_access import hub_is_reachable, is_local, library, load_checked, load_encoder, reload
from whet.models.mend import mend
from whet.models.token_vectors import TokenVectors
from whet.models.tokens import Tokens

Pooling = Literal["first", "mean", "max"]
_WITH_DECODERS = ("mt5", "t5", "umt5")  # only the encoder is used
_OTHER = frozenset({"ibert"})  # not supported: it returns its vectors together with a scale
_POOLER = "pooler."  # BERT's layer after [CLS], which is not used
_POOLING_FILE = "1_Pooling/config.json"  # the location in sentence-transformers
_POOLING_KEYS: dict[str, Pooling] = {
    "pooling_mode_cls_token": "first", "pooling_mode_mean_tokens": "mean", "pooling_mode_max_tokens": "max",
}  # fmt: skip


class TextEncoder(nn.Module):
    """A transformers encoder: token ids (B, L) -> one vector per text (B, D), `features` = D.

    `pooling` combines the token vectors: the first one ([CLS]), or the mean or maximum of all except padding. Rows that contain
    only padding give zeros. `most_tokens`: the number of positions, or None.
    """

    def __init__(self, model: nn.Module, pooling: Pooling, pad_id: int) -> None:
        super().__init__()
        self.model, self.pooling, self.pad_id = model, pooling, pad_id
        self.vectors = TokenVectors()
        config = cast(Any, model).config
        self.model_type = str(config.model_type)
        self.features = int(config.hidden_size)
        self.most_tokens = _positions(config)

    @property
    def table(self) -> nn.Embedding:
        return cast(nn.Embedding, cast(Any, self.model).get_input_embeddings())

    @property
    def states_width(self) -> int:
        return self.features

    def states(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        """The token vectors after the last layer, (B, L, D), and the padding mask, (B, L), true for tokens."""
        x_BLD, real_BL = self.vectors(self.table(ids_BL), ids_BL != self.pad_id)
        return self.model(inputs_embeds=x_BLD, attention_mask=real_BL.long()).last_hidden_state, real_BL

    def forward(self, ids_BL: Tensor) -> Tensor:
        x_BLD, real_BL = self.states(ids_BL)
        if self.pooling == "first":
            return x_BLD[:, 0] * real_BL[:, :1]
        real_BL1 = real_BL[:, :, None]
        if self.pooling == "max":
            return torch.where(real_BL1, x_BLD, -torch.inf).amax(dim=1).nan_to_num(neginf=0.0)
        return torch.where(real_BL1, x_BLD, 0.0).sum(dim=1) / real_BL1.sum(dim=1).clamp(min=1)


def _auto(config: Any) -> Any:
    """The transformers class of the encoder; for a network with a decoder, the class of its encoder alone."""
    library_ = library()
    return library_.AutoModelForTextEncoding if config.model_type in _WITH_DECODERS else library_.AutoModel


def build(spec: ModelSpec) -> tuple[TextEncoder, Tokens, list[Sentence]]:
    """The encoder with its weights (random for `none`), its tokens, and notes."""
    transformers = library()
    name = spec.architecture if spec.weights == "none" else spec.weights
    offline = is_local(name) or not hub_is_reachable()
    config = load_checked(lambda: transformers.AutoConfig.from_pretrained(name, local_files_only=offline), name)
    if config.is_encoder_decoder and config.model_type not in _WITH_DECODERS:
        raise WeightsError(
            f"'{name}' is a {config.model_type}, an encoder with a decoder; accepted: encoders such as BERT, and the encoder of "
            f"{', '.join(_WITH_DECODERS)}"
        )
    if config.model_type in _OTHER:
        raise WeightsError(
            f"'{name}' is a {config.model_type}, which is not supported; accepted: encoders such as BERT"
        )
    model, found = load_encoder(_auto(config), spec, config, _POOLER, offline=offline)
    tokens = Tokens.of_hub(name)
    if len(tokens) > config.vocab_size:
        raise WeightsError(f"'{name}' has {len(tokens)} tokens, but its weights have {config.vocab_size}")
    pooling, note = _pooling(name, model, offline)
    return _wrap(model, pooling, tokens), tokens, [found, note, *mend(model)]


def save(encoder: TextEncoder, tokens: Tokens, folder: Path) -> None:
    """Write config.json and model.safetensors in the format of transformers' AutoModel, and the files of `save_config`."""
    save_config(encoder, tokens, folder)
    cast(Any, encoder.model).save_pretrained(folder)


def save_config(encoder: TextEncoder, tokens: Tokens, folder: Path) -> None:
    """Write everything except the weights: config.json, the tokenizer's files and the pooling."""
    cast(Any, encoder.model).config.save_pretrained(folder)
    tokens.save(folder)
    pooling = {"word_embedding_dimension": encoder.features} | {
        key: mode == encoder.pooling for key, mode in _POOLING_KEYS.items()
    }
    (folder / _POOLING_FILE).parent.mkdir(exist_ok=True)
    (folder / _POOLING_FILE).write_text(json.dumps(pooling, indent=2) + "\n")


def load(folder: Path) -> tuple[TextEncoder, Tokens]:
    """Load the encoder and the tokens of a model folder."""
    config = library().AutoConfig.from_pretrained(folder, local_files_only=True)
    return _loaded(reload(_auto(config), folder, _POOLER), folder)


def load_bare(folder: Path) -> tuple[TextEncoder, Tokens]:
    """The encoder of a configuration written by `save_config`, with random weights, and its tokens."""
    transformers = library()
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    return _loaded(_auto(config).from_config(config, dtype=torch.float32), folder)


def _loaded(model: nn.Module, folder: Path) -> tuple[TextEncoder, Tokens]:
    tokens = Tokens.load(folder)
    mend(model)
    return _wrap(model, _pooling(str(folder), model, offline=True)[0], tokens), tokens


def _wrap(model: Any, pooling: Pooling, tokens: Tokens) -> TextEncoder:
    if isinstance(getattr(model, "pooler", None), nn.Module):
        # BERT's layer after [CLS] is not used, so it must not be trained, counted or required. Some models always call it.
        model.pooler = nn.Identity()
    return TextEncoder(model, pooling, tokens.pad_id)


def _pooling(name: str, model: Any, offline: bool) -> tuple[Pooling, Sentence]:
    """The pooling given by the folder; otherwise the first token for architectures with a layer after [CLS] and the mean for all
    others; and a note."""
    from transformers.utils import cached_file

    path = cached_file(
        name, _POOLING_FILE, local_files_only=offline, _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    if path is not None:
        plain = json.loads(Path(path).read_text())
        modes = [key for key, value in plain.items() if key.startswith("pooling_mode") and value]
        if len(modes) == 1 and modes[0] in _POOLING_KEYS:
            pooling = _POOLING_KEYS[modes[0]]
            return pooling, english(
                "features of a text: {pooling!t}, according to {file}",
                pooling=_POOLING_NAMES[pooling],
                file=_POOLING_FILE,
            )
        return (
            "mean",
            english(
                "features of a text: {pooling!t}; {file} requests {modes}, which is not supported",
                pooling=_POOLING_NAMES["mean"],
                file=_POOLING_FILE,
                modes=", ".join(modes),
            ),
        )
    usual: Pooling = "first" if hasattr(model, "pooler") else "mean"
    return usual, english(
        "features of a text: {pooling!t}, the default for {kind}",
        pooling=_POOLING_NAMES[usual],
        kind=model.config.model_type,
    )


_POOLING_NAMES: dict[Pooling, Sentence] = {
    "first": english("the first token's"), "mean": english("the mean of its tokens"),
    "max": english("the maximum of its tokens"),
}  # fmt: skip


def _positions(config: Any) -> int | None:
    """The number of positions of the encoder; for models like RoBERTa, without the offset of the padding id."""
    most = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or most <= 0:
        return None
    offset = config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "data2vec-text")
    return most - (config.pad_token_id or 0) - 1 if offset else most
