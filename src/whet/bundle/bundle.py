"""The bundle as whet uses it: the class of the bundle's own predict.py, with whet's errors."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Self

from whet.bundle import predict
from whet.core.errors import RunError

NEEDED = "exported models need onnxruntime; install it with pip install whet[export]"


class Bundle(predict.Bundle):
    """See `whet.bundle.predict.Bundle`."""

    @classmethod
    def read(cls, path: str | Path, *, threads: int = 0) -> Self:
        """Load a bundle and verify its checksums. threads: for one batch, 0 for as many as there are cores. RunError for a folder
        that is no bundle, or names the file that was changed or damaged."""
        if importlib.util.find_spec("onnxruntime") is None:
            raise RunError(NEEDED)
        try:
            return super().read(path, threads=threads)
        except predict.BundleError as error:
            raise RunError(str(error)) from None
