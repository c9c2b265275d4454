import csv
import io
import struct

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core.errors import DataError
from whet.data.audio import FORMATS, UnreadableAudio, audio_info, decode, resample

RATE = 16000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)


def encoded(wave, rate=RATE, form="WAV", subtype=None):
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate, format=form, subtype=subtype)
    return stream.getvalue()


def snr(wave, reference):
    return 10 * np.log10((reference**2).sum() / ((wave - reference) ** 2).sum())


@pytest.mark.parametrize(
    ("form", "subtype", "step"),
    [("WAV", "PCM_U8", 2**-7), ("WAV", "PCM_16", 2**-15), ("WAV", "PCM_24", 2**-23), ("WAV", "PCM_32", 2**-23),
     ("WAV", "FLOAT", 0), ("WAV", "DOUBLE", 2**-24), ("FLAC", "PCM_S8", 2**-7), ("FLAC", "PCM_16", 2**-15)],
)  # fmt: skip
def test_any_bit_depth_is_the_same_wave_to_its_step(form, subtype, step):
    wave = decode(encoded(TONE, form=form, subtype=subtype))
    assert wave.dtype == np.float32 and wave.shape == TONE.shape
    assert np.abs(wave - TONE).max() <= step
    assert abs(wave.mean()) <= step / 2


@pytest.mark.parametrize(("form", "least"), [("OGG", 15), ("MP3", 15)])
def test_lossy_formats_keep_time_and_level(form, least):
    wave = decode(encoded(TONE, form=form))
    assert abs(len(wave) - RATE) <= 2400
    assert snr(wave[2400:12000], TONE[2400:12000]) > least


def test_eight_bits_have_their_centre_at_128():
    header = encoded(np.zeros(4, np.float32), subtype="PCM_U8")
    silent = header[:-4] + bytes([128, 0, 255, 128])
    assert decode(silent).tolist() == [0, -1, 127 / 128, 0]


def test_several_channels_become_their_mean():
    left, right = TONE, np.roll(TONE, 7) * 0.3
    wave = decode(encoded(np.stack([left, right], axis=1), subtype="FLOAT"))
    assert np.allclose(wave, (left + right) / 2, atol=1e-7)
    six = np.arange(6, dtype=np.float32)[None] / 8 * np.ones((100, 1), np.float32)
    assert np.allclose(decode(encoded(six, subtype="FLOAT")), 2.5 / 8)


@pytest.mark.parametrize("rate", [8000, 11024, 22050, 39000, 44100, 192000])
def test_resampling_is_that_of_soxr(rate):
    wave = decode(encoded(TONE, rate, subtype="FLOAT"), RATE)
    assert np.array_equal(wave, soxr.resample(TONE, rate, RATE))
    assert abs(len(wave) - len(TONE) * RATE / rate) <= 1


def test_a_resampled_tone_keeps_its_pitch():
    tone = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100).astype(np.float32)
    wave = resample(tone, 44100, RATE)
    assert np.abs(np.fft.rfft(wave * np.hanning(len(wave)))).argmax() * RATE / len(wave) == pytest.approx(1000, abs=1)
    assert resample(tone, RATE, RATE) is tone


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_a_part_is_that_part_of_the_whole(form, tmp_path):
    chirp = np.sin(np.cumsum(np.linspace(0.02, 1.5, 3 * RATE))).astype(np.float32) * 0.5
    data = encoded(chirp, form=form)
    whole = decode(data)
    assert np.allclose(decode(data, start=0.5, end=1.25), whole[8000:20000], atol=1e-6)
    assert np.allclose(decode(data, start=2.5), whole[40000:], atol=1e-6)
    assert np.allclose(decode(data, end=0.1), whole[:1600], atol=1e-6)
    assert np.allclose(decode(data, start=2.9, end=99), whole[46400:], atol=1e-6)
    path = tmp_path / "audio.raw"  # the contents tell the format, not the name
    path.write_bytes(data)
    assert np.array_equal(decode(path, start=0.5, end=1.25), decode(data, start=0.5, end=1.25))


def test_parts_that_are_none():
    data = encoded(TONE)
    with pytest.raises(UnreadableAudio, match="in this segment"):
        decode(data, start=5.0)
    with pytest.raises(DataError, match=r"end 1.0 must be a time in seconds after the start, 2.0"):
        decode(data, start=2.0, end=1.0)
    with pytest.raises(DataError, match="start -1"):
        decode(data, start=-1)


def test_info_is_read_without_decoding():
    data = encoded(np.zeros((48000, 2), np.float32), 48000, "FLAC", "PCM_24")
    info = audio_info(data)
    assert (info.rate, info.channels, info.frames, info.format, info.subtype) == (48000, 2, 48000, "FLAC", "PCM_24")
    assert info.seconds == 1
    assert audio_info(data[:2000]).frames == 48000  # the header alone tells


def test_a_header_that_asks_for_more_than_two_hours_is_refused_unread():
    flac = bytearray(encoded(TONE, form="FLAC"))
    flac[21] |= 0x0F  # the 36 bits of STREAMINFO that count the samples
    flac[22:26] = b"\xff" * 4
    with pytest.raises(UnreadableAudio, match=r"exceed the limit of 7,200 seconds"):
        decode(bytes(flac))
    assert len(decode(bytes(flac), end=0.5)) == 8000  # a part of it is no longer than it says


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(bad):
    wave = TONE.copy()
    wave[100] = bad
    with pytest.raises(UnreadableAudio, match="not finite"):
        decode(encoded(wave, subtype="FLOAT"))


def test_what_floats_hold_beyond_one_stays():
    assert decode(encoded(4 * TONE, subtype="FLOAT")).max() == pytest.approx(2, rel=1e-3)


def test_other_formats_and_rates_are_refused():
    with pytest.raises(UnreadableAudio, match=r"format VOC is not accepted; accepted: WAV"):
        decode(encoded(TONE, 11025, "VOC", "PCM_16"))
    with pytest.raises(UnreadableAudio, match="a rate of 5 Hz"):
        decode(encoded(TONE, 5))
    for data in (b"", b"RIFF", b"no audio clip at all" * 100):
        with pytest.raises(UnreadableAudio):
            decode(data)


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(["WAV", "FLAC", "OGG", "MP3"]), st.booleans())
@settings(max_examples=120)
def test_any_damage_gives_a_wave_or_one_kind_of_error(seed, flips, form, cut):
    data = bytearray(DAMAGED[form])
    rng = np.random.Generator(np.random.PCG64(seed))
    for place in rng.integers(0, len(data), flips):
        data[place] = rng.integers(0, 256)
    try:
        wave = decode(bytes(data[: rng.integers(0, len(data))] if cut else data), RATE)
        assert wave.ndim == 1 and wave.dtype == np.float32 and np.isfinite(wave).all()
    except UnreadableAudio as error:
        assert str(error)


DAMAGED = {form: encoded(TONE[:6000], form=form) for form in ("WAV", "FLAC", "OGG", "MP3")}


def test_damage_is_not_spoken_of_on_stderr(capfd):
    for form, data in DAMAGED.items():
        for place in range(0, len(data), max(1, len(data) // 40)):
            broken = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
            try:
                decode(broken, RATE)
            except UnreadableAudio as error:
                assert str(error), form
    assert capfd.readouterr().err == ""


def test_odd_files_of_other_projects(shared, capfd):
    """Every verdict of the manifest, the rate, the channels and the length it tells."""
    seen = dict.fromkeys(("readable", "unreadable", "empty", "either"), 0)
    with (shared / "badinputs" / "MANIFEST.tsv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle, delimiter="\t") if row["path"].startswith("audio/")]
    for row in rows:
        path, expected = shared / "badinputs" / row["path"], row["expected"]
        try:
            wave = decode(path)
        except UnreadableAudio as error:
            verdict = "empty" if "no samples" in str(error) else "unreadable"
            assert str(error)
        else:
            verdict = "readable"
        seen[expected] += 1
        if expected == "either":
            continue
        assert verdict == expected, row["path"]
        if verdict != "readable":
            continue
        told = dict(part.strip().split("=") for part in row["detail"].split(";")[1:] if "=" in part)
        info = audio_info(path)
        assert f"{info.format}/{info.subtype}" == row["detail"].split(";")[0]
        assert info.format in FORMATS
        assert (str(info.rate), str(info.channels)) == (told["sr"], told["ch"]), row["path"]
        assert len(wave) == int(told["frames"]), row["path"]
        odd = decode(path, RATE)
        assert abs(len(odd) - len(wave) * RATE / info.rate) <= 1 or len(odd) == 1
        whole, _ = soundfile.read(path, dtype="float64", always_2d=True)
        assert np.allclose(wave, whole.mean(axis=1), atol=1e-6), row["path"]
    assert sum(seen.values()) > 70 and min(seen.values()) >= 1
    assert capfd.readouterr().err == ""


def test_the_centre_of_real_eight_bit_files(shared):
    """hound's 8-bit samples are written from known numbers; pydub's are music without an offset."""
    folder = shared / "badinputs" / "audio"
    data = (folder / "hound" / "waveformatex-8bit-11025Hz-mono.wav").read_bytes()
    raw = np.frombuffer(data[-4:], dtype=np.uint8)
    assert struct.unpack("<I", data[-8:-4]) == (4,)
    assert np.array_equal(decode(data), (raw.astype(np.float32) - 128) / 128)
    assert abs(decode(folder / "pydub" / "test1-8bit.wav").mean()) < 0.01
