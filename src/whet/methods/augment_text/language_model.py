"""Load the language models of contextual_substitution and back_translation from a folder or the Hub."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from whet.core.errors import WeightsError

Kind = Literal["AutoModelForMaskedLM", "AutoModelForSeq2SeqLM"]

_CHECKS = (
    "seeded",
    "draws_independent",
    "inputs_kept",
    "shapes",
    "trains",
    "finalizes",
    "commutes",
    "no_effect",
)
WITHOUT_MODELS = dict.fromkeys(_CHECKS, "requires models chosen by the user; its own test builds small ones")


@dataclass(frozen=True)
class LanguageModel:
    """A language model with its tokenizer, used by one thread at a time."""

    tokenizer: Any
    model: Any
    lock: threading.Lock = field(default_factory=threading.Lock)


_loading = threading.Lock()


def load_language_model(method: str, kind: Kind, name: str) -> LanguageModel:
    """Load the model once per process. Only safetensors weights are accepted, and no remote code is run."""
    with _loading:
        return _loaded(method, kind, name)


@functools.cache
def _loaded(method: str, kind: Kind, name: str) -> LanguageModel:
    import transformers

    options = {"local_files_only": Path(name).is_dir()}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
        model = getattr(transformers, kind).from_pretrained(name, use_safetensors=True, **options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(
            f"{method}: cannot load the model {name!r} ({reason[0]}); accepted: a folder written by save_pretrained with tokenizer "
            "and safetensors weights, or a Hub name (Marian tokenizers need pip install sentencepiece)"
        ) from None
    return LanguageModel(tokenizer, model.eval().requires_grad_(False))
