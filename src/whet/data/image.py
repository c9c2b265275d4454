"""Decodes one image file into RGB pixels, in the same way for training, prediction and reports.

Rules: the EXIF orientation is applied once. 16-bit images are scaled to 8 bits, not clipped; 32-bit integers are treated as 16-bit:
0 … 65535. In floating-point images 0 is black and 1 white. Values outside the range are clipped and non-finite values are black,
independent of the rest of the file: a scale per file would render the same object differently. `uncertain_pixels` counts both.
Palette and grey images become RGB. Transparent images get a white background. CMYK is converted. Only the first of several frames
or pages is used. Formats not listed and images above the pixel limit are rejected before decoding.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from whet.core.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 178_956_970  # Pillow's own limit; a header with more is treated as a decompression bomb
# Pillow warns about unusual metadata and about images of half its limit; only decoding decides whether a file is readable.
warnings.filterwarnings("ignore", module=r"PIL\.")

_TOP = {"F": 1.0, "I": 65535.0}  # the white level, by Pillow's mode
_OF_FRAMES = {"GIF", "TIFF", "WEBP", "PNG"}
_KEEP_BYTES = 12_000_000  # a larger image is decoded twice instead of being held while its batch is drawn

_UNTURN = {  # EXIF orientation -> transpose, then flip rows, then flip columns
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
_ORIENTATION, _MAKER, _MODEL, _CHANGED, _EXIF_PART, _TAKEN = 0x0112, 0x010F, 0x0110, 0x0132, 0x8769, 0x9003  # EXIF tags
_MAY_BE_TURNED = (b"eXIf", b"EXIF", b"Exif", b"exif", b"\x12\x01\x03\x00", b"\x01\x12\x00\x03", b"rientation")
_SWAPS = {turn for turn, (swap, _, _) in _UNTURN.items() if swap}
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, KeyError, IndexError, OverflowError, TypeError,
           AttributeError, ZeroDivisionError, AssertionError, MemoryError, Image.DecompressionBombError)  # fmt: skip


class UnreadableImage(DataError):
    """A file that is not an image in an accepted format, or is damaged or larger than the pixel limit."""


class ImageSample:
    """One image file. `size` is (height, width) after EXIF rotation. A JPEG is decoded when its pixels are requested, other formats
    immediately, because their header lacks required information. Raises UnreadableImage."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pixels: np.ndarray | None = None
        self._turn = 1
        self._stored_size = header = _jpeg_header(data)
        if header is None:
            pixels = _decode_pillow(data)
            self.size: tuple[int, int] = pixels.shape[:2]
            self._pixels = pixels if pixels.size <= _KEEP_BYTES else None
        else:
            self._turn = _orientation(data)
            self.size = header[::-1] if self._turn in _SWAPS else header

    def pixels(self, shrink: int = 1, buffer: np.ndarray | None = None, *, fine: bool = True) -> np.ndarray:
        """RGB uint8 (H, W, 3). `shrink` (1, 2, 4, 8): decode a JPEG directly to 1/shrink of its size; other formats are returned at
        full size. `buffer`: flat uint8 memory to decode into where it is large enough; the result is then valid only until the
        buffer's next use. fine: interpolate the subsampled chroma of a JPEG; False repeats it, which is a tenth faster and
        invisible in a downscaled image (59 dB)."""
        if self._pixels is not None:
            return self._pixels
        if self._stored_size is None:
            return _decode_pillow(self._data)
        height, width = (-(-side // shrink) for side in self._stored_size)
        if buffer is not None and buffer.size < height * width * 3:
            buffer = None
        try:
            pixels = simplejpeg.decode_jpeg(
                self._data, min_height=height, min_width=width, min_factor=shrink, buffer=buffer, fastupsample=not fine
            )
        except ValueError:  # libjpeg warnings: Pillow decides
            return _decode_pillow(self._data)
        return upright(pixels, self._turn)


def decode(data: bytes) -> np.ndarray:
    """The whole image, RGB uint8 (H, W, 3)."""
    return ImageSample(data).pixels()


@dataclass(frozen=True)
class Header:
    """The header of an image file. mode: Pillow's mode ("RGB", "L", "CMYK", "I;16" …). orientation: EXIF orientation, 1 for
    upright. camera: maker and model, taken: "2016:11:27 14:03:59"; both "" without EXIF data. frames: the number of frames or
    pages."""

    format: str
    mode: str
    orientation: int = 1
    camera: str = ""
    taken: str = ""
    frames: int = 1


def read_header(data: bytes) -> Header:
    """Read the header without decoding pixels. Raises UnreadableImage."""
    with _open(data) as image:
        plain = Header(image.format or "", image.mode, frames=_frames(image))
        if image.format == "JPEG" and not _has_exif(data):
            return plain
        try:
            exif = image.getexif()
            maker, model = (str(exif.get(tag, "")).strip("\0 ") for tag in (_MAKER, _MODEL))
            taken = exif.get_ifd(_EXIF_PART).get(_TAKEN) or exif.get(_CHANGED) or ""
            turn = exif.get(_ORIENTATION, 1)
        except DAMAGE:
            return plain
    camera = model if model.startswith(maker) else f"{maker} {model}".strip()
    turn = turn if isinstance(turn, int) and 1 <= turn <= 8 else 1
    return Header(plain.format, plain.mode, turn, camera, str(taken).strip("\0 "), plain.frames)


def stored_frame(data: bytes) -> tuple[tuple[int, int], int]:
    """((height, width) as stored, EXIF orientation, 1 for upright), without decoding pixels where possible. The beginning of a JPEG
    is enough. Raises UnreadableImage."""
    header = _jpeg_header(data)
    if header is not None:
        turn = _orientation(data)
    else:
        with _open(data) as image:
            header = (image.height, image.width)
            turn = 1
            if any(mark in data for mark in _MAY_BE_TURNED):  # for a PNG, Pillow decodes the pixels to look for it
                try:
                    turn = image.getexif().get(_ORIENTATION, 1)
                except DAMAGE:
                    turn = 1
            if image.format == "TIFF" and turn in _SWAPS:  # Pillow states the size of the upright image
                header = header[::-1]
    return header, turn if turn in _UNTURN else 1


def _frames(image: Image.Image) -> int:
    """The number of frames, for multi-frame formats; the second image in a phone's JPEG is not a frame."""
    if image.format not in _OF_FRAMES:
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except DAMAGE:
        return 1


def uncertain_pixels(data: bytes) -> tuple[int, int]:
    """(number of pixels outside the range from black to white, number of non-finite pixels), both 0 except in modes with more than
    16 bits. Raises UnreadableImage."""
    with _open(data) as image:
        if image.mode not in _TOP:
            return 0, 0
        try:
            image.load()
            values, top = np.asarray(image, dtype=np.float64), _TOP[image.mode]
        except DAMAGE as error:
            raise UnreadableImage(_reason(error, data)) from None
    finite = np.isfinite(values)
    outside = finite & ((values < -top / 510) | (values > top + top / 510))  # beyond the rounding error
    return int(outside.sum()), int((~finite).sum())


def _jpeg_header(data: bytes) -> tuple[int, int] | None:
    """(height, width) as stored, or None where Pillow must decode: not a JPEG, a damaged header, or CMYK."""
    if data[:3] != b"\xff\xd8\xff":
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError):  # KeyError: a damaged header with an unknown colour space
        return None
    _refuse_bomb(height, width)
    return None if colours in ("CMYK", "YCCK") else (height, width)


def _refuse_bomb(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise UnreadableImage(f"{width}x{height} pixels exceed the limit of {MAX_PIXELS:,}")


def _orientation(data: bytes) -> int:
    if not _has_exif(data):
        return 1
    with _open(data) as image:
        try:
            return image.getexif().get(_ORIENTATION, 1)
        except DAMAGE:
            return 1


def _has_exif(data: bytes) -> bool:
    """Whether the segments of a JPEG include EXIF data."""
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] not in (b"\xda", b"\xff", b""):
        if data[place + 1] == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
            return True
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return data[place : place + 2] != b"\xff\xda" and data.find(b"Exif\0\0", 0, 65536) >= 0


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation (2 … 8) of pixels (H, W, …); other values leave them unchanged."""
    if orientation not in _UNTURN:
        return pixels
    swap, flip_rows, flip_columns = _UNTURN[orientation]
    pixels = pixels.swapaxes(0, 1) if swap else pixels
    return np.ascontiguousarray(pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])


def _open(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except DAMAGE as error:
        raise UnreadableImage(_reason(error, data)) from None
    _refuse_bomb(image.height, image.width)
    return image


def _decode_pillow(data: bytes) -> np.ndarray:
    with _open(data) as opened:
        try:
            opened.load()
            return np.asarray(_to_rgb(ImageOps.exif_transpose(opened)))
        except DAMAGE as error:
            raise UnreadableImage(_reason(error, data)) from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        top = _TOP.get(image.mode, _TOP["I"])
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        return Image.fromarray((values.clip(0, top) * (255.0 / top)).round().astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


def _reason(error: BaseException, data: bytes) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return f"not an image of an accepted format ({', '.join(FORMATS)})"
    if isinstance(error, Image.DecompressionBombError):
        return f"more pixels than the limit of {MAX_PIXELS:,}"
    return str(error) or type(error).__name__
