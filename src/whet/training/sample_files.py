"""Samples written where people look at them, or listen: images as small JPEG files, texts as they are, sounds as a spectrogram
and what a player takes; and why a network answered as it did."""

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
from whet.data.image import UnreadableImage
from whet.data.image import decode as decode_image
from whet.data.media import USUAL_RATE
from whet.explain import AudioHeat, Explanation, ImageHeat
from whet.models.mel import LogMel, MelSettings
from whet.training.preview import Row, listed

_THUMBNAIL, _LETTERS, _SECONDS = 320, 600, 10
_LOUDEST = 60.0  # decibels of a spectrogram that are shown


def write_sample(content: Any, folder: Path, stem: str, rate: int = USUAL_RATE) -> dict[str, str]:
    """A painted sample: what a page shows of it, {"image": …, "audio": …}, the names of files in `folder`, or {"text": …}.
    rate: of
    a wave, in samples a second."""
    if isinstance(content, str):
        return {"text": content if len(content) <= _LETTERS else content[:_LETTERS] + " …"}
    if isinstance(content, tuple):
        wave, mel_LM = content
        return _write_audio(wave, mel_LM, folder, stem, rate)
    if content.ndim == 1:
        return _write_audio(content, _log_mel(content, rate), folder, stem, rate)
    return {"image": _write_image(content, folder, stem)}


def write_explanation(explanation: Explanation, folder: Path, stem: str, letters: int = _LETTERS) -> dict[str, Any]:
    """What a page shows of an explanation: {"heat": the name of an image in `folder`}, or {"pieces": [[a piece of the text, what
    it adds to the evidence for the class or null], …], "lacking": see `WordHeat`} of so many letters at most."""
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
    """The samples of a sheet into a folder; the rows as JSON takes them, with what a page shows of each tile."""
    told = listed(rows)
    for r, (row, plain) in enumerate(zip(rows, told)):
        plain["original"] = write_sample(row.original, folder, f"{r}-0", rate)
        for column, (tile, variant) in enumerate(zip(row.variants, plain["variants"]), start=1):
            variant |= write_sample(tile.content, folder, f"{r}-{column}", rate)
    return told


def write_row(row: pd.Series, medium: str, folder: Path, stem: str) -> dict[str, str] | None:
    """The same of a row of the table of samples; None where it can no longer be read."""
    if medium == "text":
        return write_sample(row["text"], folder, stem)
    try:
        if medium == "audio":
            start, end = (None if np.isnan(row[side]) else float(row[side]) for side in ("start", "end"))
            return write_sample(decode_audio(Path(row["path"]), USUAL_RATE, start, end), folder, stem)
        pixels = decode_image(Path(row["path"]).read_bytes())
    except (OSError, UnreadableImage, UnreadableAudio):
        return None
    shrink = min(1.0, _THUMBNAIL / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * shrink)), max(1, round(pixels.shape[0] * shrink)))
    return write_sample(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), folder, stem)


def _write_image(pixels: np.ndarray, folder: Path, stem: str) -> str:
    data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    (folder / f"{stem}.jpg").write_bytes(data.tobytes())
    return f"{stem}.jpg"


def _write_audio(wave: np.ndarray, mel_LM: np.ndarray, folder: Path, stem: str, rate: int) -> dict[str, str]:
    heard = np.clip(wave[: _SECONDS * rate], -1, 1)
    soundfile.write(folder / f"{stem}.ogg", heard, rate, format="OGG", subtype="VORBIS")
    return {"audio": f"{stem}.ogg", **write_sample(_coloured(mel_LM), folder, stem)}


def _log_mel(wave: np.ndarray, rate: int) -> np.ndarray:
    with torch.inference_mode():
        heard = torch.from_numpy(np.ascontiguousarray(wave[: _SECONDS * rate]))
        return LogMel(MelSettings().at_rate(rate))(heard[None])[0, 0].numpy()


def _coloured(mel_LM: np.ndarray) -> np.ndarray:
    """A log-mel spectrogram as an image, low at the bottom, RGB uint8."""
    decibels = mel_LM.T[::-1] * (10 / np.log(10))
    share = np.clip(1 + (decibels - decibels.max()) / _LOUDEST, 0, 1)
    coloured = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return cv2.cvtColor(cv2.resize(coloured, (_THUMBNAIL, _THUMBNAIL // 2)), cv2.COLOR_BGR2RGB)
