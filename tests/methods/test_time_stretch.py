import numpy as np
import pytest
from scipy import stats

from whet.methods import TimeStretch
from whet.render.audio import stretch


@pytest.mark.parametrize("factor", [0.8, 1.25, 1.6])
def test_the_duration_changes_and_the_pitch_stays(audio, hear, tone, pitch, factor):
    wave = tone(1000, 1.0)
    out = hear(audio(wave, 24000).stretched(np.array([factor])), wave)
    loud = np.flatnonzero(np.convolve(np.abs(out), np.ones(200) / 200, "same") > 0.1)
    assert (loud[-1] - loud[0] + 1) / 16000 == pytest.approx(1 / factor, abs=0.03)
    assert pitch(out[loud[0] + 800 : loud[-1] - 800]) == pytest.approx(1000, abs=2)
    inside = out[2000 : loud[-1] - 2000]
    assert np.sqrt(2) * inside.std() == pytest.approx(0.5, rel=0.15)  # a vocoder's bins drift apart a little


def test_it_is_the_phase_vocoder_in_its_usual_form(hiss):
    """Angles, unwrapped and added up in float64, against products of unit numbers in float32."""
    wave, factor, window = hiss(0.5), 1.23, 1024
    hop, hann = window // 4, 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(wave.astype(np.float64), (window // 2, window + hop))
    count = 1 + -(-len(wave) // hop)
    D = np.stack([np.fft.rfft(padded[hop * k : hop * k + window] * hann) for k in range(count)])
    advance = 2 * np.pi * hop * np.arange(window // 2 + 1) / window
    phase, frames = np.angle(D[0]), []
    for place in np.arange(0, count, factor):
        k, share = int(place), place - int(place)
        after = min(k + 1, count - 1)
        frames.append(np.fft.irfft(((1 - share) * abs(D[k]) + share * abs(D[after])) * np.exp(1j * phase)) * hann)
        change = np.angle(D[after]) - np.angle(D[k]) - advance
        phase = phase + advance + change - 2 * np.pi * np.round(change / (2 * np.pi))
    out, weight = np.zeros(hop * len(frames) + window), np.zeros(hop * len(frames) + window)
    for j, frame in enumerate(frames):
        out[hop * j : hop * j + window] += frame
        weight[hop * j : hop * j + window] += hann**2
    expected = (out / np.maximum(weight, 1e-3))[window // 2 :][: round(len(wave) / factor)]
    assert np.abs(stretch(wave, factor, window) - expected)[300:-700].max() < 2e-4


def test_factors_are_log_uniform(draw_audio):
    factor = np.log(draw_audio(TimeStretch(max_factor=1.5)).tempo_B)
    assert stats.kstest(factor, stats.uniform(-np.log(1.5), 2 * np.log(1.5)).cdf).pvalue > 0.001


def test_of_a_longer_audio_the_middle_stays_in_the_middle(audio, hear):
    click = np.zeros(64000, dtype=np.float32)
    click[31900:32100] = 1
    for factor in (0.7, 1.4):
        out = hear(audio(click, 16000).stretched(np.array([factor])), click)
        assert abs((np.arange(16000) * out**2).sum() / (out**2).sum() - 8000) < 400
