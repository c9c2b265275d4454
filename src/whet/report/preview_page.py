"""The contact sheet of `whet augment`: rows of training images and their variants, each with the methods that changed it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, GREY, PAPER = (28, 32, 38), (110, 118, 128), (255, 255, 255)
_GAP, _LINE, _TEXT, _LEAST_TILE = 10, 15, 12, 150


class _Tile(Protocol):
    @property
    def content(self) -> np.ndarray: ...
    @property
    def methods(self) -> tuple[str, ...]: ...
    @property
    def target(self) -> tuple[tuple[str, float], ...]: ...


class _Row(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def original(self) -> np.ndarray: ...
    @property
    def variants(self) -> Sequence[_Tile]: ...


def contact_sheet(rows: Sequence[_Row]) -> Image.Image:
    """Draw one row per image: the original with its class, then its variants with the methods that changed them. The target is
    shown if mixing changed it. The captions are English, because the font has no other letters."""
    font = ImageFont.load_default(_TEXT)
    height, width = rows[0].original.shape[:2]
    zoom = max(1, -(-_LEAST_TILE // width))  # small images are enlarged to leave space for captions
    tile_width, tile_height = zoom * width, zoom * height
    captions = [
        [
            (row.label,),
            *(_wrapped(caption(tile.target, tile.methods, row.label), tile_width, font) for tile in row.variants),
        ]
        for row in rows
    ]
    lines = [max(len(caption) for caption in texts) for texts in captions]
    columns = 1 + len(rows[0].variants)
    size = (
        columns * (tile_width + _GAP) + _GAP,
        _GAP + _LINE + sum(tile_height + _GAP + count * _LINE + 4 for count in lines),
    )
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        text = "original" if column == 0 else f"epoch {column}"
        draw.text((_GAP + column * (tile_width + _GAP), 6), text, INK, font)
    y = _GAP + _LINE
    for row, texts, count in zip(rows, captions, lines):
        for column, pixels in enumerate((row.original, *(tile.content for tile in row.variants))):
            x = _GAP + column * (tile_width + _GAP)
            sheet.paste(Image.fromarray(pixels).resize((tile_width, tile_height), Image.Resampling.NEAREST), (x, y))
            for line, text in enumerate(texts[column]):
                draw.text((x, y + tile_height + 3 + line * _LINE), text, INK if column == 0 else GREY, font)
        y += tile_height + _GAP + count * _LINE + 4
    return sheet


def caption(
    target: Sequence[tuple[str, float]], methods: Sequence[str], label: str, unchanged: str = "unchanged"
) -> list[str]:
    """The names of the methods that changed the sample, preceded by the target if it is not only the sample's own class.
    unchanged: the caption if no method changed it."""
    mixed = [name for name, _ in target] != [label]
    shares = [" + ".join(f"{100 * share:.0f} % {name}" for name, share in target[:4]) + ":"] if mixed else []
    return [*shares, *(f"{name}," for name in methods[:-1]), *(methods[-1:] or [unchanged])]


def _wrapped(words: Sequence[str], width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[str, ...]:
    """Join words with spaces into lines of at most this width."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return tuple(lines)
