import numpy as np
import pytest
from scipy import stats

from whet.methods import TimeShift


def test_going_round_is_numpy_s_roll(audio, hear, hiss):
    wave = hiss()
    for shift in (-5000, -1, 0, 3, 12000):
        assert np.array_equal(hear(audio(wave).shifted(np.array([shift]), wrap=True), wave), np.roll(wave, shift))


def test_without_it_there_is_silence(audio, hear, hiss):
    wave = hiss()
    later = hear(audio(wave).shifted(np.array([400]), wrap=False), wave)
    assert not later[:400].any() and np.array_equal(later[400:], wave[:-400])
    sooner = hear(audio(wave).shifted(np.array([-400]), wrap=False), wave)
    assert not sooner[-400:].any() and np.array_equal(sooner[:-400], wave[400:])


def test_a_short_audio_goes_round_in_its_clip(audio, hear, hiss):
    wave = hiss(0.25)
    clip = np.pad(wave, (0, 12000))
    for shift in (2000, 14000, -1000):
        assert np.array_equal(
            hear(audio(wave, 16000).shifted(np.array([shift]), wrap=True), wave), np.roll(clip, shift)
        )


def test_of_a_longer_audio_another_part_is_heard(audio, hear, hiss):
    wave = hiss(2.0)
    assert np.array_equal(hear(audio(wave, 16000), wave), wave[8000:24000])  # the middle
    assert np.array_equal(hear(audio(wave, 16000).shifted(np.array([1000]), wrap=False), wave), wave[7000:23000])
    around = hear(audio(wave, 16000).shifted(np.array([-12000]), wrap=True), wave)
    assert np.array_equal(around, np.concatenate([wave[20000:], wave[:4000]]))


@pytest.mark.parametrize("wrap", [True, False])
def test_shifts_are_uniform(draw_audio, wrap):
    shift = -draw_audio(TimeShift(max_fraction=0.25, wrap=wrap)).start_B
    assert stats.kstest(shift, stats.uniform(-4000, 8000).cdf).pvalue > 0.001
