from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.word_noise import noised, with_character

_ROWS = (
    ("qwertyuiop", 0.0),
    ("asdfghjkl", 0.25),
    ("zxcvbnm", 0.75),
)  # offset of each row to the right, in keys


def _neighbours() -> dict[str, str]:
    """Return the adjacent keys of each letter on a QWERTY keyboard."""
    at = {key: (x + shift, y) for y, (row, shift) in enumerate(_ROWS) for x, key in enumerate(row)}
    return {
        key: "".join(
            other for other, (u, v) in at.items()
            if other != key and abs(v - y) <= 1 and (abs(u - x) < 1 or (v == y and abs(u - x) == 1))
        )
        for key, (x, y) in at.items()
    }  # fmt: skip


NEIGHBOURS = _neighbours()


class KeyboardTypo(Method, Draws, family="augment", tasks={"text-classification"}):
    """Replace one letter in some words by an adjacent key of a QWERTY keyboard.

    Use when: texts at prediction time contain typing errors: chats, reviews, search queries.
    Do not use when: texts are edited, or not in Latin letters.
    Source: Belinkov & Bisk 2018, arXiv:1711.02173 (Key).
    Deviates: one letter changes in a fraction of the words; the paper changes one in every word.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    order = 64

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="fraction of the words with a typo"), Search(0.02, 0.3)
    ] = 0.1

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        return noised(view, rng, self.prob, self.fraction, mistyped) if self.prob else view


def mistyped(word: str, where: float, which: float) -> str:
    """Replace one letter by an adjacent key, in the same case."""
    places = [place for place, letter in enumerate(word) if letter.lower() in NEIGHBOURS]
    if not places:
        return word
    place = places[int(where * len(places))]
    near = NEIGHBOURS[word[place].lower()]
    key = near[int(which * len(near))]
    return with_character(word, place, key.upper() if word[place].isupper() else key)
