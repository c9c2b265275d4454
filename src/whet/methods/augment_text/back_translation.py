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
from whet.methods.augment_text.language_model import WITHOUT_MODELS, load_language_model
from whet.methods.augment_text.sentences import sentences


class BackTranslation(Method, Draws, family="augment", tasks={"text-classification"}):
    """Translate some texts into another language and back to obtain paraphrases.

    Use when: two translation models for the language are available and labelled texts are few. The meaning is preserved better than
    with changes of single words.
    Do not use when: time is short (each text is translated twice, once per run), or texts are names and codes.
    Source: Sennrich et al. 2016, arXiv:1511.06709; for classification Yu et al. 2018, arXiv:1804.09541.
    Deviates: sentences are translated one by one with beam search, so that a text always gives the same `versions` texts, which are
    cached. Sentences too long for a model do not change.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    exceptions = WITHOUT_MODELS
    order = 15

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is translated"), Search(0.0, 1.0)] = (
        0.5
    )
    there: Annotated[
        str | None,
        Field(
            description="folder or Hub name of a Marian model from the language of the texts (Helsinki-NLP/opus-mt-en-de)"
        ),
    ] = None
    back: Annotated[
        str | None,
        Field(
            description="folder or Hub name of a Marian model into the language of the texts (Helsinki-NLP/opus-mt-de-en)"
        ),
    ] = None
    versions: Annotated[
        int, Field(ge=1, le=16, description="number of cached paraphrases per text; one is drawn in each epoch")
    ] = 2

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        if self.there is None or self.back is None:
            raise RecipeError(
                "back_translation.there and back_translation.back must be given: folders or Hub names of two Marian models, "
                "for example back_translation: {there: Helsinki-NLP/opus-mt-en-de, back: Helsinki-NLP/opus-mt-de-en}"
            )
        acts_B, version_B = rng.bernoulli(self.prob), rng.integers(self.versions)
        new = {}
        for i in np.flatnonzero(acts_B):
            paraphrases = _back_translated(self.there, self.back, self.versions, str(view.content_B[i]), view.chinese)
            new[int(i)] = paraphrases[version_B[i]]
        return view.with_texts(new)


@lru_cache(maxsize=1 << 16)
def _back_translated(there: str, back: str, versions: int, text: str, chinese: Chinese) -> tuple[str, ...]:
    """Return the paraphrases of a text. Sentences are translated; the white space between them does not change."""
    words = segmented(text, chinese)
    pieces = [[words.gaps[0]] for _ in range(versions)]
    for part in sentences(words):
        tokens, gaps = words.tokens[part.start : part.stop], words.gaps[part.start + 1 : part.stop]
        sentence = tokens[0] + "".join(gap + token for gap, token in zip(gaps, tokens[1:]))
        for version, paraphrase in zip(pieces, _sentence(there, back, versions, sentence)):
            version += (paraphrase, words.gaps[part.stop])
    return tuple("".join(version) for version in pieces)


def _sentence(there: str, back: str, versions: int, sentence: str) -> list[str]:
    foreign = translated(there, sentence, 1)
    paraphrases = translated(back, foreign[0], versions) if foreign else []
    return [one or sentence for one in paraphrases] or [sentence] * versions


def translated(model: str, sentence: str, count: int) -> list[str]:
    """Return the best translations of a sentence by beam search, or no translation if it is too long for the model."""
    import torch

    one = load_language_model("back_translation", "AutoModelForSeq2SeqLM", model)
    longest = min(one.tokenizer.model_max_length, getattr(one.model.config, "max_position_embeddings", 512))
    with one.lock, torch.inference_mode():
        encoded = one.tokenizer(sentence, return_tensors="pt")
        if encoded["input_ids"].shape[1] > longest:
            return []
        ids = one.model.generate(
            input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], do_sample=False,
            num_beams=max(4, count), num_return_sequences=count, max_length=longest,
        )  # fmt: skip
        return [text.strip() for text in one.tokenizer.batch_decode(ids, skip_special_tokens=True)]
