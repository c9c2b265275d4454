"""Opening the language models that contextual_substitution and back_translation ask, from a folder or by a hub name."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from whet.core.errors import WeightsError

Kind = Literal["AutoModelForMaskedLM", "AutoModelForSeq2SeqLM"]

_TRIED = ("seeded", "draws_apart", "inputs_kept", "shapes", "trains", "resumes", "finalizes", "commutes", "no_effect")
WITHOUT_MODELS = dict.fromkeys(_TRIED, "waits for models that a person names; its own test makes small ones")


@dataclass(frozen=True)
class Speaker:
    """A language model with its tokenizer, for one thread at a time."""

    tokenizer: Any
    model: Any
    lock: threading.Lock = field(default_factory=threading.Lock)


_opening = threading.Lock()


def speaker(method: str, kind: Kind, name: str) -> Speaker:
    """The model of this name, opened once in this process: safetensors only, never remote code."""
    with _opening:
        return _opened(method, kind, name)


@functools.cache
def _opened(method: str, kind: Kind, name: str) -> Speaker:
    import transformers

    options = {"local_files_only": Path(name).is_dir()}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
        model = getattr(transformers, kind).from_pretrained(name, use_safetensors=True, **options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(
            f"{method}: the model {name!r} cannot be opened ({reason[0]}); accepted: a folder that save_pretrained wrote with its "
            "tokenizer and safetensors weights, or a name on the hub (Marian's tokenizers need pip install sentencepiece)"
        ) from None
    return Speaker(tokenizer, model.eval().requires_grad_(False))
