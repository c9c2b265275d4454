import numpy as np
import pytest
import soundfile

from whet.core.errors import DataError
from whet.methods import BackgroundMix


@pytest.fixture
def folder(tmp_path, tone):
    (tmp_path / "street").mkdir()
    soundfile.write(tmp_path / "street" / "high.wav", tone(3000, 0.4), 16000)
    soundfile.write(tmp_path / "low.flac", tone(150, 3.0), 16000)
    return tmp_path


def test_a_file_of_the_folder_is_heard_at_the_asked_ratio(draw_audio, hear, tone, folder, pitch):
    wave, heard = tone(1000), set()
    view = draw_audio(BackgroundMix(folder=str(folder), prob=1.0, min_snr_db=10, max_snr_db=10), B=20)
    for i in range(20):
        added = hear(view, wave, i) - wave
        assert 10 * np.log10((wave**2).mean() / (added**2).mean()) == pytest.approx(10, abs=0.1)
        heard.add(round(pitch(added) / 50) * 50)
    assert heard == {150, 3000}  # the shorter one goes round


def test_other_places_of_a_file_are_heard(draw_audio, hear, tone, folder):
    view = draw_audio(BackgroundMix(folder=str(folder), prob=1.0), B=8)
    assert len({hear(view, tone(), i)[:50].tobytes() for i in range(8)}) == 8


def test_a_folder_without_audio(draw_audio, tmp_path):
    with pytest.raises(DataError, match=r"background_mix.folder: .* holds no audio clips; accepted: .aif"):
        draw_audio(BackgroundMix(folder=str(tmp_path)))


def test_a_broken_file_is_named(draw_audio, hear, tone, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF no")
    view = draw_audio(BackgroundMix(folder=str(tmp_path), prob=1.0), B=1)
    with pytest.raises(DataError, match=r"broken\.wav"):
        hear(view, tone())
