"""Audio clips to audit: short melodies of tones with an edge of noise, no two alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from whet.core.rng import Rng
from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.audit.audio.survey import survey_audio

RATE = 16_000


def melody(number: int, label: str = "a", seconds: float = 1.5, rate: int = RATE) -> np.ndarray:
    """Twelve notes, low ones of class a, high ones of class b; float32, peak 0.5."""
    rng = Rng(3).batch(f"melody {label}", 0, [number])
    pitch_12 = rng.uniform(*((200, 900) if label == "a" else (1000, 3000)), (12,))[0]
    loud_12 = rng.uniform(0.2, 1, (12,))[0]
    time_T = np.arange(round(seconds * rate)) / rate
    note_T = np.minimum((12 * time_T / seconds).astype(int), 11)
    phase_T = 2 * np.pi * np.cumsum(pitch_12[note_T]) / rate
    wave_T = loud_12[note_T] * (np.sin(phase_T) + 0.3 * np.sin(2 * phase_T))
    wave_T += 0.02 * rng.normal((len(time_T),))[0]
    return (0.5 * wave_T / np.abs(wave_T).max()).astype(np.float32)


def save(wave: np.ndarray, path: Path, rate: int = RATE, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, **options)
    return path


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """40 different melodies in two classes."""
    for number in range(40):
        label = "ab"[number % 2]
        save(melody(number, label), tmp_path / "audio" / label / f"{number}.wav")
    return tmp_path / "audio"


@pytest.fixture
def survey():
    """survey(path): what the checks look at."""
    return lambda path, **options: survey_audio(read_data(DataSpec(path=str(path), **options)), 2)
