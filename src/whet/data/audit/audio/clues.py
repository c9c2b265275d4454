"""Metadata that may predict an audio clip's class without its content."""

from __future__ import annotations

import numpy as np

from whet.core.language import english
from whet.data.audit.audio.survey import AudioSurvey
from whet.data.audit.clue import SOURCES, Clue, name_patterns


def _duration(survey: AudioSurvey, rows: np.ndarray) -> np.ndarray:
    return np.log2(survey.prints_N["seconds"][rows].astype(float))[:, None]


def _file_size(survey: AudioSurvey, rows: np.ndarray) -> np.ndarray:
    return np.log2(survey.prints_N["bytes"][rows].astype(float))[:, None]


def _ends(survey: AudioSurvey, rows: np.ndarray) -> np.ndarray:
    """Seconds of silence at both ends, on a logarithmic scale."""
    prints = survey.prints_N[rows]
    return np.log2(0.01 + np.stack([prints["before"], prints["after"]], axis=1).astype(float))


def _level(survey: AudioSurvey, rows: np.ndarray) -> np.ndarray:
    prints = survey.prints_N[rows]
    return np.stack([prints["level"].astype(float), 20 * np.log10(prints["peak"].astype(float) + 1e-6)], axis=1)


def _header(survey: AudioSurvey, rows: np.ndarray) -> np.ndarray:
    prints = survey.prints_N[rows]
    fields = (prints[name].tolist() for name in ("rate", "channels", "format", "subtype"))
    return np.array([" ".join(map(str, words)) for words in zip(*fields)])


CLUES = (
    Clue(
        english("duration"),
        english("the durations alone"),
        english("part of any score may come from duration, a real property or how clips were cut"),
        _duration,
    ),
    Clue(
        english("file size"),
        english("the file sizes alone"),
        english("part of any score may come from duration and detail, or from how the files were saved"),
        _file_size,
    ),
    Clue(
        english("silence"),
        english("silences at the two ends alone"),
        english("part of any score may come from how the audio clips were cut"),
        _ends,
    ),
    Clue(
        english("level"),
        english("level and peak alone"),
        english("part of any score may come from loudness, a real property or how it was recorded"),
        _level,
    ),
    Clue(english("file header"), english("rate, channels and file format alone"), SOURCES, _header),
    Clue(english("name pattern"), english("the patterns of the file names alone"), SOURCES, name_patterns),
)
