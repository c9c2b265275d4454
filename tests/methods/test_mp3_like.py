import numpy as np
import pytest

from whet.core.audio_view import AudioCodec
from whet.methods import Mp3Like


def rounded(bits, audio, hear, wave):
    return hear(audio(wave).coded(AudioCodec("quantise", np.array([float(bits)]))), wave)


def test_the_lapped_transform_gives_back_what_it_was_given(audio, hear, hiss):
    wave = hiss()
    assert np.abs(rounded(20, audio, hear, wave) - wave).max() < 1e-4


def test_a_bit_more_is_six_decibels_less_noise(audio, hear, hiss):
    wave = hiss()
    snr = [
        10 * np.log10((wave**2).sum() / ((rounded(b, audio, hear, wave) - wave) ** 2).sum()) for b in (4, 5, 6, 7, 8)
    ]
    assert np.diff(snr).mean() == pytest.approx(6.02, abs=0.4)


def test_the_noise_stays_in_the_band_it_comes_from(audio, hear, tone):
    wave = tone(1000)
    noise = np.abs(np.fft.rfft(rounded(3, audio, hear, wave) - wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / 16000)
    assert noise[(hertz > 400) & (hertz < 1700)].sum() > 0.9 * noise.sum()


def test_highs_end_at_the_cutoff(draw_audio, hear, hiss):
    view = draw_audio(Mp3Like(prob=1.0, min_cutoff_fraction=0.5, min_bits=8), B=5)
    for i in range(5):
        cutoff = view.frequencies()[(view.response_BF[i] < -3).argmax()]
        power = np.abs(np.fft.rfft(hear(view, hiss(), i))) ** 2
        hertz = np.fft.rfftfreq(16000, 1 / 16000)
        assert 3900 < cutoff < 8000
        if cutoff < 7000:
            assert power[hertz > cutoff + 500].mean() < 1e-2 * power[hertz < cutoff - 500].mean()
