"""Metadata and simple features that may predict an image's class without its content."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from whet.core.language import english
from whet.data.audit.clue import SOURCES, Clue, name_patterns
from whet.data.audit.fingerprint import THUMB
from whet.data.audit.survey import ImageSurvey

_CORNER, _CELL = THUMB // 8, 3  # four corners with an eighth of each side: 6 % of the area


def _corners(survey: ImageSurvey, rows: np.ndarray) -> np.ndarray:
    thumb_NHW3 = survey.prints_N["thumb"]
    ends = (slice(None, _CORNER), slice(-_CORNER, None))
    cells = [
        thumb_NHW3[rows, y, x]
        .astype(np.float32)
        .reshape(len(rows), _CORNER // _CELL, _CELL, _CORNER // _CELL, _CELL, 3)
        for y in ends
        for x in ends
    ]
    return np.concatenate([cell.mean(axis=(2, 4)).reshape(len(rows), -1) for cell in cells], axis=1)


def _mean_colour(survey: ImageSurvey, rows: np.ndarray) -> np.ndarray:
    return survey.of_thumbs(rows, lambda thumb: thumb.mean(axis=(1, 2), dtype=np.float32))


def _size(survey: ImageSurvey, rows: np.ndarray) -> np.ndarray:
    sides = [survey.prints_N[field][rows] for field in ("width", "height")]
    return np.log2(np.stack(sides, axis=1).astype(float))


def _file_size(survey: ImageSurvey, rows: np.ndarray) -> np.ndarray:
    return np.log2(survey.prints_N["bytes"][rows].astype(float))[:, None]


def _header(survey: ImageSurvey, rows: np.ndarray) -> np.ndarray:
    suffixes = [PurePosixPath(survey.id_N[row]).suffix.lower() for row in rows]
    fields = (survey.prints_N[field][rows].tolist() for field in ("format", "mode", "camera", "orientation"))
    return np.array([" ".join(map(str, word)) for word in zip(suffixes, *fields, strict=True)])


CLUES = (
    Clue(
        english("corners"),
        english("the four corners alone (6 % of the image)"),
        english("part of any score may come from the background"),
        _corners,
    ),
    Clue(
        english("mean colour"),
        english("the mean colours alone"),
        english(
            "part of any score may come from colour and light, of the object or of the place where it was photographed"
        ),
        _mean_colour,
    ),
    Clue(english("image size"), english("width and height alone"), SOURCES, _size),
    Clue(
        english("file size"),
        english("the file sizes alone"),
        english("the classes differ in detail or in how they were saved, and part of any score may come from that"),
        _file_size,
    ),
    Clue(english("file header"), english("file format, colour mode and camera alone"), SOURCES, _header),
    Clue(english("name pattern"), english("the patterns of the file names alone"), SOURCES, name_patterns),
)
