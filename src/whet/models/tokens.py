"""From texts to token ids and back to a folder: tokens learnt from a person's own texts, or those a published encoder wants."""

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
from whet.models.hub_access import ask, hub_answers, is_local, library

# Its own threads would gain little beside the loader's, and would warn after a fork; whoever sets it is obeyed.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

PAD, UNKNOWN, MASK = "[PAD]", "[UNK]", "[MASK]"
_FILE, _CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
_MULTIPLE = 8
# Scripts without spaces between words.
_CHARACTERS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


class Tokens:
    """A tokenizer. `pad_id` fills up short texts, `unknown_id` stands for what it never saw, `mask_id` for what a method hides."""

    def __init__(self, tokenizer: Tokenizer, pad: str, unknown: str, mask: str) -> None:
        """pad, unknown, mask: tokens of its vocabulary; two of them may be the same one."""
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._names = {"pad_token": pad, "unk_token": unknown, "mask_token": mask}
        self.pad_id, self.unknown_id, self.mask_id = (_id(tokenizer, name) for name in (pad, unknown, mask))
        self._by_limit: dict[int, Tokenizer] = {}
        self._lock = threading.Lock()

    @classmethod
    def train(cls, texts: Iterable[str], size: int = 20_000, min_count: int = 1) -> Tokens:
        """Learn a vocabulary from texts: [PAD] is 0, [UNK] 1, [MASK] 2, then the most frequent words, `size` tokens at most; a word
        that occurs less than `min_count` times gets none.

        Letters are made small and full-width forms plain (NFKC); words lie between white space, punctuation marks stand
        alone, and so does every character of a script without spaces. Pieces of words were tried and left out: no better
        on TREC-6, and the library's byte pair encoding gives other pieces from the same texts each time.
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
        """The tokenizer of a published encoder, from its folder or hub name. Where it lacks a token for padding, its end mark fills
        up; where it lacks one for hiding, the unknown one hides."""
        transformers = library()
        offline = is_local(name) or not hub_answers()
        theirs = ask(lambda: transformers.AutoTokenizer.from_pretrained(name, local_files_only=offline), name)
        if not theirs.is_fast:
            raise WeightsError(
                f"the tokenizer of '{name}' is none of the library tokenizers (it has no tokenizer.json)"
            )
        # transformers makes an empty one where it finds no file.
        if theirs.vocab_size <= len(theirs.all_special_tokens):
            raise WeightsError(f"'{name}' holds no tokenizer; accepted: a folder or hub name with a tokenizer.json")
        pad = theirs.pad_token or theirs.eos_token
        unknown = theirs.unk_token or pad
        if pad is None:
            raise WeightsError(
                f"the tokenizer of '{name}' has no token to fill up short texts with (pad_token, eos_token)"
            )
        return cls(Tokenizer.from_str(theirs.backend_tokenizer.to_str()), pad, unknown, theirs.mask_token or unknown)

    def save(self, folder: Path) -> None:
        """tokenizer.json and tokenizer_config.json, as transformers' AutoTokenizer reads them."""
        folder.mkdir(parents=True, exist_ok=True)
        self._tokenizer.save(str(folder / _FILE))
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **self._names}
        (folder / _CONFIG_FILE).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Tokens:
        """The tokens `save` wrote."""
        for name in (_FILE, _CONFIG_FILE):
            if not (folder / name).is_file():
                raise RunError(f"{folder} holds no tokenizer: {name} is missing")
        config = json.loads((folder / _CONFIG_FILE).read_text(encoding="utf-8"))
        return cls(
            Tokenizer.from_file(str(folder / _FILE)), config["pad_token"], config["unk_token"], config["mask_token"]
        )

    def __len__(self) -> int:
        """How many ids there are: they run from 0 to this, less one."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    @property
    def words(self) -> list[str]:
        """Every token by its id, as it is written; an empty one for the marks that stand for no part of a text."""
        words = [""] * len(self)
        for word, id_ in self._tokenizer.get_vocab(with_added_tokens=True).items():
            if word not in self._names.values():
                words[id_] = word
        return words

    def encode(self, texts: Sequence[str], max_tokens: int) -> np.ndarray:
        """Token ids, int64 (B, L): the first `max_tokens` of each text, with the marks its encoder wants around them. L is the
        longest of these texts, up to a multiple of eight; shorter ones are filled with `pad_id`. A text without a single token
        becomes one unknown token. Any number of threads may ask at once."""
        ids = [found.ids or [self.unknown_id] for found in self._limited(max_tokens).encode_batch_fast(list(texts))]
        longest = max(map(len, ids), default=1)
        ids_BL = np.full((len(ids), min(-(-longest // _MULTIPLE) * _MULTIPLE, max_tokens)), self.pad_id, dtype=np.int64)
        for row, found in zip(ids_BL, ids):
            row[: len(found)] = found
        return ids_BL

    def spans(self, text: str, max_tokens: int) -> list[tuple[int, int]]:
        """Where each token that `encode` gives of this text stands in it: its first character, and the one after its last. A mark
        around the text stands at (0, 0); a text without a single token has none."""
        return self._limited(max_tokens).encode(text).offsets

    def decode(self, ids: Sequence[int]) -> str:
        """The tokens of these ids, a blank between them; what is hidden is shown as such, padding is left out."""
        return self._tokenizer.decode([id_ for id_ in ids if id_ != self.pad_id], skip_special_tokens=False)

    @property
    def special(self) -> SpecialIds:
        """The ids that stand for no part of a text."""
        named = {self.pad_id, self.unknown_id, self.mask_id}
        added = self._tokenizer.get_added_tokens_decoder()
        frame = frozenset(id_ for id_, token in added.items() if token.special and id_ not in named)
        hides = self.mask_id if self.mask_id != self.unknown_id else None
        return SpecialIds(self.pad_id, self.unknown_id, hides, frame)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, with the marks its encoder wants around them."""
        return [len(found.ids) for found in self._tokenizer.encode_batch_fast(list(texts))]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self._tokenizer.to_str() == other._tokenizer.to_str()

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: Any) -> Tokens:
        return self  # nothing of it ever changes, and a lock has no copy

    def _limited(self, max_tokens: int) -> Tokenizer:
        """One tokenizer for each limit, because the library keeps the limit inside and a thread must not change it for another."""
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
