from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from whet.core.rng import Rng
from whet.models.mel import YAMNET_MEL, LogMel, MelSettings, mel_bands, to_hertz, to_mel

RATE = 16000


def audio(seconds=2.0, rate=RATE):
    """A chirp in noise, float32."""
    T = int(seconds * rate)
    noise = Rng(0).batch("sound", 0, np.arange(1)).normal((T,))[0]
    chirp = np.sin(np.cumsum(np.linspace(0.01, 2.5, T)))
    return (0.3 * chirp + 0.05 * noise).astype(np.float32)


SETTINGS = {
    "slaney": MelSettings(),
    "htk": MelSettings(scale="htk", norm=None, mels=40, low=0.0, power=1.0, floored="least"),
    "short window": MelSettings(n_fft=512, window=400, hop=160, mels=80, low=50.0, high=7600.0),
    "not centred": MelSettings(n_fft=512, window=512, hop=128, centred=False, floor=1e-10, floored="least"),
    "8 kHz": MelSettings().at_rate(8000),
    "22 kHz": MelSettings(rate=22050, n_fft=2048, window=2048, hop=512, mels=128, low=0.0, high=11025.0),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_is_librosa_s_mel_and_log_mel(name):
    librosa = pytest.importorskip("librosa")
    s = SETTINGS[name]
    wave = audio(rate=s.rate)
    reference = librosa.feature.melspectrogram(
        y=wave, sr=s.rate, n_fft=s.n_fft, win_length=s.window, hop_length=s.hop, n_mels=s.mels, fmin=s.low, fmax=s.high,
        htk=s.scale == "htk", norm=s.norm, power=s.power, center=s.centred,
    ).T  # fmt: skip
    log_mel = LogMel(s)
    mel = log_mel.mel(torch.from_numpy(wave)[None])[0].numpy()
    assert mel.shape == reference.shape == (s.frames(len(wave)), s.mels)
    assert np.abs(mel - reference).max() <= 1e-4 * max(1, reference.max())
    logs = np.log(reference + s.floor) if s.floored == "add" else np.log(np.maximum(reference, s.floor))
    assert np.abs(log_mel(torch.from_numpy(wave)[None])[0, 0].numpy() - logs).max() < 1e-4


def test_reference_numbers():
    """librosa 0.11's own numbers, for where it is not installed: log(mel + 1e-6) of the audio clip above."""
    logs = LogMel(MelSettings())(torch.from_numpy(audio())[None])[0, 0]
    assert logs.shape == (101, 64)
    expected = [
        [3.750237, -3.340113, -4.087358, -4.070489], [-2.157313, -2.743417, -2.588453, -2.807177],
        [-3.699243, -3.550413, -2.305201, -2.692707], [-2.526992, -2.92751, -3.299934, -2.522012],
        [-3.029477, -5.358422, -4.174835, -3.011517],
    ]  # fmt: skip
    assert torch.allclose(logs[[0, 20, 50, 80, 100]][:, [0, 10, 30, 63]], torch.tensor(expected), atol=1e-4)


def test_yamnet_s_front_end_is_the_published_formula():
    """tensorflow/models' features.py, step by step in float64: frames of 400 from the first sample on, |FFT 512|, triangles that
    are straight over mel, log(mel + 0.001)."""
    wave = audio()
    frames = np.lib.stride_tricks.sliding_window_view(wave.astype(np.float64), 400)[::160]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitude = np.abs(np.fft.rfft(frames * window, 512))
    mel = lambda f: 1127 * np.log(1 + f / 700)  # noqa: E731
    edges = np.linspace(mel(125.0), mel(7500.0), 66)
    bins = mel(np.linspace(0, 8000, 257))[:, None]
    weight = np.maximum(
        0, np.minimum((bins - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - bins) / np.diff(edges)[1:])
    )
    weight[0] = 0
    expected = np.log(magnitude @ weight + 0.001)
    found = LogMel(YAMNET_MEL)(torch.from_numpy(wave)[None])[0, 0]
    assert found.shape == expected.shape == (YAMNET_MEL.frames(len(wave)), 64)
    assert np.abs(found.numpy() - expected).max() < 1e-4


def test_a_batch_is_its_waves_and_precision_stays():
    waves = torch.from_numpy(np.stack([audio(), audio()[::-1]]))
    log_mel = LogMel(MelSettings())
    both = log_mel(waves)
    assert both.shape == (2, 1, 101, 64) and both.dtype == torch.float32
    assert torch.allclose(both[1:], log_mel(waves[1:]), atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(log_mel(waves), both)


def test_weights_that_autocast_keeps_for_a_training_are_not_cleared_by_another_thread(monkeypatch):
    """They are one store for all threads, and leaving autocast clears it."""
    cleared, waves = [], torch.from_numpy(audio())[None]
    monkeypatch.setattr(torch, "clear_autocast_cache", lambda: cleared.append(True))
    with ThreadPoolExecutor(1) as pool, torch.autocast("cpu", dtype=torch.bfloat16):
        pool.submit(LogMel(MelSettings()), waves).result()
        assert not cleared


def test_a_tone_lights_its_own_band():
    bands = mel_bands(MelSettings())
    centres = to_hertz(np.linspace(*to_mel(np.array([20.0, 8000.0]), "slaney"), 66), "slaney")[1:-1]
    for hertz in (440, 1000, 3000):
        tone = torch.sin(2 * torch.pi * hertz * torch.arange(RATE) / RATE)[None]
        brightest = int(LogMel(MelSettings(norm=None))(tone)[0, 0, 20:-20].mean(dim=0).argmax())
        assert abs(brightest - np.abs(centres - hertz).argmin()) <= 1
    assert bands.shape == (513, 64) and (bands.sum(axis=0) > 0).all()


def test_silence_and_short_waves():
    for settings in (MelSettings(), YAMNET_MEL):
        log_mel = LogMel(settings)
        assert torch.allclose(log_mel(torch.zeros(1, 8000)), torch.tensor(settings.silence))
        assert log_mel(torch.zeros(3, 7)).shape[:2] == (3, 1)


def test_scales_are_their_own_inverse_and_settings_are_checked():
    hertz = np.array([0.0, 500.0, 1000.0, 4000.0])
    for scale in ("htk", "slaney"):
        assert np.allclose(to_hertz(to_mel(hertz, scale), scale), hertz)
    assert to_mel(np.array(1000.0), "htk") == pytest.approx(1000, abs=0.1)
    with pytest.raises(ValueError, match=r"high 9000.0 must lie in 0 … 8000.0"):
        LogMel(MelSettings(high=9000.0))
    with pytest.raises(ValueError, match="not be longer than n_fft"):
        LogMel(MelSettings(window=2000))


def test_another_rate_keeps_times_and_bands():
    at = MelSettings().at_rate(8000)
    assert (at.window, at.hop, at.high, at.low) == (512, 160, 4000.0, 20.0)
    assert at.frames(8000) == MelSettings().frames(16000)
