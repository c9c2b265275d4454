"""Samples measured by their headers alone, before anything is decoded; and the types of content that are accepted."""

from __future__ import annotations

import io

from whet.bundle import Unreadable
from whet.bundle.samples import AUDIO_FORMATS, IMAGE_FORMATS
from whet.serving.settings import Settings

_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "WAVEX": ".wav", "RF64": ".wav", "AIFF": ".aif"}


class TooLarge(Unreadable):
    """A sample that is small as a file and large once decoded."""


def accepted_types(medium: str) -> tuple[str, ...]:
    """The content types of one sample, `image/*` or `text/plain`."""
    return ("text/plain", "application/json") if medium == "text" else (f"{medium}/*",)


def is_accepted(content_type: str, medium: str) -> bool:
    """Whether a sample may be sent with this value of Content-Type."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [part for part in parameters if part.startswith("charset=")]
    if any(one.split("=", 1)[1].strip('"') not in {"utf-8", "us-ascii"} for one in charsets):
        return False
    return kind in accepted_types(medium) or (medium != "text" and kind.startswith(f"{medium}/") and kind[6:] != "")


def require_moderate(sample: bytes | str, medium: str, settings: Settings) -> None:
    """Raise TooLarge for an image of more than `max_pixels`, or a clip of more than `max_values` numbers. Other faults are left to
    the decoder."""
    if isinstance(sample, str):
        return
    if medium == "image" and (pixels := _pixels(sample)) > settings.max_pixels:
        raise TooLarge(f"{pixels:,} pixels exceed the limit of {settings.max_pixels:,}")
    if medium == "audio" and (values := _audio(sample)[1]) > settings.max_values:
        raise TooLarge(f"{values:,} values (frames times channels) exceed the limit of {settings.max_values:,}")


def suffix(sample: bytes | str, medium: str) -> str:
    """The usual end of the name of such a file: .jpg, .wav, .txt. For samples that can be read."""
    if medium == "text" or isinstance(sample, str):
        return ".txt"
    if medium == "audio":
        name = _audio(sample)[0]
    else:
        from PIL import Image

        with Image.open(io.BytesIO(sample), formats=IMAGE_FORMATS) as image:
            name = image.format or ""
    return _SUFFIXES.get(name, f".{name.lower()}")


def _pixels(sample: bytes) -> int:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(sample), formats=IMAGE_FORMATS) as image:
            return image.width * image.height
    except Image.DecompressionBombError as error:
        raise TooLarge(str(error)) from None
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, OverflowError, TypeError, AttributeError,
            ArithmeticError, AssertionError, MemoryError):  # fmt: skip
        return 0


def _audio(sample: bytes) -> tuple[str, int]:
    """(format, frames times channels); ("", 0) where it cannot be read."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(sample)) as file:
            known = file.format in AUDIO_FORMATS
            return (file.format, file.frames * file.channels) if known else ("", 0)
    except (soundfile.SoundFileError, RuntimeError, TypeError, OverflowError, MemoryError):
        return "", 0
