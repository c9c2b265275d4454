import numpy as np
import pytest
import soxr

from whet.methods import Speed, TimeStretch


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.37])
def test_it_changes_duration_and_pitch_alike(audio, hear, tone, pitch, factor):
    wave = tone(1000, 1.0)
    out = hear(audio(wave, 24000).sped(np.array([factor])), wave)
    loud = np.flatnonzero(np.abs(out) > 0.1)
    assert (loud[-1] - loud[0] + 1) / 16000 == pytest.approx(1 / factor, abs=0.002)
    assert pitch(out[loud[0] : loud[-1]]) == pytest.approx(1000 * factor, rel=1e-3)


def test_it_is_soxr_s_resampling(audio, hear, hiss):
    wave = hiss()
    out = hear(audio(wave, 14545).sped(np.array([1.1])), wave)
    assert np.abs(out[100:-100] - soxr.resample(wave, 17600.0, 16000.0)[100:14445]).max() < 1e-6


def test_two_of_them_are_one_resampling(audio, hear, hiss):
    wave = hiss()
    view = audio(wave, 8000)
    twice = view.sped(np.array([1.25])).sped(np.array([0.8]))
    assert twice.resample_B == pytest.approx(1)
    assert np.abs(hear(twice, wave) - hear(view, wave)).max() < 1e-6 or twice.resample_B != 1


def test_the_factor_stays_in_its_range_and_is_no_tempo(draw_audio):
    view = draw_audio(Speed(max_factor=1.2))
    assert 1 / 1.2 <= view.resample_B.min() < 0.85 and 1.18 < view.resample_B.max() <= 1.2
    assert (view.tempo_B == 1).all()
    assert (draw_audio(TimeStretch()).resample_B == 1).all()
