"""Noise within single words: shared by keyboard_typo, ocr_noise, char_swap, case_noise, homophone and similar_character."""

from __future__ import annotations

from collections.abc import Callable

from whet.core.rng import BatchRng
from whet.core.segment import Words
from whet.core.text_view import TextView

Change = Callable[[str, float, float], str]
"""Maps a word and two uniform draws to the word with one error, or to the unchanged word if no error is possible."""


def noised(view: TextView, rng: BatchRng, prob: float, fraction: float, change: Change) -> TextView:
    """Change each text with probability `prob`, and each of its words with probability `fraction`."""
    acts_B = rng.bernoulli(prob)
    unit_BL3 = view.per_word(rng, acts_B, 3)

    def rewrite(i: int, words: Words) -> Words:
        new = {}
        for place, (pick, first, second) in zip(words.places, unit_BL3[i].tolist()):
            if pick < fraction:
                token = words.tokens[place]
                changed = change(token, first, second)
                if changed != token:
                    new[place] = changed
        return words.replaced(new)

    return view.rewritten(acts_B, rewrite)


def with_character(word: str, place: int, character: str) -> str:
    """Replace the character at `place` by one or more characters."""
    return word[:place] + character + word[place + 1 :]
