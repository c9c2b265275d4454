"""The rules of samples.js, in Node.js, held to those of samples.py and predict.py."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from tests.web.javascript import array, needs_node, run

from whet.bundle import Bundle, Prepared
from whet.bundle.samples import most_likely, read_audio, read_image, read_text

pytestmark = needs_node


def pixels(found: str, height: int, width: int) -> np.ndarray:
    return array(found, np.uint8, height, width, 3).astype(float)


def encoded(array: np.ndarray, kind: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 90 * np.sin(x / a) * np.cos(y / b) for a, b in ((9.0, 13.0), (17.0, 7.0), (31.0, 23.0))]
    return np.stack(waves, axis=2).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_pixels_of_a_lossless_image_are_those_of_python(fit):
    shapes = [(96, 128), (131, 97), (384, 512), (700, 1501), (33, 20), (32, 32), (3, 900), (1, 1)]
    noise = np.random.default_rng(0).integers(0, 256, (200, 333, 3), dtype=np.uint8)
    images = [*(smooth(*shape) for shape in shapes), noise]
    found = run(*(["resize", one.ravel(), one.shape[:2], [32, 40], fit, False] for one in images))
    for one, ours in zip(images, found):
        expected = read_image(encoded(one, "PNG"), (32, 40), fit).tensor
        apart = np.abs(pixels(ours, 32, 40) - expected)
        assert apart.mean() < 0.01 and apart.max() <= 1, one.shape


@pytest.mark.parametrize("size", [32, 96, 100, 128, 224])
def test_pixels_of_a_reduced_jpeg_differ_by_less_than_a_level(size):
    """Areas are averaged where Pillow reduces in the decoder."""
    files = [
        encoded(smooth(384, 512), "JPEG", quality=90),
        encoded(smooth(777, 581), "JPEG", quality=90, subsampling=0),
    ]
    whole = [np.asarray(Image.open(io.BytesIO(data))) for data in files]
    found = run(*(["resize", one.ravel(), one.shape[:2], [size, size], "squash", True] for one in whole))
    for data, ours in zip(files, found):
        expected = read_image(data, (size, size), "squash").tensor
        assert np.abs(pixels(ours, size, size) - expected).mean() < 0.75


def test_the_class_of_every_pixel_is_that_of_python():
    p_Khw = np.random.default_rng(1).random((4, 7, 9), dtype=np.float32)
    small, *sizes = run(
        ["mostLikely", p_Khw.ravel(), [4, 7, 9], [50, 33]], ["shownSize", [4096, 2048]], ["shownSize", [50, 33]]
    )
    assert sizes == [[2048, 1024], [50, 33]]
    ours = array(small["numbers"], np.uint8, 50, 33)
    assert np.array_equal(ours, most_likely(p_Khw, (50, 33))[0])


@pytest.mark.parametrize("rule", ["largest", "each above 0.5", "pixels"])
def test_decisions_are_those_of_python(rule):
    info = {
        "classes": ["a", "b", "c"], "medium": "image", "task": "any", "decision": {"rule": rule, "unsure_below": 0.6},
    }  # fmt: skip
    rows = np.array([[0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.9, 0.8, 0.01], [0.1, 0.2, 0.3]], dtype=np.float32)
    if rule == "pixels":
        rows = np.random.default_rng(2).random((2, 3, 4, 5), dtype=np.float32)
    found = run(*(["decided", info, one.ravel(), one.shape, [20, 30]] for one in rows))
    bundle = Bundle(Path(), info, None)
    for one, ours in zip(rows, found):
        expected = bundle.decide(Prepared(np.zeros(0), (20, 30)), one)
        if rule == "pixels":
            mask = array(ours["mask"]["numbers"], np.uint8, 20, 30)
            assert np.array_equal(mask, expected["mask"])
            assert ours["shares"] == pytest.approx(expected["shares"])
        else:
            assert ours["predicted"] == expected["predicted"] and ours["unsure"] == expected["unsure"]
            assert ours["confidence"] == pytest.approx(expected["confidence"], rel=1e-6)
            assert ours["probabilities"] == pytest.approx(expected["probabilities"], rel=1e-6)


def test_waves_are_cut_to_their_middle_or_followed_by_silence():
    wave = np.arange(7, dtype=np.float32)
    for length, expected in ((3, [2, 3, 4]), (4, [1, 2, 3, 4]), (9, [0, 1, 2, 3, 4, 5, 6, 0, 0])):
        (found,) = run(["fitted", wave, length, 8000, 8000])
        assert array(found, np.float32).tolist() == expected


@pytest.mark.parametrize(("rate", "wanted"), [(44_100, 16_000), (8000, 16_000), (48_000, 8000), (22_050, 22_050)])
@pytest.mark.parametrize("format_", ["WAV", "FLAC", "OGG", "MP3"])
def test_waves_are_resampled_as_in_python(rate, wanted, format_):
    """And the rate of a file is that of its header."""
    file = io.BytesIO()
    soundfile.write(file, 0.2 * np.random.default_rng(0).standard_normal(rate // 3), rate, format=format_)
    wave, own = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
    longer, shorter = wanted, 1001
    found = run(*(["fitted", wave, count, rate, wanted] for count in (longer, shorter)))
    for count, ours in zip((longer, shorter), found):
        expected = read_audio(file.getvalue(), wanted, count).tensor
        assert np.abs(array(ours, np.float32) - expected).max() < 1e-5
    assert own == rate and run(["rateOf", np.frombuffer(file.getvalue(), np.uint8)]) == [rate]


def test_headers_without_a_rate():
    odd = [b"", b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff" * 40, b"<html>"]
    assert run(*(["rateOf", np.frombuffer(one, np.uint8)] for one in odd)) == [0, 0, 0, 0, 0, 44_100, 0, 0]


def test_texts_are_cleaned_as_in_python():
    texts = ["a\r\nb\rc\0d", "x\ud800y\udc00", "😀" * 100_001, "plain"]
    assert run(*(["cleaned", one] for one in texts)) == [read_text(one) for one in texts]


def test_token_ids():
    """Padded to a multiple, cut before the special tokens at the end; unknown words, and a text without tokens, have an id."""
    settings = {"limit": 8, "multiple": 4, "pad_id": 0, "unknown_id": 1}
    for encoder, text, expected in (
        ("encode", "good film", [2, 9, 23, 3]),
        ("encode", "good old film", [2, 9, 1, 23, 3, 0, 0, 0]),
        ("encode", "good film " * 9, [2, 9, 23, 9, 23, 9, 23, 3]),
        ("encode", "", [2, 3, 0, 0]),
        ("bare", "good film " * 9, [9, 23, 9, 23, 9, 23, 9, 23]),
        ("bare", "", [1, 0, 0, 0]),
    ):
        assert run(["tokenIds", encoder, text, settings]) == [expected], text


def test_how_far_samples_differ():
    a, b = np.array([10, 20], np.uint8), np.array([11, 18], np.uint8)
    wave = np.array([3, 4], np.float32)
    assert run(["apart", "image", a, b], ["apart", "audio", wave, wave * 2], ["apart", "text", a, a]) == [1.5, 0.5, 0]
    assert run(["apart", "text", a, b], ["apart", "image", a, b[:1]]) == [None, None]  # infinite
