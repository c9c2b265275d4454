"""Prepare samples for an exported model: images, audio clips and texts.

A part of every bundle, beside predict.py. The functions `read_image`, `read_audio` and `read_text` are the rules of the
preprocessing; bundle.json has their numbers.
"""

from __future__ import annotations

import functools
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
AUDIO_FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF")
MAX_PIXELS = 178_956_970
MAX_SECONDS = 2 * 60 * 60
MAX_CHARACTERS = 100_000
_STRIP = 4_000_000  # numbers that are summed at once
_ROWS = 64  # of an image that are interpolated at once


class Unreadable(ValueError):
    """A sample that cannot be read."""


@dataclass(frozen=True)
class Prepared:
    """A sample as the network takes it: pixels uint8 (H, W, 3), a wave float32 (T,), or token ids int64 (L,). size: height and
    width of an image in its file, upright."""

    tensor: np.ndarray
    size: tuple[int, int] | None = None


def _reason(error: Exception) -> str:
    """The message of a decoder, without the address of the buffer in memory."""
    return re.sub(r" ?<_io\.BytesIO object at 0x\w+>", "", str(error)) or type(error).__name__


# --- images -----------------------------------------------------------------------------------------------------------
def read_image(data: bytes, size: tuple[int, int], fit: str) -> Prepared:
    """The pixels of an image file, RGB uint8 (h, w, 3) of this size.

    The first frame, upright by its EXIF orientation, on white where it is transparent, 16 bits scaled to 8. fit: "squash" shows the
    whole image, "crop" the largest centred part with the aspect ratio of the size. The side of a source pixel s = source side /
    output side decides the reduction f = floor(0.8 s), at least 1, for each axis: a JPEG is decoded at 1/8, 1/4 or 1/2 of its size
    where f allows it, the rest is averaged over areas; then it is interpolated bilinearly, with half-pixel centres, and rounded.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Unreadable(f"{image.width}x{image.height} pixels exceed the limit of {MAX_PIXELS:,}")
            turn = _orientation(image, data)
            stored = (image.height, image.width)
            if image.format == "JPEG" and image.mode != "CMYK":
                source = stored[::-1] if turn >= 5 else stored
                _, factors = _steps(source, size, fit)
                shrink = next((scale for scale in (8, 4, 2) if min(factors) >= scale), 1)
                if shrink > 1:
                    image.draft(None, (max(1, image.width // shrink), max(1, image.height // shrink)))
            image.load()
            whole = ImageOps.exif_transpose(image) if turn > 1 else image
            pixels = np.asarray(_rgb(whole))
    except Unreadable:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, OverflowError, TypeError, AttributeError,
            ArithmeticError, AssertionError, MemoryError, Image.DecompressionBombError) as error:  # fmt: skip
        raise Unreadable(_reason(error)) from None
    if image.format != "JPEG" or image.mode == "CMYK":
        source = (pixels.shape[0], pixels.shape[1])
    return Prepared(resize(pixels, source, size, fit), source)


def resize(pixels: np.ndarray, source: tuple[int, int], size: tuple[int, int], fit: str) -> np.ndarray:
    """Pixels uint8 (H, W, 3) of an image of this source size, which they may show reduced, at another size; see `read_image`."""
    steps, factors = _steps(source, size, fit)
    reduced = [min(max(1, side // f), have) for side, f, have in zip(source, factors, pixels.shape)]
    if max(factors) > 1 and not all(have < 2 * max(1, s // f) for have, s, f in zip(pixels.shape, source, factors)):
        pixels = np.rint(_area(_area(pixels, 0, reduced[0]), 1, reduced[1])).astype(np.uint8)
    spans, shown = [], []
    for axis in range(2):
        scale = pixels.shape[axis] / source[axis]
        length = steps[axis] * size[axis]
        spans.append(((source[axis] - length) / 2 * scale, ((source[axis] + length) / 2) * scale))
        shown.append(steps[axis] * scale)
    whole = all(abs(edge - round(edge)) <= 1e-3 for span in spans for edge in span)
    return _interpolated(pixels, size, spans, whole, np.dtype(np.uint8))


def _steps(source: tuple[int, int], size: tuple[int, int], fit: str) -> tuple[list[float], list[int]]:
    """(source pixels between neighbouring output pixels, the factor to reduce by), for each axis."""
    steps = [side / shown for side, shown in zip(source, size)]
    if fit == "crop":
        steps = [min(steps)] * 2
    return steps, [max(1, math.floor(step * 0.8 + 1e-6)) for step in steps]


def _area(values: np.ndarray, axis: int, count: int) -> np.ndarray:
    """The means of `count` equal parts along an axis, parts of pixels included."""
    side = values.shape[axis]
    if side == count:
        return values
    if side % count == 0:
        shape = (*values.shape[:axis], count, side // count, *values.shape[axis + 1 :])
        return values.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    edges = np.arange(count + 1) * (side / count)
    edges[-1] = side
    first = edges.astype(np.int64)
    shape = tuple(-1 if one == axis else 1 for one in range(3))
    share = (edges - first).astype(np.float32).reshape(shape)
    cut = share * values.take(
        np.minimum(first, side - 1), axis
    )  # of the pixel at the start of each part, what is before it
    strips = []  # a large image is not copied as a whole
    for parts in np.array_split(np.arange(count), min(count, 1 + values.size // _STRIP)):
        start, stop = first[parts[0]], first[parts[-1] + 1]
        strip = values[start:stop] if axis == 0 else values[:, start:stop]
        strips.append(np.add.reduceat(strip, first[parts] - start, axis=axis, dtype=np.float64))
    return ((np.concatenate(strips, axis) + np.diff(cut, axis=axis)) / (side / count)).astype(np.float32)


def resized(values_HW: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Numbers of the cells of a grid, float32 (H, W), at another size, bilinear with half-pixel centres."""
    spans = [(0, side) for side in values_HW.shape]
    return _interpolated(values_HW[..., None], size, spans, True, np.dtype(np.float32))[..., 0]


def most_likely(values_Khw: np.ndarray, size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(the number of the largest of K values at every pixel, uint8 (H, W); that value, float32). Values are interpolated
    bilinearly, one class at a time."""
    height, width = size
    best_HW, found_HW = np.full((height, width), -np.inf, dtype=np.float32), np.zeros((height, width), dtype=np.uint8)
    for k, value_hw in enumerate(values_Khw):
        value_HW = resized(value_hw, (height, width))
        found_HW[value_HW > best_HW] = k
        np.maximum(best_HW, value_HW, out=best_HW)
    return found_HW, best_HW


def _interpolated(
    values: np.ndarray, size: Sequence[int], spans: Sequence[tuple[float, float]], whole: bool, dtype: np.dtype[Any]
) -> np.ndarray:
    """Bilinear samples (h, w, C) of (H, W, C) at the centres of equal parts of a span of each axis, rounded for integers. whole:
    pixels outside the span repeat those at its ends; otherwise those outside the image are mirrored."""
    channels, out = values.shape[2], np.empty((*size, values.shape[2]), dtype)
    (above, below, down), (left, right, across) = (
        _neighbours(side, count, span, whole) for side, count, span in zip(values.shape, size, spans)
    )
    left, right = ((column[:, None] * channels + np.arange(channels)).ravel() for column in (left, right))
    down, across = down[:, None], across.repeat(channels)
    rows, flat = values.reshape(len(values), -1), out.reshape(len(out), -1)
    for start in range(0, len(out), _ROWS):  # what is computed at once stays in the cache
        part = slice(start, start + _ROWS)
        upper, lower = rows[above[part]] * (1 - down[part]), rows[below[part]] * down[part]
        upper += lower
        found, more = upper.take(left, 1), upper.take(right, 1)
        found *= 1 - across
        more *= across
        found += more
        flat[part] = np.rint(found, out=found) if dtype.kind == "u" else found
    return out


def _neighbours(
    side: int, count: int, span: tuple[float, float], whole: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For the centre of each of `count` parts of a span: the pixels before and after it, and the share of the latter."""
    place = span[0] + (np.arange(count) + 0.5) * ((span[1] - span[0]) / count) - 0.5
    first = np.floor(place).astype(np.int64)
    share = (place - first).astype(np.float32)
    if whole:
        low, high = round(span[0]), round(span[1]) - 1
        before, after = (np.clip(first + more, low, high) for more in (0, 1))
    else:
        before, after = (np.clip(_mirrored(first + more, side), 0, side - 1) for more in (0, 1))
    return before, after, share


def _mirrored(place: np.ndarray, side: int) -> np.ndarray:
    place = np.abs(place)
    return np.where(place > side - 1, 2 * (side - 1) - place, place)


def _orientation(image: Any, data: bytes) -> int:
    if image.format == "JPEG" and b"Exif\0\0" not in data[:65536]:
        return 1
    turn = image.getexif().get(0x0112, 1)
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _rgb(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        top = 1.0 if image.mode == "F" else 65535.0
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        return Image.fromarray((values.clip(0, top) * (255.0 / top)).round().astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


# --- audio ------------------------------------------------------------------------------------------------------------
def read_audio(data: bytes, rate: int, samples: int) -> Prepared:
    """The wave of an audio file, float32 (samples,) at this rate: channels averaged, resampled, a longer clip cut to its middle, a
    shorter one followed by silence."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.format not in AUDIO_FORMATS:
                raise Unreadable(f"format {file.format} is not accepted; accepted: {', '.join(AUDIO_FORMATS)}")
            if file.frames > MAX_SECONDS * min(file.samplerate, 48_000):
                raise Unreadable(f"more than the limit of {MAX_SECONDS:,} seconds")
            own, blocks = file.samplerate, []
            # A header may declare a wrong length, so memory is allocated while reading.
            while len(block := file.read(1 << 16, dtype="float32", always_2d=True)):
                blocks.append(block.mean(axis=1))
            wave = np.concatenate(blocks) if blocks else np.empty(0, dtype=np.float32)
    except (soundfile.SoundFileError, RuntimeError, TypeError, OverflowError, MemoryError) as error:
        raise Unreadable(_reason(error)) from None
    if not len(wave) or not np.isfinite(wave).all():
        raise Unreadable("no samples" if not len(wave) else "some of its samples are not finite")
    wave = resample(wave, own, rate)
    start = max(0, (len(wave) - samples) // 2)
    out = np.zeros(samples, dtype=np.float32)
    out[: len(wave[start : start + samples])] = wave[start : start + samples]
    return Prepared(out)


def resample(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """float32 (T,) -> float32 (about T * wanted / rate,), by a windowed sinc (Kaiser window, beta 12.3): flat to 0.91 of the lower
    Nyquist frequency, and more than 100 dB down beyond it."""
    if rate == wanted:
        return wave
    ratio = Fraction(wanted, rate)
    up, down = ratio.numerator, ratio.denominator
    kernels_PK = _kernels(up, down)
    half = kernels_PK.shape[1] // 2
    count = max(1, round(len(wave) * up / down))
    padded = np.pad(wave, (half, half + down))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernels_PK.shape[1])
    out = np.zeros(count, dtype=np.float32)
    for phase in range(min(up, count)):
        # Output n = phase, phase + up, … lies at n * down / up, in source samples.
        first, part = divmod(phase * down, up)
        rows = windows[first::down]
        places = out[phase::up]
        many = min(len(places), len(rows))
        places[:many] = rows[:many] @ kernels_PK[part]
    return out


@functools.lru_cache(maxsize=8)
def _kernels(up: int, down: int) -> np.ndarray:
    """The kernel (P, K) for every position between two source samples, p / up."""
    band = min(1.0, up / down)  # the lower Nyquist frequency, in that of the source
    half = math.ceil(90 / band)
    place_PK = np.arange(-half, half + 1) - np.arange(up)[:, None] / up
    window_PK = np.i0(12.3 * np.sqrt(np.maximum(0, 1 - (place_PK / (half + 1)) ** 2))) / np.i0(12.3)
    kernels_PK = np.sinc(place_PK * band * 0.955) * window_PK
    return (kernels_PK / kernels_PK.sum(axis=1, keepdims=True)).astype(np.float32)


# --- texts ------------------------------------------------------------------------------------------------------------
def read_text(data: bytes | str) -> str:
    """A text, or UTF-8 bytes: line ends become \\n, NUL characters are removed, unpaired surrogates replaced, and it is cut after
    100,000 characters."""
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Unreadable(f"not UTF-8: {error.reason} at byte {error.start}") from None
    text = data.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text[:MAX_CHARACTERS])
