"""Write samples and explanations as files for the report: images as small JPEG files, texts, audio as a spectrogram and an Ogg
file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import soundfile
import torch

from whet.data.audio import UnreadableAudio
from whet.data.audio import decode as decode_audio
from whet.data.image import ImageSample, UnreadableImage
from whet.data.media import USUAL_RATE
from whet.explain import AudioHeat, Explanation, ImageHeat
from whet.models.mel import LogMel, MelSettings
from whet.render.overlay import overlay
from whet.training.preview import Row, listed

_THUMBNAIL, _LETTERS, _SECONDS = 320, 600, 10
_LOUDEST = 60.0  # dynamic range of the displayed spectrogram, in decibels


def write_sample(content: Any, folder: Path, stem: str, rate: int = USUAL_RATE) -> dict[str, str]:
    """Write a rendered sample. Returns file names in `folder`, {"image": …, "audio": …}, or {"text": …}. rate: of a wave, in
    samples per second."""
    if isinstance(content, str):
        return {"text": content if len(content) <= _LETTERS else content[:_LETTERS] + " …"}
    if isinstance(content, tuple):
        wave, mel_LM = content
        return _write_audio(wave, mel_LM, folder, stem, rate)
    if content.ndim == 1:
        return _write_audio(content, _log_mel(content, rate), folder, stem, rate)
    return {"image": _write_image(content, folder, stem)}


def write_explanation(explanation: Explanation, folder: Path, stem: str, letters: int = _LETTERS) -> dict[str, Any]:
    """Write an explanation. Returns {"heat": the name of an image in `folder`}, or {"pieces": [[a piece of the text, its evidence
    for the class or null], …], "lacking": see `WordHeat`} with at most `letters` characters."""
    if isinstance(explanation, ImageHeat | AudioHeat):
        return {"heat": _write_image(explanation.drawn(), folder, f"{stem}-heat")}
    pieces: list[list[Any]] = []
    for piece in explanation.pieces:
        if len(piece.text) > letters:
            pieces.append([piece.text[:letters] + " …", piece.evidence])
            break
        letters -= len(piece.text)
        pieces.append([piece.text, None if piece.evidence is None else float(f"{piece.evidence:.4g}")])
    return {"pieces": pieces, "lacking": explanation.lacking}


def write_preview(rows: Sequence[Row], folder: Path, rate: int) -> list[dict[str, Any]]:
    """Write the samples of a preview into a folder. Returns the rows as JSON-serializable dicts with the content of each tile."""
    records = listed(rows)
    for r, (row, plain) in enumerate(zip(rows, records)):
        plain["original"] = write_sample(row.original, folder, f"{r}-0", rate)
        for column, (tile, variant) in enumerate(zip(row.variants, plain["variants"]), start=1):
            variant |= write_sample(tile.content, folder, f"{r}-{column}", rate)
    return records


def write_row(
    row: pd.Series, medium: str, folder: Path, stem: str, num_classes: int, pixels: int = _THUMBNAIL, seconds: float = _SECONDS
) -> dict[str, str] | None:  # fmt: skip
    """Write a row of the table of samples, an image with its mask drawn in, if it has one; None if it can no longer be read.
    pixels: of the longer side of an image. seconds: of a clip, from its start."""
    if medium == "text":
        return write_sample(row["text"], folder, stem)
    try:
        if medium == "audio":
            start, end = (None if np.isnan(row[side]) else float(row[side]) for side in ("start", "end"))
            wave = decode_audio(Path(row["path"]), USUAL_RATE, start, end)
            return write_sample(wave[: round(seconds * USUAL_RATE)], folder, stem)
        image = ImageSample(Path(row["path"]).read_bytes())
        shrink = 1 if "masks" in row else next(by for by in (8, 4, 2, 1) if by == 1 or max(image.size) >= by * pixels)
        content = image.pixels(shrink)
    except (OSError, UnreadableImage, UnreadableAudio):
        return None
    if "masks" in row and row["masks"].size == content.shape[:2]:
        content = overlay(content, row["masks"].class_map(), num_classes)
    return {"image": write_thumbnail(content, folder, stem, pixels)}


def write_thumbnail(pixels: np.ndarray, folder: Path, stem: str, longest: int = _THUMBNAIL) -> str:
    """Write an image in a small size. Returns its file name in `folder`. longest: the longer side, in pixels."""
    shrink = min(1.0, longest / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * shrink)), max(1, round(pixels.shape[0] * shrink)))
    return _write_image(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), folder, stem)


def _write_image(pixels: np.ndarray, folder: Path, stem: str) -> str:
    data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    (folder / f"{stem}.jpg").write_bytes(data.tobytes())
    return f"{stem}.jpg"


def _write_audio(wave: np.ndarray, mel_LM: np.ndarray, folder: Path, stem: str, rate: int) -> dict[str, str]:
    clip = np.clip(wave[: _SECONDS * rate], -1, 1)
    soundfile.write(folder / f"{stem}.ogg", clip, rate, format="OGG", subtype="VORBIS")
    return {"audio": f"{stem}.ogg", **write_sample(coloured_spectrogram(mel_LM), folder, stem)}


def _log_mel(wave: np.ndarray, rate: int) -> np.ndarray:
    with torch.inference_mode():
        clip = torch.from_numpy(np.ascontiguousarray(wave[: _SECONDS * rate]))
        return LogMel(MelSettings().at_rate(rate))(clip[None])[0, 0].numpy()


def coloured_spectrogram(mel_LM: np.ndarray) -> np.ndarray:
    """A log-mel spectrogram as an RGB uint8 image with low frequencies at the bottom."""
    decibels = mel_LM.T[::-1] * (10 / np.log(10))
    share = np.clip(1 + (decibels - decibels.max()) / _LOUDEST, 0, 1)
    coloured = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return cv2.cvtColor(cv2.resize(coloured, (_THUMBNAIL, _THUMBNAIL // 2)), cv2.COLOR_BGR2RGB)
