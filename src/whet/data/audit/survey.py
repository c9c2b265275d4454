"""What the checks of pictures look at: the table, what one look at every file saw, and which of them are one photo."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whet.data.audit.fingerprint import fingerprints
from whet.data.audit.near import Pairs, near_pairs
from whet.data.split import components
from whet.data.table import Table

LEAST_SIDE = 30  # pixels: two pictures smaller than this may be alike as a whole and yet be two


@dataclass(frozen=True)
class Survey:
    """prints_N: the fingerprints of the table's rows (see `fingerprint.FINGERPRINT`)."""

    table: Table
    prints_N: np.ndarray
    threads: int

    @functools.cached_property
    def reason_N(self) -> list[str]:
        """Why each file cannot be read, "" for those that can."""
        return [reason.decode() for reason in self.prints_N["reason"].tolist()]

    @functools.cached_property
    def row_R(self) -> np.ndarray:
        """The numbers of the rows that can be read."""
        return np.flatnonzero(self.prints_N["reason"] == b"")

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
    def near(self) -> Pairs:
        """Pictures of different content that are one photo, by row; of several with the same content the first stands for all."""
        rows = self.row_R[_first_of_each(self.table.frame["digest"].to_numpy()[self.row_R])]
        rows = rows[np.minimum(self.prints_N["height"][rows], self.prints_N["width"][rows]) >= LEAST_SIDE]
        pairs = near_pairs(self.prints_N["thumb"][rows], self.threads)
        return Pairs(rows[pairs.row_P2].reshape(-1, 2), pairs.likeness_P, pairs.mirrored_P)

    @functools.cached_property
    def content_N(self) -> np.ndarray:
        """A number for each content."""
        return np.unique(self.table.frame["digest"].to_numpy().astype(str), return_inverse=True)[1]

    @functools.cached_property
    def unit_N(self) -> np.ndarray:
        """A number for each photo: rows of the same content, and near-duplicates, bear the same."""
        links = np.stack([np.arange(len(self.table)), _first_of_each(self.content_N)[self.content_N]], axis=1)
        return components(len(self.table), np.concatenate([links, self.near.row_P2]))


def _first_of_each(values: np.ndarray) -> np.ndarray:
    """The place of the first of each value, in the order of the values."""
    return np.unique(values.astype(str) if values.dtype == object else values, return_index=True)[1]


def survey_images(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> Survey:
    """Look at every picture once, or take what is known of its content from the cache; `advance` is told how many are done."""
    return Survey(table, fingerprints(table, threads, advance), threads)
