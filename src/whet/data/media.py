"""The loader of each medium."""

from __future__ import annotations

import pandas as pd

from whet.core.mask_task import MaskTask
from whet.core.task import Task
from whet.data.image_loader import Fit, ImageLoader, MasksBeside
from whet.data.loader import Loader
from whet.data.mask_store import MaskStore
from whet.data.store import AudioStore, Cache

USUAL_RATE = 16_000


def audio_store(frame: pd.DataFrame, rate: int, cache: Cache | None = None) -> AudioStore:
    """The store of the audio clips of a table's frame: `path`, and where present `digest`, `start` and `end`."""
    digests = frame["digest"] if "digest" in frame else [""] * len(frame)
    start, end = (frame[side].to_numpy(float) if side in frame else None for side in ("start", "end"))
    return AudioStore(frame["path"].tolist(), list(digests), rate, start, end, cache)


def masks_beside(frame: pd.DataFrame, task: Task | None, *, as_shown: bool) -> MasksBeside | None:
    """The masks of a table's frame as this task needs them, None where it has none or the task needs none."""
    if "masks" not in frame or not isinstance(task, MaskTask):
        return None
    return MasksBeside(MaskStore(frame["masks"], task.map_of), as_shown)


def loader_of(
    frame: pd.DataFrame, medium: str, threads: int, *, fit: Fit = "squash", rate: int | None = None,
    task: Task | None = None,
) -> Loader:  # fmt: skip
    """The loader of a table's frame (`path`, or `text`), as at prediction. fit: for images; rate: for audio clips, in samples per
    second. task: returns masks beside the images where it needs them."""
    match medium:
        case "text":
            from whet.data.text_loader import TextLoader

            return TextLoader(frame["text"], frame.get("label"), threads)
        case "audio":
            from whet.data.audio_loader import AudioLoader

            return AudioLoader(audio_store(frame, rate or USUAL_RATE), threads)
        case _:
            return ImageLoader(frame["path"], threads, fit, masks=masks_beside(frame, task, as_shown=False))
