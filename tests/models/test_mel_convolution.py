import pytest
import torch
from tests.models.test_mel import SETTINGS, audio

from whet.models.mel import KALDI_MEL, YAMNET_MEL, LogMel
from whet.models.mel_convolution import LogMelByConvolution


@pytest.mark.parametrize("name", [*SETTINGS, "yamnet", "kaldi"])
def test_it_is_the_log_mel_of_the_fourier_transform(name):
    """At three lengths, and for a wave shorter than a window."""
    log_mel = LogMel({**SETTINGS, "yamnet": YAMNET_MEL, "kaldi": KALDI_MEL}[name])
    convolution, wave = LogMelByConvolution(log_mel), torch.from_numpy(audio(rate=log_mel.settings.rate))
    for length in (len(wave), 15_000, 8_192, log_mel.settings.window // 3):
        expected, found = (one(wave[None, :length]) for one in (log_mel, convolution))
        assert found.shape == expected.shape
        # Relative to the mel values themselves, whose logarithm this is; near the floor both are rounding errors of the transform.
        assert torch.allclose(found.exp(), expected.exp(), rtol=1e-4, atol=1e-5 * float(expected.exp().max()))
        assert (found - expected).abs().median() < 1e-5
