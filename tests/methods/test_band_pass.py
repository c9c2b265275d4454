import numpy as np
import pytest
from scipy import signal

from whet.methods import BandPass
from whet.methods.augment_audio.band_pass import passed


def test_it_is_the_power_response_of_scipy_s_butterworth_filters():
    hertz = np.linspace(50, 7900, 300)
    expected = np.zeros(300)
    for kind, corner in (("highpass", 300.0), ("lowpass", 4000.0)):
        _, response = signal.freqs(*signal.butter(4, corner, kind, analog=True), worN=hertz)
        expected += 20 * np.log10(np.abs(response))
    found = passed(hertz, np.array([300.0]), np.array([4000.0]))[0]
    assert np.allclose(found, np.maximum(-80, expected), atol=1e-6)


@pytest.mark.parametrize(("hertz", "decibels"), [(100, -30), (300, -3), (1000, 0), (4000, -3), (7000, -19.5)])
def test_tones_are_let_through_as_they_should(audio, hear, tone, hertz, decibels):
    wave, view = tone(hertz), audio(tone(hertz))
    out = hear(view.filtered(passed(view.frequencies(), np.array([300.0]), np.array([4000.0]))), wave)
    change = 20 * np.log10(out[3000:-3000].std() / wave[3000:-3000].std())
    assert change == pytest.approx(decibels, abs=1.0) or (decibels <= -30 and change < -25)


def test_it_delays_nothing(audio, hear, tone):
    wave, view = tone(1000), audio(tone(1000))
    out = hear(view.filtered(passed(view.frequencies(), np.array([100.0]), np.array([6000.0]))), wave)
    assert np.abs(out - wave)[1000:-1000].max() < 5e-3


def test_two_filters_are_one(audio, draw_audio):
    once = draw_audio(BandPass(prob=0.5), B=100)
    assert (once.response_BF != 0).any(axis=1).mean() == pytest.approx(0.5, abs=0.2)
    assert np.array_equal(once.filtered(once.response_BF).response_BF, 2 * once.response_BF)
