"""The survey: the input of the checks of one medium. It holds the table, the record of every sample, and the near-duplicates."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from whet.core.language import english, english_n
from whet.data.audit.finding import Finding
from whet.data.audit.fingerprint import fingerprints
from whet.data.audit.near import near_pairs
from whet.data.audit.pairs import Pairs
from whet.data.split import components
from whet.data.table import Table

_BLOCK = 512  # thumbnails
LEAST_SIDE = 30  # pixels: below this size, different images can look the same


@dataclass(frozen=True)
class Survey(ABC):
    """Base class of the surveys. copied_by: how near-duplicates differ, in words. columns: columns that the cleaned table keeps
    where they are used, besides file or text, label and split; each with its default value."""

    table: Table

    copied_by: ClassVar[str]
    columns: ClassVar[dict[str, object]] = {"group": "", "weight": 1.0}

    @property
    @abstractmethod
    def near(self) -> Pairs:
        """Near-duplicate pairs by row. Of several rows with the same content, only the first is listed."""

    @property
    @abstractmethod
    def extent_N(self) -> np.ndarray:
        """The size of each sample; of several copies, the largest is kept."""

    @property
    def reason_N(self) -> list[str]:
        """Why each file cannot be read, "" for readable files."""
        return [""] * len(self.table)

    @functools.cached_property
    def row_R(self) -> np.ndarray:
        """The numbers of the readable rows."""
        return np.flatnonzero([not reason for reason in self.reason_N])

    @functools.cached_property
    def id_N(self) -> list[str]:
        return self.table.frame["id"].tolist()

    @functools.cached_property
    def split_N(self) -> np.ndarray:
        return self.table.frame["split"].to_numpy()

    @functools.cached_property
    def label_N(self) -> np.ndarray:
        return self.table.label_N

    @functools.cached_property
    def true_NK(self) -> np.ndarray:
        """The classes of each sample, bool."""
        return self.table.true_NK

    @functools.cached_property
    def content_N(self) -> np.ndarray:
        """A number for each distinct content."""
        return np.unique(self.table.frame["digest"].to_numpy().astype(str), return_inverse=True)[1]

    @functools.cached_property
    def unit_N(self) -> np.ndarray:
        """A number for each distinct sample: rows of the same content, and near-duplicates, share it."""
        links = np.stack([np.arange(len(self.table)), _first_of_each(self.content_N)[self.content_N]], axis=1)
        return components(len(self.table), np.concatenate([links, self.near.row_P2]))

    def first_rows(self) -> np.ndarray:
        """The first readable row of each distinct content."""
        return self.row_R[_first_of_each(self.table.frame["digest"].to_numpy()[self.row_R])]

    def not_searched(self) -> list[Finding]:
        """Findings about samples too small for the search for near-duplicates."""
        return []


@dataclass(frozen=True)
class ImageSurvey(Survey):
    """prints_N: the fingerprints of the table's rows (see `fingerprint.FINGERPRINT`)."""

    prints_N: np.ndarray
    threads: int

    copied_by = english("re-encoded, resized, mirrored or cropped, or photographed twice")

    @functools.cached_property
    def reason_N(self) -> list[str]:
        return [reason.decode() for reason in self.prints_N["reason"].tolist()]

    def of_readable(self, field: str) -> np.ndarray:
        """One field of the fingerprints of the readable rows, (R,). Reads no whole records, which include the thumbnails."""
        return self.prints_N[field][self.row_R]

    def of_thumbs(self, rows: np.ndarray, look: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The result of `look` for the thumbnails, (B, 48, 48, 3), of these rows (at least one), in blocks: all thumbnails as
        floats would take several GB."""
        blocks = np.split(rows, range(_BLOCK, len(rows), _BLOCK))
        return np.concatenate([look(self.prints_N["thumb"][block]) for block in blocks])

    @functools.cached_property
    def near(self) -> Pairs:
        rows = self.first_rows()
        rows = rows[np.minimum(self.prints_N["height"][rows], self.prints_N["width"][rows]) >= LEAST_SIDE]
        return near_pairs(self.prints_N["thumb"][rows], self.threads).of_rows(rows)

    @property
    def extent_N(self) -> np.ndarray:
        return self.prints_N["height"].astype(np.int64) * self.prints_N["width"]

    def not_searched(self) -> list[Finding]:
        small = int((np.minimum(self.prints_N["height"], self.prints_N["width"])[self.row_R] < LEAST_SIDE).sum())
        if not small:
            return []
        text = english_n(
            "{n} image is under {side} pixels a side: too small for the search for near-duplicates",
            "{n:,} images are under {side} pixels a side: too small for the search for near-duplicates",
            small, side=LEAST_SIDE,
        )  # fmt: skip
        return [Finding(english("near-duplicates not searched"), "fact", text)]


def _first_of_each(values: np.ndarray) -> np.ndarray:
    """The index of the first occurrence of each value, in the order of the values."""
    return np.unique(values.astype(str) if values.dtype == object else values, return_index=True)[1]


def survey_images(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> ImageSurvey:
    """Decode every image once, or read its record from the cache; `advance` is called with the number of newly finished images."""
    return ImageSurvey(table, fingerprints(table, threads, advance), threads)
