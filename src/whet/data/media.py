"""The media that samples come in, and how each is loaded: the one place that knows them all."""

from __future__ import annotations

import pandas as pd

from whet.data.image_loader import Fit, ImageLoader
from whet.data.loader import Loader


def loader_of(
    frame: pd.DataFrame, medium: str, threads: int, *, fit: Fit = "squash", rate: int | None = None
) -> Loader:
    """The samples of a table's frame (`path`, or `text`), as they are shown at prediction. fit: of pictures; rate: of sounds, in
    samples a second."""
    match medium:
        case "text":
            from whet.data.text_loader import TextLoader

            return TextLoader(frame["text"], frame.get("label"), threads)
        case _:
            return ImageLoader(frame["path"], threads, fit)
