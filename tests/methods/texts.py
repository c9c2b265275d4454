"""What the tests of the text methods share."""

from __future__ import annotations

import numpy as np

from whet.core.rng import Rng
from whet.core.segment import segmented
from whet.core.text_view import TextView
from whet.render.text import render_texts

WORDS = (
    "plastic",
    "bottle",
    "glass",
    "metal",
    "paper",
    "waste",
    "green",
    "happy",
    "large",
    "small",
    "quick",
    "simple",
    "clean",
)
ENGLISH = "The quick brown fox jumps over the lazy dog, and everyone (who saw it) was surprised! Then it left."
CHINESE = "我喜欢用Python写代码，真的非常好玩。你呢？我们一起去公园玩吧。"


def long_text(words: int, seed: int = 0) -> str:
    """A text of so many plain English words."""
    return " ".join(np.array(WORDS)[Rng(seed).batch("text", 0, np.arange(words)).integers(len(WORDS))])


def augmented(method, texts, labels=None, seed=0, epoch=0, indices=None, chinese="auto", copies=None) -> list[str]:
    """The texts as the method leaves them."""
    view = TextView.whole(texts, labels, chinese)
    indices = np.arange(len(texts)) if indices is None else np.asarray(indices)
    return render_texts(method.draw(view, Rng(seed).batch(method.name, epoch, indices, copies)))


def words_of(text: str, chinese="auto") -> list[str]:
    return segmented(text, chinese).words


def keeps_the_rules(
    cls, texts=(ENGLISH, CHINESE, "", " ", "!?", "one", "我", "two words", "emoji 😀 مرحبا"), **settings
):
    """What every text method keeps: off is absence; a sample's result hangs on itself alone; the same twice; texts that are
    not chosen are not touched; odd texts pass."""
    texts = list(texts)
    assert augmented(cls(**{**settings, **cls.identity}), texts) == texts
    always = cls(**{**settings, "prob": 1.0})
    whole = augmented(always, texts)
    assert whole == augmented(always, texts), "the same seed gives another result"
    for i in range(len(texts)):
        assert augmented(always, [texts[i]], indices=[i]) == [whole[i]], "the result depends on the batch"
    longer = augmented(always, [*texts, long_text(200)], indices=np.arange(len(texts) + 1))
    assert longer[:-1] == whole, "the result depends on how long the other texts are"
    many = [ENGLISH + " " + CHINESE] * 500
    changed = np.mean([a != b for a, b in zip(augmented(cls(**{**settings, "prob": 0.3}), many), many)])
    always_changed = np.mean([a != b for a, b in zip(augmented(always, many), many)])
    assert abs(changed - 0.3 * always_changed) < 0.08
    assert augmented(always, texts * 40, epoch=1) != augmented(always, texts * 40, epoch=0), "every epoch is the same"


def share_of_words_changed(method, texts=None, chinese="auto") -> float:
    """Over long texts, word by word; for methods that keep the number of words."""
    texts = [long_text(100, seed) for seed in range(200)] if texts is None else texts
    changed = []
    for before, after in zip(texts, augmented(method, texts, chinese=chinese)):
        old, new = words_of(before, chinese), words_of(after, chinese)
        assert len(old) == len(new)
        changed += [a != b for a, b in zip(old, new)]
    return float(np.mean(changed))
