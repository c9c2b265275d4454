"""The survey of audio clips: the input of their checks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whet.core.language import english, english_n
from whet.data.audio import UnreadableAudio, decode, resample
from whet.data.audit.audio.audio_print import HOP, audio_prints
from whet.data.audit.audio.near import LEAST, WAVE_RATE, WAVE_SECONDS, near_pairs
from whet.data.audit.finding import Finding
from whet.data.audit.pairs import Pairs
from whet.data.audit.survey import Survey
from whet.data.table import Table


@dataclass(frozen=True)
class AudioSurvey(Survey):
    """prints_N: the records of the table's rows (see `audio_print.AUDIO_PRINT`)."""

    prints_N: np.ndarray
    threads: int

    copied_by = english("at another level, re-encoded, shifted, or cut from each other")
    columns = {**Survey.columns, "start": None, "end": None, "fold": ""}

    @functools.cached_property
    def reason_N(self) -> list[str]:
        return [reason.decode() for reason in self.prints_N["reason"].tolist()]

    @functools.cached_property
    def near(self) -> Pairs:
        rows = self.first_rows()
        return near_pairs(self.prints_N[rows], lambda number: self._wave(int(rows[number])), self.threads).of_rows(rows)

    def _wave(self, row: int) -> np.ndarray:
        """The start of an audio clip, below 4 kHz; empty where the file can no longer be read."""
        sample = self.table.frame.iloc[row]
        start = float(np.nan_to_num(sample["start"]))
        end = start + WAVE_SECONDS if np.isnan(sample["end"]) else min(float(sample["end"]), start + WAVE_SECONDS)
        try:
            return resample(decode(Path(sample["path"]), WAVE_RATE // 2, start, end), WAVE_RATE // 2, WAVE_RATE)
        except (OSError, UnreadableAudio):
            return np.empty(0, np.float32)

    @property
    def extent_N(self) -> np.ndarray:
        """The duration in seconds."""
        return self.prints_N["seconds"].astype(float)

    def not_searched(self) -> list[Finding]:
        short = int((self.prints_N["frames"][self.row_R] < LEAST).sum())
        if not short:
            return []
        text = english_n(
            "{n} audio clip is under {least:.1f} s or silent: too short for the search for near-duplicates",
            "{n:,} audio clips are under {least:.1f} s or silent: too short for the search for near-duplicates",
            short, least=LEAST * HOP,
        )  # fmt: skip
        return [Finding(english("near-duplicates not searched"), "fact", text)]


def survey_audio(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> AudioSurvey:
    """Decode every audio clip once, or read its record from the cache; `advance` is called with the number of newly finished
    clips."""
    return AudioSurvey(table, audio_prints(table, threads, advance), threads)
