"""The preview of a recipe on texts or audio clips, as a page."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from whet.core.recipe import Recipe
from whet.data.media import USUAL_RATE
from whet.report import build_preview_page
from whet.training.preview import Row
from whet.training.sample_files import write_preview


class PreviewPage:
    """The rows of a preview as a page."""

    def __init__(self, rows: Sequence[Row], recipe: Recipe) -> None:
        self._rows, self._recipe = rows, recipe

    def save(self, path: Path) -> None:
        """Write a self-contained page."""
        with tempfile.TemporaryDirectory() as folder:
            rows = write_preview(self._rows, Path(folder), USUAL_RATE)
            build_preview_page(path, rows, Path(folder), self._recipe)
