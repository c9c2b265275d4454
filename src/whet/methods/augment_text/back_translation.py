from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import Chinese, segmented
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.language_model import WITHOUT_MODELS, speaker
from whet.methods.augment_text.sentences import sentences


class BackTranslation(Method, Draws, family="augment", tasks={"text-classification"}):
    """Translate some texts into another language and back: the same said in other words.

    Use when: two translation models for the language are at hand and labelled texts are few; the meaning stays better than with
    changes of single words.
    Do not use when: time is short (each text is translated twice, once in a run), or texts are names and codes.
    Source: Sennrich et al. 2016, arXiv:1511.06709; for classification Yu et al. 2018, arXiv:1804.09541.
    Deviates: sentence by sentence and by beam search, so that a text always becomes the same `versions` texts, which are kept; a
    sentence too long for a model stays.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    exceptions = WITHOUT_MODELS
    order = 15

    prob: Annotated[float, Field(ge=0, le=1, description="share of texts translated"), Search(0.0, 1.0)] = 0.5
    there: Annotated[
        str | None,
        Field(description="a folder or hub name of a Marian model out of the language (Helsinki-NLP/opus-mt-en-de)"),
    ] = None
    back: Annotated[
        str | None,
        Field(description="a folder or hub name of a Marian model into the language (Helsinki-NLP/opus-mt-de-en)"),
    ] = None
    versions: Annotated[int, Field(ge=1, le=16, description="ways back that are kept; one is drawn an epoch")] = 2

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        if self.there is None or self.back is None:
            raise RecipeError(
                "back_translation.there and back_translation.back must be given: folders or hub names of two Marian models, as in "
                "back_translation: {there: Helsinki-NLP/opus-mt-en-de, back: Helsinki-NLP/opus-mt-de-en}"
            )
        acts_B, version_B = rng.bernoulli(self.prob), rng.integers(self.versions)
        new = {}
        for i in np.flatnonzero(acts_B):
            retold = _retold(self.there, self.back, self.versions, str(view.content_B[i]), view.chinese)
            new[int(i)] = retold[version_B[i]]
        return view.retold(new)


@lru_cache(maxsize=1 << 16)
def _retold(there: str, back: str, versions: int, text: str, chinese: Chinese) -> tuple[str, ...]:
    """A text's versions: its sentences retold, with the white space between them as it was."""
    words = segmented(text, chinese)
    pieces = [[words.gaps[0]] for _ in range(versions)]
    for part in sentences(words):
        tokens, gaps = words.tokens[part.start : part.stop], words.gaps[part.start + 1 : part.stop]
        sentence = tokens[0] + "".join(gap + token for gap, token in zip(gaps, tokens[1:]))
        for version, told in zip(pieces, _sentence(there, back, versions, sentence)):
            version += (told, words.gaps[part.stop])
    return tuple("".join(version) for version in pieces)


def _sentence(there: str, back: str, versions: int, sentence: str) -> list[str]:
    foreign = translated(there, sentence, 1)
    told = translated(back, foreign[0], versions) if foreign else []
    return [one or sentence for one in told] or [sentence] * versions


def translated(model: str, sentence: str, count: int) -> list[str]:
    """The best translations of a sentence by beam search; none where it is too long for the model."""
    import torch

    one = speaker("back_translation", "AutoModelForSeq2SeqLM", model)
    longest = min(one.tokenizer.model_max_length, getattr(one.model.config, "max_position_embeddings", 512))
    with one.lock, torch.inference_mode():
        given = one.tokenizer(sentence, return_tensors="pt")
        if given["input_ids"].shape[1] > longest:
            return []
        ids = one.model.generate(
            input_ids=given["input_ids"], attention_mask=given["attention_mask"], do_sample=False,
            num_beams=max(4, count), num_return_sequences=count, max_length=longest,
        )  # fmt: skip
        return [text.strip() for text in one.tokenizer.batch_decode(ids, skip_special_tokens=True)]
