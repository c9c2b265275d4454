from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.text_view import TextView


class TextMerge(Method, Draws, family="augment", tasks={"text-classification"}):
    """Append another text of the same class and batch to some texts.

    Use when: classes have few samples and texts are short. A small class then gives many pairs.
    Do not use when: texts already fill the maximum length of the network, or samples have several classes.
    Source: Kondo et al. 2021, arXiv:2104.08478, who concatenate sentences of parallel texts.
    Deviates: texts of one class are concatenated for classification. If the batch contains no other text of the class, the text
    does not change.
    Shapes: rewrites view.content_B, based on view.label_B int (B,). Labels below 0 mean no label.
    """

    identity = {"prob": 0.0}
    order = 10  # first: the appended text is the original one

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that another text is appended"), Search(0.0, 0.5)
    ] = 0.2

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0 or view.label_B is None:
            return view
        acts_B, key_B = rng.bernoulli(self.prob), rng.uniform()
        partner_B = partners(np.asarray(view.label_B), key_B, rng.copy_B)
        words_B, content = view.words_B, list(view.content_B)
        for i in np.flatnonzero(acts_B & (partner_B >= 0)):
            content[i] = words_B[i].followed_by(words_B[partner_B[i]])
        return replace(view, content_B=tuple(content))


def partners(label_B: np.ndarray, key_B: np.ndarray, copy_B: np.ndarray) -> np.ndarray:
    """Return for each sample the index of another sample of the same class, or -1 if there is none.

    The partner is the next sample in the random cyclic order given by the keys. Copies are grouped by copy number, so all copies
    of a sample get the same partner.
    """
    order = np.lexsort((key_B, copy_B, label_B))
    group = np.stack([label_B, copy_B], axis=1)[order]
    first = np.r_[True, (group[1:] != group[:-1]).any(axis=1)]
    begin = np.flatnonzero(first)
    size = np.diff(np.r_[begin, len(order)])
    place = np.arange(len(order)) - np.repeat(begin, size)
    following = np.repeat(begin, size) + (place + 1) % np.repeat(size, size)
    partner_B = np.empty(len(order), dtype=np.int64)
    partner_B[order] = np.where(np.repeat(size, size) > 1, order[following], -1)
    return np.where(label_B >= 0, partner_B, -1)
