import numpy as np
import pytest
import soundfile

from whet.core.audio_view import Reverb as Room
from whet.methods import Reverb
from whet.render.audio import room


def one(seconds, wet_db=0.0, files=()):
    return Room(np.array([seconds]), np.array([wet_db]), np.array([5]), files)


@pytest.mark.parametrize("seconds", [0.3, 0.8])
def test_the_tail_falls_by_sixty_decibels_in_the_asked_time(seconds):
    """Schroeder's backward integral of the impulse response, its slope from -5 to -35 dB."""
    energy = np.cumsum(room(seconds, 0.0, 5, 16000, 32000)[:0:-1] ** 2)[::-1]
    decibels = 10 * np.log10(energy / energy[0])
    inside = np.flatnonzero((decibels < -5) & (decibels > -35))
    slope = np.polyfit(inside / 16000, decibels[inside], 1)[0]
    assert -60 / slope == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("wet_db", [-12.0, 3.0])
def test_the_tail_has_the_asked_energy_over_the_direct_audio(wet_db):
    response = room(0.4, wet_db, 5, 16000, 16000)
    assert response[0] == 1
    assert 10 * np.log10((response[1:] ** 2).sum()) == pytest.approx(wet_db, abs=0.01)


def test_it_is_the_convolution_at_the_level_it_was(audio, hear, hiss):
    wave = hiss()
    out = hear(audio(wave).reverberated(one(0.3)), wave)
    full = np.convolve(wave, room(0.3, 0.0, 5, 16000, 16000))[:16000]
    assert np.allclose(out, full * wave.std() / full.std(), atol=2e-3)
    assert out.std() == pytest.approx(wave.std(), rel=1e-2)


def test_a_recorded_response_begins_at_its_strongest_sample(audio, hear, hiss, tmp_path):
    recorded = np.zeros(1000, np.float32)
    recorded[300], recorded[500] = 0.8, 0.4
    soundfile.write(tmp_path / "hall.wav", recorded, 16000, subtype="FLOAT")
    wave = hiss()
    out = hear(audio(wave).reverberated(one(1.0, files=(str(tmp_path / "hall.wav"),))), wave)
    expected = wave + 0.5 * np.concatenate([np.zeros(200, np.float32), wave[:-200]])
    assert np.corrcoef(out, expected)[0, 1] > 0.9999


def test_a_share_of_the_audio_stands_in_rooms_within_the_range(draw_audio):
    seconds = draw_audio(Reverb(prob=0.5, max_seconds=1.0)).reverbs[0].seconds_B
    assert (seconds > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert seconds[seconds > 0].min() >= 0.1 and 0.9 < seconds.max() <= 1.0
