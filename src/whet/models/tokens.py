"""Tokenizers: with a vocabulary from the user's own texts, or that of a published encoder."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from whet.core.errors import RunError, WeightsError
from whet.core.tokens import SpecialIds
from whet.models.hub_access import hub_is_reachable, is_local, library, load_checked

# Its own threads would gain little beside the loader's, and would warn after a fork; a value set by the user is kept.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

PAD, UNKNOWN, MASK = "[PAD]", "[UNK]", "[MASK]"
_FILE, _CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
MULTIPLE = 8
# Scripts without spaces between words.
_CHARACTERS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


class Tokens:
    """A tokenizer. `pad_id` pads short texts, `unknown_id` represents unknown tokens, `mask_id` tokens masked by a method."""

    def __init__(self, tokenizer: Tokenizer, pad: str, unknown: str, mask: str) -> None:
        """pad, unknown, mask: tokens of its vocabulary, which may be equal."""
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._names = {"pad_token": pad, "unk_token": unknown, "mask_token": mask}
        self.pad_id, self.unknown_id, self.mask_id = (_id(tokenizer, name) for name in (pad, unknown, mask))
        self._by_limit: dict[int, Tokenizer] = {}
        self._lock = threading.Lock()

    @classmethod
    def train(cls, texts: Iterable[str], size: int = 20_000, min_count: int = 1) -> Tokens:
        """Build a vocabulary from texts: [PAD] is 0, [UNK] 1, [MASK] 2, then the most frequent words, at most `size` tokens; words
        that occur less than `min_count` times are left out.

        Text is lower-cased and normalised (NFKC). It is split at white space; punctuation marks, and characters of scripts without
        spaces, are separate tokens. Subwords were tested and left out: they are no better on TREC-6, and the library's byte pair
        encoding is not deterministic.
        """
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.BertNormalizer(handle_chinese_chars=False, strip_accents=False)]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Split(Regex(_CHARACTERS), "isolated")]
        )
        trainer = trainers.WordLevelTrainer(
            vocab_size=size, min_frequency=min_count, special_tokens=[PAD, UNKNOWN, MASK], show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer, PAD, UNKNOWN, MASK)

    @classmethod
    def of_hub(cls, name: str) -> Tokens:
        """The tokenizer of a published encoder, from its folder or hub name. If it has no padding token, its end token is used; if
        it has no mask token, the unknown token."""
        transformers = library()
        offline = is_local(name) or not hub_is_reachable()
        theirs = load_checked(lambda: transformers.AutoTokenizer.from_pretrained(name, local_files_only=offline), name)
        if not theirs.is_fast:
            raise WeightsError(
                f"the tokenizer of '{name}' is not supported by the tokenizers library (it has no tokenizer.json)"
            )
        # transformers creates an empty tokenizer if it finds no file.
        if theirs.vocab_size <= len(theirs.all_special_tokens):
            raise WeightsError(f"'{name}' has no tokenizer; accepted: a folder or hub name with a tokenizer.json")
        pad = theirs.pad_token or theirs.eos_token
        unknown = theirs.unk_token or pad
        if pad is None:
            raise WeightsError(f"the tokenizer of '{name}' has no token for padding (pad_token, eos_token)")
        return cls(Tokenizer.from_str(theirs.backend_tokenizer.to_str()), pad, unknown, theirs.mask_token or unknown)

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and tokenizer_config.json in the format of transformers' AutoTokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        self._tokenizer.save(str(folder / _FILE))
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **self._names}
        (folder / _CONFIG_FILE).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Tokens:
        """Load a tokenizer written by `save`."""
        for name in (_FILE, _CONFIG_FILE):
            if not (folder / name).is_file():
                raise RunError(f"{folder} has no tokenizer: {name} is missing")
        config = json.loads((folder / _CONFIG_FILE).read_text(encoding="utf-8"))
        return cls(
            Tokenizer.from_file(str(folder / _FILE)), config["pad_token"], config["unk_token"], config["mask_token"]
        )

    def __len__(self) -> int:
        """The number of ids, which run from 0 to this number less one."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    @property
    def words(self) -> list[str]:
        """Every token by id; an empty string for special tokens."""
        words = [""] * len(self)
        for word, id_ in self._tokenizer.get_vocab(with_added_tokens=True).items():
            if word not in self._names.values():
                words[id_] = word
        return words

    def encode(self, texts: Sequence[str], max_tokens: int) -> np.ndarray:
        """Token ids, int64 (B, L): the first `max_tokens` of each text, with the special tokens of its encoder. L is the length of
        the longest text, rounded up to a multiple of eight; shorter texts are padded with `pad_id`. A text without tokens becomes
        one unknown token. Thread-safe."""
        ids = [found.ids or [self.unknown_id] for found in self._limited(max_tokens).encode_batch_fast(list(texts))]
        longest = max(map(len, ids), default=1)
        ids_BL = np.full((len(ids), min(-(-longest // MULTIPLE) * MULTIPLE, max_tokens)), self.pad_id, dtype=np.int64)
        for row, found in zip(ids_BL, ids):
            row[: len(found)] = found
        return ids_BL

    def spans(self, text: str, max_tokens: int) -> list[tuple[int, int]]:
        """The position in the text of each token of `encode`: its first character, and the one after its last. Special tokens are
        at (0, 0); a text without tokens has none."""
        return self._limited(max_tokens).encode(text).offsets

    def decode(self, ids: Sequence[int]) -> str:
        """The tokens of these ids, separated by spaces; masked tokens are shown, padding is left out."""
        return self._tokenizer.decode([id_ for id_ in ids if id_ != self.pad_id], skip_special_tokens=False)

    @property
    def special(self) -> SpecialIds:
        """The ids of the special tokens."""
        named = {self.pad_id, self.unknown_id, self.mask_id}
        added = self._tokenizer.get_added_tokens_decoder()
        frame = frozenset(id_ for id_, token in added.items() if token.special and id_ not in named)
        hides = self.mask_id if self.mask_id != self.unknown_id else None
        return SpecialIds(self.pad_id, self.unknown_id, hides, frame)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text, with the special tokens of its encoder."""
        return [len(found.ids) for found in self._tokenizer.encode_batch_fast(list(texts))]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self._tokenizer.to_str() == other._tokenizer.to_str()

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: Any) -> Tokens:
        return self  # it is immutable, and a lock cannot be copied

    def _limited(self, max_tokens: int) -> Tokenizer:
        """One tokenizer per limit, because the library stores the limit in the tokenizer, which threads share."""
        with self._lock:
            if max_tokens not in self._by_limit:
                tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
                tokenizer.enable_truncation(max_tokens)
                self._by_limit[max_tokens] = tokenizer
            return self._by_limit[max_tokens]


def _id(tokenizer: Tokenizer, name: str) -> int:
    found = tokenizer.token_to_id(name)
    if found is None:
        raise WeightsError(f"the tokenizer has no token '{name}'")
    return found
