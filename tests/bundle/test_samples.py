"""The preprocessing of the stand-alone samples.py, held to that of whet."""

import io
import subprocess
import sys

import numpy as np
import pytest
import soxr
from PIL import Image

from whet.bundle import samples
from whet.core.audio_view import AudioView
from whet.data import audio, image, text
from whet.data.image_loader import render_images
from whet.data.loader import plain
from whet.render.audio import AudioRenderer


def encoded(pixels: np.ndarray, format_: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format_, **options)
    return file.getvalue()


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 90 * np.sin(x / a) * np.cos(y / b) for a, b in ((9.0, 13.0), (17.0, 7.0), (31.0, 23.0))]
    return np.stack(waves, axis=2).clip(0, 255).astype(np.uint8)


def by_whet(data: bytes, size: int, fit: str) -> np.ndarray:
    return render_images([image.ImageSample(data)], np.arange(1), size, fit, plain).content[0]


@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize("shape", [(96, 128), (131, 97), (384, 512), (700, 1501), (33, 20), (32, 32)])
def test_pixels_of_a_lossless_image_are_those_of_whet(shape, fit):
    data = encoded(smooth(*shape), "PNG")
    ours, theirs = (one.astype(int) for one in (samples.read_image(data, (32, 32), fit).tensor, by_whet(data, 32, fit)))
    # OpenCV's warp rounds positions to a thirty-second of a pixel where a crop has no whole edges.
    assert np.abs(ours - theirs).max() <= (1 if fit == "squash" else 4)
    assert np.abs(ours - theirs).mean() < (0.5 if fit == "squash" else 1.0)


@pytest.mark.parametrize("size", [32, 100, 224])
def test_pixels_of_a_colourful_jpeg_differ_by_little_more_than_a_level(size):
    """Pillow interpolates the colours of a JPEG, whet repeats them where the image is reduced."""
    data = encoded(smooth(384, 512), "JPEG", quality=90)
    ours, theirs = (
        one.astype(float)
        for one in (samples.read_image(data, (size, size), "squash").tensor, by_whet(data, size, "squash"))
    )
    assert np.abs(ours - theirs).mean() < 1.5


def test_modes_and_orientations_are_those_of_whet():
    rgb = smooth(40, 60)
    alpha = np.concatenate([rgb, np.tile(np.linspace(0, 255, 60).astype(np.uint8)[None, :, None], (40, 1, 1))], axis=2)
    deep = rgb[..., 0].astype(np.uint16) * 257
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(turned, "JPEG", exif=exif, quality=95)
    cmyk = io.BytesIO()
    Image.fromarray(rgb).convert("CMYK").save(cmyk, "JPEG")
    for data in (
        encoded(alpha, "PNG"), encoded(deep, "PNG"), encoded(rgb[..., 0], "PNG"), encoded(rgb[..., 0], "JPEG"),
        encoded(rgb, "GIF"), encoded(rgb, "TIFF"), encoded(rgb, "WEBP"), turned.getvalue(), cmyk.getvalue(),
    ):  # fmt: skip
        ours, theirs = samples.read_image(data, (24, 24), "squash").tensor, by_whet(data, 24, "squash")
        assert np.abs(ours.astype(int) - theirs).mean() < 1.5
    for data in (b"", b"\xff\xd8\xff", b"nothing", encoded(rgb, "PNG")[:200]):
        with pytest.raises(samples.Unreadable):
            samples.read_image(data, (24, 24), "squash")


def test_a_reduction_is_the_mean_of_areas():
    values = np.arange(7, dtype=np.uint8).reshape(7, 1, 1)
    assert samples._area(values, 0, 3).ravel() == pytest.approx(
        [(0 + 1 + 2 / 3) / (7 / 3), (2 * 2 / 3 + 3 + 4 * 2 / 3) / (7 / 3), (4 / 3 + 5 + 6) / (7 / 3)]
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_a_large_image_is_reduced_strip_by_strip_to_the_same_means(axis, monkeypatch):
    """The weights of a part are the share of each pixel that lies in it."""
    values = np.random.default_rng(1).integers(0, 256, (37, 41, 3), dtype=np.uint8)
    side, count = values.shape[axis], 11
    edges = np.arange(count + 1) * side / count
    pixel = np.arange(side)
    weight = np.clip(np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel), 0, None)
    wanted = np.moveaxis(np.tensordot(weight * count / side, values.astype(float), axes=(1, axis)), 0, axis)
    monkeypatch.setattr(samples, "_STRIP", 500)
    assert samples._area(values, axis, count) == pytest.approx(wanted, abs=1e-4)


def tone(rate: int, seconds: float, hertz: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize(("rate", "wanted"), [(44_100, 16_000), (8_000, 16_000), (22_050, 16_000), (48_000, 16_000)])
def test_resampling_is_that_of_soxr(rate, wanted):
    """60 dB apart in the pass band; a tone above the new Nyquist frequency is gone."""
    wave = tone(rate, 0.5, 440) + tone(rate, 0.5, 0.4 * min(rate, wanted))
    ours, theirs = samples.resample(wave, rate, wanted), soxr.resample(wave, rate, wanted, quality="HQ")
    assert abs(len(ours) - len(theirs)) <= 1
    middle = slice(1000, 5000)
    assert np.abs(ours[middle] - theirs[middle]).max() < 1e-3
    if wanted < rate:
        assert np.abs(samples.resample(tone(rate, 0.5, 0.55 * wanted), rate, wanted)[middle]).max() < 1e-4


def test_clips_are_cut_and_padded_as_by_whet():
    import soundfile

    for seconds in (0.05, 0.4, 0.7):
        file = io.BytesIO()
        wave = np.stack([tone(16_000, seconds, 300), tone(16_000, seconds, 500)], axis=1)
        soundfile.write(file, wave, 16_000, "PCM_16", format="WAV")
        whole = audio.decode(file.getvalue(), 16_000)
        theirs = np.empty(6_400, dtype=np.float32)
        AudioRenderer(AudioView.whole([len(whole)], 16_000, 6_400)).render(0, whole, theirs)
        assert np.array_equal(samples.read_audio(file.getvalue(), 16_000, 6_400).tensor, theirs)
    for data in (b"", b"RIFF", b"nothing"):
        with pytest.raises(samples.Unreadable):
            samples.read_audio(data, 16_000, 6_400)


def test_texts_are_cleaned_as_by_whet():
    for given in ("a\r\nb\rc", "nul\0", "x" * 100_005, "ba\ud800d", "塑料瓶"):
        assert samples.read_text(given) == text.clean_text(given).text
    assert samples.read_text("\ufeffé".encode()) == "é"
    with pytest.raises(samples.Unreadable, match="UTF-8"):
        samples.read_text(b"\xe9\xff")


def test_the_package_needs_no_torch():
    check = "import whet.bundle, sys; print([m for m in ('torch', 'pandas', 'scipy', 'cv2', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
