from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import is_word, segmented
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.language_model import WITHOUT_MODELS, LanguageModel, load_language_model
from whet.methods.augment_text.word_count import changes

Candidates = tuple[tuple[str, float], ...]
"""Candidate words for a position, each with its cumulative probability: 0 < … <= 1, ascending."""


class ContextualSubstitution(Method, Draws, family="augment", tasks={"text-classification"}):
    """Replace some words by predictions of a masked language model.

    Use when: a masked language model for the language and domain is available, and labelled texts are few.
    Do not use when: time is short (each text passes through the model `versions` times, once per run), or a single word can change
    the class. The model does not know the class ("good" may become "bad").
    Source: Kobayashi 2018, arXiv:1805.06201; with a masked language model as in Wu et al. 2019, arXiv:1812.06705.
    Deviates: the model is not conditioned on the class; all chosen words are masked at once; only whole words are inserted. The
    masked positions are drawn once per version of a text, so that predictions can be cached.
    Shapes: rewrites view.content_B, max(1, int(fraction * words)) words per text.
    """

    identity = {"prob": 0.0}
    exceptions = WITHOUT_MODELS
    order = 20

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[float, Field(gt=0, le=1, description="fraction of the words replaced"), Search(0.05, 0.4)] = (
        0.15
    )
    model: Annotated[
        str | None, Field(description="folder or Hub name of a masked language model (bert-base-uncased)")
    ] = None
    top: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="number of most probable words to sample from, in proportion to their probability",
        ),
    ] = 10
    versions: Annotated[
        int, Field(ge=1, le=100, description="number of sets of masked positions per text; one is drawn in each epoch")
    ] = 4

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        if self.model is None:
            raise RecipeError(
                "contextual_substitution.model must be given: a folder or Hub name of a masked language model, for example "
                "contextual_substitution: {model: bert-base-uncased}"
            )
        acts_B, version_B = rng.bernoulli(self.prob), rng.integers(self.versions)
        place_BLV = view.per_word(rng.lasting(), acts_B, self.versions)
        choice_BL = view.per_word(rng, acts_B, 1)[..., 0]
        content = list(view.content_B)
        for i in np.flatnonzero(acts_B):
            words = view.words_B[i]
            draws = place_BLV[i, :, version_B[i]].tolist()
            order = sorted(range(min(len(draws), len(words.places))), key=draws.__getitem__)
            hidden = sorted(words.places[k] for k in order[: changes(self.fraction, len(order))])
            if not hidden:
                continue
            candidates = _expected(self.model, self.top, words.tokens, words.gaps, tuple(hidden))
            new = {}
            for k, (place, found) in enumerate(zip(hidden, candidates)):
                for word, share in found:
                    if choice_BL[i, k] < share:
                        new[place] = word
                        break
            content[i] = words.replaced(new)
        return replace(view, content_B=tuple(content))


@lru_cache(maxsize=1 << 16)
def _expected(
    model: str, top: int, tokens: Sequence[str], gaps: Sequence[str], hidden: tuple[int, ...]
) -> tuple[Candidates, ...]:
    """Predict candidates for each masked position of a text and cache them.

    Each text is one batch, so that the result does not depend on other texts.
    """
    one = load_language_model("contextual_substitution", "AutoModelForMaskedLM", model)
    mask = one.tokenizer.mask_token
    if mask is None:
        raise RecipeError(f"contextual_substitution.model = {model!r}: its tokenizer has no mask token")
    pieces = [gaps[0]]
    for place, (token, gap) in enumerate(zip(tokens, gaps[1:])):
        pieces += (mask if place in hidden else token, gap)
    with one.lock:
        return _predicted(one, "".join(pieces), top, [tokens[place] for place in hidden])


def _predicted(one: LanguageModel, text: str, top: int, originals: list[str]) -> tuple[Candidates, ...]:
    import torch

    encoded = one.tokenizer(text, return_tensors="pt", truncation=True, max_length=_longest(one))
    places = (encoded["input_ids"][0] == one.tokenizer.mask_token_id).nonzero()[:, 0]
    if not 0 < len(places) <= len(originals):  # the text itself contains mask tokens
        return ()
    with torch.inference_mode():
        probs = one.model(**encoded).logits[0, places].float().softmax(dim=1)
    count = min(4 * top, probs.shape[1])  # some tokens are not whole words
    share, ids = probs.topk(count, dim=1)
    return tuple(
        _words(one, row_ids, row_share, top, original)
        for row_ids, row_share, original in zip(ids.tolist(), share.tolist(), originals)
    )


def _words(one: LanguageModel, ids: list[int], shares: list[float], top: int, original: str) -> Candidates:
    special = set(one.tokenizer.all_special_ids)
    found: dict[str, float] = {}
    for token, share in zip(ids, shares):
        word = one.tokenizer.decode([token]).strip()
        whole = token not in special and segmented(word).tokens == (word,) and is_word(word)
        if whole and word.lower() != original.lower() and len(found) < top:
            found.setdefault(word, share)
    total, below, ascending = sum(found.values()), 0.0, []
    for word, share in found.items():
        below += share / total
        ascending.append((word, below))
    return tuple(ascending[:-1]) + tuple((word, 1.0) for word, _ in ascending[-1:])


def _longest(one: LanguageModel) -> int:
    return min(one.tokenizer.model_max_length, getattr(one.model.config, "max_position_embeddings", 512))
