import numpy as np
import pytest
from scipy import stats

from whet.methods import PitchShift


@pytest.mark.parametrize("semitones", [-4, -1, 2, 7])
def test_the_pitch_changes_and_the_duration_stays(audio, hear, tone, pitch, semitones):
    wave = np.pad(tone(800, 1.0), (0, 8000))
    out = hear(audio(wave).pitched(np.array([2 ** (semitones / 12)])), wave)
    loud = np.flatnonzero(np.convolve(np.abs(out), np.ones(200) / 200, "same") > 0.1)
    assert (loud[-1] - loud[0] + 1) / 16000 == pytest.approx(1, abs=0.03)
    assert pitch(out[2000:14000]) == pytest.approx(800 * 2 ** (semitones / 12), rel=2e-3)


def test_with_the_opposite_stretch_it_is_speed(audio, hear, hiss):
    """Higher at the same tempo, then as much faster: one resampling and no vocoder."""
    wave, factor = hiss(), np.array([1.25])
    both, speed = audio(wave).pitched(factor).stretched(factor), audio(wave).sped(factor)
    assert both.tempo_B == speed.tempo_B == 1
    assert np.array_equal(hear(both, wave), hear(speed, wave))


def test_semitones_are_uniform(draw_audio):
    view = draw_audio(PitchShift(max_semitones=3))
    assert np.allclose(view.step_B, 1)
    assert stats.kstest(12 * np.log2(view.resample_B), stats.uniform(-3, 6).cdf).pvalue > 0.001
