"""Explains samples one by one, for all media."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from whet.data.loader import Loader
from whet.explain.audio import AudioHeat, explain_audio
from whet.explain.evidence import CannotExplain
from whet.explain.images import ImageHeat, explain_image
from whet.explain.texts import MOST_POINTS, WordHeat, explain_text
from whet.models.ensemble import Member
from whet.models.front import AudioFront, WaveFront

Explanation = ImageHeat | AudioHeat | WordHeat


def explain(
    members: Sequence[Member],
    loader: Loader,
    size: int,
    class_N: Sequence[int] | np.ndarray,
    *,
    most_points: int = MOST_POINTS,
    failed: Callable[[int, str], Any] = lambda index, reason: None,
) -> Iterator[tuple[int, Explanation]]:
    """Explain why this ensemble predicts the class in `class_N` for each sample of the loader; yields sample numbers and
    explanations.

    Samples are processed one at a time, so that the result does not depend on the other samples and little memory is needed. size:
    the sample size at prediction. most_points: maximum number of integration points for a text, and of occlusions for an image. A
    sample that cannot be read is passed to `failed`. Raises CannotExplain.
    """
    for batch in loader.batches([np.array([index]) for index in range(len(loader))], size):
        for index, reason in batch.failed:
            failed(index, reason)
        for index, content in zip(batch.index_B.tolist(), batch.content):
            yield index, _explain(members, content, size, int(class_N[index]), most_points)


def _explain(members: Sequence[Member], content: Any, size: int, k: int, most_points: int) -> Explanation:
    front = members[0].net.front
    if isinstance(content, str):
        return explain_text(members, content, size, k, most_points)
    if isinstance(front, WaveFront):
        raise CannotExplain(
            "the input of this network is the waveform, and a heat map needs a spectrogram; use a network with spectrogram input"
        )
    received = front.receive(content[None])
    if isinstance(front, AudioFront):
        return explain_audio(members, content, front.rate, received, front(received), k)
    return explain_image(members, content, front(received), k, most_points)
