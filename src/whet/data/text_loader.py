"""The loader of texts: draws and renders them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whet.core.text_view import TextView
from whet.data.loader import Draw, Loader, Rendered, plain
from whet.render.text import render_texts


class TextLoader(Loader):
    """Renders these texts. labels: their classes, for methods that use another text of the same class."""

    def __init__(self, texts: Sequence[str], labels: Sequence[int] | None, threads: int) -> None:
        super().__init__(threads)
        self._texts = list(texts)
        self._label_N = None if labels is None else np.asarray(labels, dtype=np.int64)
        self.lengths = np.array([len(text) for text in self._texts], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._texts)

    def _render(self, index_B: np.ndarray, size: int, draw: Draw) -> Rendered:
        row_B = index_B % len(self)
        texts = [self._texts[row] for row in row_B]
        if draw is plain:
            return Rendered(texts, index_B)
        view = TextView.whole(texts, None if self._label_N is None else self._label_N[row_B])
        return Rendered(render_texts(draw(view, index_B)), index_B)
