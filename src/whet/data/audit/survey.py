"""What the checks of one medium look at: the table, what one look at every sample saw, and which samples are one thing."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from whet.data.audit.finding import Finding, counted
from whet.data.audit.fingerprint import fingerprints
from whet.data.audit.near import near_pairs
from whet.data.audit.pairs import Pairs
from whet.data.split import components
from whet.data.table import Table

_BLOCK = 512  # thumbnails
LEAST_SIDE = 30  # pixels: two images smaller than this may be alike as a whole and yet be two


@dataclass(frozen=True)
class Survey(ABC):
    """Base of all. copied_by: how one becomes nearly another, in words. columns: of the frame, beyond file or text, label and
    split, that the cleaned table keeps where they say something; each with the value that says nothing."""

    table: Table

    copied_by: ClassVar[str]
    columns: ClassVar[dict[str, object]] = {"group": "", "weight": 1.0}

    @property
    @abstractmethod
    def near(self) -> Pairs:
        """Samples of different content that are one thing, by row; of several with the same content the first stands for all."""

    @property
    @abstractmethod
    def extent_N(self) -> np.ndarray:
        """How much there is of each sample: of several copies the one with the most stays."""

    @property
    def reason_N(self) -> list[str]:
        """Why each file cannot be read, "" for those that can."""
        return [""] * len(self.table)

    @functools.cached_property
    def row_R(self) -> np.ndarray:
        """The numbers of the rows that can be read."""
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
        """Which classes each sample has, bool."""
        return self.table.true_NK

    @functools.cached_property
    def content_N(self) -> np.ndarray:
        """A number for each content."""
        return np.unique(self.table.frame["digest"].to_numpy().astype(str), return_inverse=True)[1]

    @functools.cached_property
    def unit_N(self) -> np.ndarray:
        """A number for each thing: rows of the same content, and near-duplicates, bear the same."""
        links = np.stack([np.arange(len(self.table)), _first_of_each(self.content_N)[self.content_N]], axis=1)
        return components(len(self.table), np.concatenate([links, self.near.row_P2]))

    def first_rows(self) -> np.ndarray:
        """Of the readable rows the first of each content."""
        return self.row_R[_first_of_each(self.table.frame["digest"].to_numpy()[self.row_R])]

    def not_searched(self) -> list[Finding]:
        """What was too small to be searched for near-duplicates."""
        return []


@dataclass(frozen=True)
class ImageSurvey(Survey):
    """prints_N: the fingerprints of the table's rows (see `fingerprint.FINGERPRINT`)."""

    prints_N: np.ndarray
    threads: int

    copied_by = "encoded anew, resized, mirrored or cropped, or taken twice"

    @functools.cached_property
    def reason_N(self) -> list[str]:
        return [reason.decode() for reason in self.prints_N["reason"].tolist()]

    def of_readable(self, field: str) -> np.ndarray:
        """One field of the fingerprints that are there, (R,): never whole records, which hold the thumbnails."""
        return self.prints_N[field][self.row_R]

    def of_thumbs(self, rows: np.ndarray, look: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What `look` makes of the thumbnails, (B, 48, 48, 3), of these rows (at least one), some at a time: as floating-point
        numbers all of them would be some GB."""
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
        text = (
            f"{counted(small, 'image')} under {LEAST_SIDE} pixels a side: too small to be searched for near-duplicates"
        )
        return [Finding("near-duplicates not searched", "fact", text)]


def _first_of_each(values: np.ndarray) -> np.ndarray:
    """The place of the first of each value, in the order of the values."""
    return np.unique(values.astype(str) if values.dtype == object else values, return_index=True)[1]


def survey_images(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> ImageSurvey:
    """Look at every image once, or take what is known of its content from the cache; `advance` is told how many are done."""
    return ImageSurvey(table, fingerprints(table, threads, advance), threads)
