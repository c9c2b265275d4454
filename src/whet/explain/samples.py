"""Samples explained one by one, whatever their medium."""

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
    """Why these networks, together, see in each sample of the loader its class of `class_N`: sample numbers and explanations.

    One sample at a time, so that the answer does not depend on the company and little memory is taken. size: as the samples are
    shown at prediction. most_points: of the path that explains a text, and how often an image may be covered. A sample that
    cannot be read goes to `failed`. Raises CannotExplain.
    """
    for painted in loader.batches([np.array([index]) for index in range(len(loader))], size):
        for index, reason in painted.failed:
            failed(index, reason)
        for index, content in zip(painted.index_B.tolist(), painted.content):
            yield index, _explain(members, content, size, int(class_N[index]), most_points)


def _explain(members: Sequence[Member], content: Any, size: int, k: int, most_points: int) -> Explanation:
    front = members[0].net.front
    if isinstance(content, str):
        return explain_text(members, content, size, k, most_points)
    if isinstance(front, WaveFront):
        raise CannotExplain(
            "a network that hears waves has no places of a spectrogram to point at; accepted: one that hears spectrograms"
        )
    received = front.receive(content[None])
    if isinstance(front, AudioFront):
        return explain_audio(members, content, front.rate, received, front(received), k)
    return explain_image(members, content, front(received), k, most_points)
