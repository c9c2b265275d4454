import numpy as np
import pytest
from scipy import stats

from whet.methods import Gain


def test_decibels_are_measured_decibels(draw_audio, hear, tone):
    wave, view = tone(), draw_audio(Gain(max_db=12), B=50)
    for i in range(50):
        rise = 20 * np.log10(hear(view, wave, i).std() / wave.std())
        assert rise == pytest.approx(20 * np.log10(view.gain_B[i]), abs=1e-3)


def test_they_are_uniform(draw_audio):
    decibels = 20 * np.log10(draw_audio(Gain(max_db=9)).gain_B)
    assert stats.kstest(decibels, stats.uniform(-9, 18).cdf).pvalue > 0.001


def test_nothing_is_clipped(audio, hear, tone):
    assert hear(audio(tone()).amplified(np.array([10.0])), tone()).max() == pytest.approx(5, rel=1e-3)
