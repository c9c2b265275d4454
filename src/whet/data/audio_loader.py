"""The loader of audio clips: decodes, draws and renders them."""

from __future__ import annotations

import numpy as np

from whet.core.audio_view import AudioView
from whet.data.audio import UnreadableAudio
from whet.data.loader import Draw, Loader, Rendered, why
from whet.data.store import AudioStore
from whet.render.audio import AudioRenderer


class AudioLoader(Loader):
    """Renders the audio clips of a store as waves of `size` milliseconds. Longer clips are cropped to their centre, shorter ones
    are padded with silence at the end."""

    def __init__(self, store: AudioStore, threads: int) -> None:
        super().__init__(threads)
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    def _render(self, index_B: np.ndarray, size: int, draw: Draw) -> Rendered:
        waves: list[np.ndarray] = []
        kept, failed = [], []
        for index in index_B.tolist():
            try:
                waves.append(self._store.open(index % len(self)))
                kept.append(index)
            except (OSError, UnreadableAudio) as error:
                failed.append((index, why(error)))
        rate, index_B = self._store.rate, np.array(kept, dtype=np.int64)
        out_BT = np.zeros((len(waves), max(1, round(size * rate / 1000))), dtype=np.float32)
        if waves:
            view = draw(AudioView.whole([len(wave) for wave in waves], rate, out_BT.shape[1]), index_B)
            renderer = AudioRenderer(view)
            for i, wave in enumerate(waves):
                renderer.render(i, wave, out_BT[i])
        return Rendered(out_BT, index_B, tuple(failed))
