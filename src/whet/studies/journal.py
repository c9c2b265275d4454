"""The saved decisions of a study, so that a resumed study decides the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from whet.core import strict_json

T = TypeVar("T")


class Journal:
    """A JSON file that maps the name of each decision to its value."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def decided(self, what: str, decide: Callable[[], T]) -> T:
        """Return the saved decision, or make and save it. The value must be JSON-serializable."""
        if what not in self._kept:
            self._kept[what] = decide()
            strict_json.write(self._file, self._kept)
        found: T = self._kept[what]
        return found
