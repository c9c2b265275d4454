"""Corrected samples, kept in one folder per class for the next training."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from whet.bundle import Bundle
from whet.core.errors import ServingError
from whet.core.output import claim, write_whole
from whet.serving.intake import suffix


class NoSpace(Exception):
    """The folder holds as much as it may."""


class Corrections:
    """A folder claimed for corrections: FOLDER/CLASS/DIGEST.jpg. OutputError where it holds anything else; ServingError where class
    folders cannot express the labels."""

    def __init__(self, folder: Path, bundle: Bundle, most: int) -> None:
        if bundle.info["decision"]["rule"] != "largest":
            raise ServingError("--corrections keeps one label per sample; this bundle predicts several, or masks")
        if wrong := [name for name in bundle.classes if not _is_folder_name(name)]:
            raise ServingError(f"--corrections writes a folder per class, and a folder cannot be named {wrong[0]!r}")
        self._folder = claim(folder, "corrections").path
        self._bundle, self._most, self._lock = bundle, most, threading.Lock()
        self.size = sum(path.stat().st_size for path in self._folder.glob("*/*") if path.is_file())

    def keep(self, data: bytes, label: str) -> str:
        """Write a sample that can be read into the folder of its label; the same sample with another label is kept once more.
        Returns the path below the folder. Raises Unreadable, and NoSpace beyond the limit."""
        self._bundle.prepare(data)
        name = f"{label}/{hashlib.sha256(data).hexdigest()[:24]}{suffix(data, self._bundle.medium)}"
        path = self._folder / name
        with self._lock:  # the same sample may arrive twice at once
            if not path.exists():
                if self.size + len(data) > self._most:
                    raise NoSpace
                path.parent.mkdir(exist_ok=True)
                write_whole(path, data)
                self.size += len(data)
        return name


def _is_folder_name(name: str) -> bool:
    return 0 < len(name.encode()) <= 255 and not name.startswith(".") and not set(name) & {"/", "\\", "\0"}
