"""The media that samples come in, and how each is loaded: the one place that knows them all."""

from __future__ import annotations

import pandas as pd

from whet.data.image_loader import Fit, ImageLoader
from whet.data.loader import Loader
from whet.data.store import Cache, SoundStore

USUAL_RATE = 16_000


def sound_store(frame: pd.DataFrame, rate: int, cache: Cache | None = None) -> SoundStore:
    """The sounds of a table's frame: `path`, and where present `digest`, `start` and `end`."""
    digests = frame["digest"] if "digest" in frame else [""] * len(frame)
    start, end = (frame[side].to_numpy(float) if side in frame else None for side in ("start", "end"))
    return SoundStore(frame["path"].tolist(), list(digests), rate, start, end, cache)


def loader_of(
    frame: pd.DataFrame, medium: str, threads: int, *, fit: Fit = "squash", rate: int | None = None
) -> Loader:
    """The samples of a table's frame (`path`, or `text`), as they are shown at prediction. fit: of pictures; rate: of sounds, in
    samples a second."""
    match medium:
        case "text":
            from whet.data.text_loader import TextLoader

            return TextLoader(frame["text"], frame.get("label"), threads)
        case "sound":
            from whet.data.sound_loader import SoundLoader

            return SoundLoader(sound_store(frame, rate or USUAL_RATE), threads)
        case _:
            return ImageLoader(frame["path"], threads, fit)
