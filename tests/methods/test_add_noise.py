import numpy as np
import pytest
from scipy import stats

from whet.core.audio_view import AudioNoise
from whet.core.errors import RecipeError
from whet.core.recipe import parse_method
from whet.methods import AddNoise

KEYS = np.arange(3) + 1000


@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
@pytest.mark.parametrize("snr", [0, 12, 30])
def test_the_ratio_is_the_one_asked_for(audio, hear, tone, colour, snr):
    wave = tone()
    added = hear(audio(wave).noised(AudioNoise(colour, np.array([float(snr)]), np.array([7]))), wave) - wave
    assert 10 * np.log10((wave**2).mean() / (added**2).mean()) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize(("colour", "slope"), [("white", 0), ("pink", -3.01), ("brown", -6.02)])
def test_the_colour_falls_so_many_decibels_an_octave(audio, hear, tone, colour, slope):
    wave = tone(seconds=8.0)
    added = hear(audio(wave).noised(AudioNoise(colour, np.array([0.0]), np.array([3]))), wave) - wave
    power = np.abs(np.fft.rfft(added)) ** 2
    hertz = np.fft.rfftfreq(len(added), 1 / 16000)
    octaves = [10 * np.log10(power[(hertz >= f) & (hertz < 2 * f)].mean()) for f in (125, 250, 500, 1000, 2000)]
    assert np.polyfit(range(5), octaves, 1)[0] == pytest.approx(slope, abs=0.3)


def test_white_noise_is_normal_and_knows_nothing_of_itself(audio, hear, tone):
    wave = tone(seconds=4.0)
    added = hear(audio(wave).noised(AudioNoise("white", np.array([0.0]), np.array([9]))), wave) - wave
    assert stats.kurtosis(added) == pytest.approx(0, abs=0.1)
    assert abs(np.corrcoef(added[1:], added[:-1])[0, 1]) < 0.02


def test_padding_is_no_part_of_the_level(audio, hear, tone):
    wave = tone(seconds=0.25)
    clean = np.pad(wave, (0, 12000))
    added = hear(audio(wave, 16000).noised(AudioNoise("white", np.array([10.0]), np.array([7]))), wave) - clean
    assert 10 * np.log10((wave**2).mean() / (added**2).mean()) == pytest.approx(10, abs=0.1)


def test_silence_stays_silent_and_samples_differ(audio, hear, tone):
    noise = AudioNoise("white", np.array([10.0]), np.array([7]))
    assert not hear(audio(np.zeros(800, np.float32)).noised(noise), np.zeros(800, np.float32)).any()
    other = AudioNoise("white", np.array([10.0]), np.array([8]))
    assert (hear(audio(tone()).noised(noise), tone()) != hear(audio(tone()).noised(other), tone())).mean() > 0.9


def test_ratios_are_uniform_for_a_share_of_the_audio(draw_audio):
    snr = draw_audio(AddNoise(prob=0.4, min_snr_db=0, max_snr_db=20)).noises[0].snr_db_B
    assert np.isfinite(snr).mean() == pytest.approx(0.4, abs=0.03)
    assert stats.kstest(snr[np.isfinite(snr)], stats.uniform(0, 20).cdf).pvalue > 0.001
    with pytest.raises(RecipeError, match=r"min_snr_db 30.0 must not be above max_snr_db 10.0"):
        parse_method({"add_noise": {"min_snr_db": 30, "max_snr_db": 10}})


def test_the_same_ratio_as_audiomentations(audio, hear, tone):
    A = pytest.importorskip("audiomentations")
    wave = tone()
    theirs = A.AddGaussianSNR(min_snr_db=15, max_snr_db=15, p=1)(wave, 16000) - wave
    ours = hear(audio(wave).noised(AudioNoise("white", np.array([15.0]), np.array([7]))), wave) - wave
    assert 20 * np.log10(ours.std() / theirs.std()) == pytest.approx(0, abs=0.1)
