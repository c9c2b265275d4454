from __future__ import annotations

import functools
import threading
from typing import Annotated, Any

from pydantic import Field

from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.word_noise import noised, with_character

_loading = threading.Lock()


class Homophone(Method, Draws, family="augment", tasks={"text-classification"}):
    """Replace one character in some Chinese words by another common character with the same pronunciation.

    Use when: Chinese texts at prediction time are typed by pronunciation (pinyin), where most errors are of this kind. Requires pip
    install whet[text].
    Do not use when: texts are edited, or not Chinese, where this has no effect.
    Source: Liu et al. 2011, doi:10.1145/1967293.1967297, who find that three of four wrong characters sound alike.
    Deviates: all common characters of one pronunciation (GB 2312, level 1) are equally likely; each character has its most common
    reading.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    order = 60

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="fraction of the words with a homophone"), Search(0.02, 0.3)
    ] = 0.1
    same_tone: Annotated[bool, Field(description="require the same tone, which pinyin input does not need")] = False

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        of = homophones(self.same_tone)

        def with_homophone(word: str, where: float, which: float) -> str:
            positions = [position for position, character in enumerate(word) if character in of]
            if not positions:
                return word
            position = positions[int(where * len(positions))]
            others = of[word[position]]
            return with_character(word, position, others[int(which * len(others))])

        return noised(view, rng, self.prob, self.fraction, with_homophone)


def homophones(same_tone: bool) -> dict[str, str]:
    """Map each common character to its homophones among them, in the order of the standard."""
    with _loading:
        return _homophones(same_tone)


@functools.cache
def _homophones(same_tone: bool) -> dict[str, str]:
    pypinyin = _pypinyin()
    style = pypinyin.Style.TONE3 if same_tone else pypinyin.Style.NORMAL
    by_pinyin: dict[str, str] = {}
    for character in common_characters():
        pinyin = pypinyin.lazy_pinyin(character, style=style)[0]
        by_pinyin[pinyin] = by_pinyin.get(pinyin, "") + character
    return {one: alike.replace(one, "") for alike in by_pinyin.values() if len(alike) > 1 for one in alike}


def common_characters() -> str:
    """Return the 3,755 characters of GB 2312 level 1, rows 16 to 55 of its table."""
    codes = (bytes((row + 0xA0, cell + 0xA0)) for row in range(16, 56) for cell in range(1, 95))
    return b"".join(codes).decode("gb2312", errors="ignore")  # the last five cells are empty


def _pypinyin() -> Any:
    try:
        import pypinyin
    except ImportError as error:
        raise RecipeError(
            f"homophone: pypinyin cannot be imported ({error}); install it with pip install whet[text]"
        ) from None
    return pypinyin
