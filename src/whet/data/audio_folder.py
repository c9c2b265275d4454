"""Reads audio clips from class folders, or from a table that may refer to segments of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from whet.core.spec import DataSpec
from whet.data.columns import AS_IT_IS
from whet.data.folder import AUDIO_FILES, read_folder
from whet.data.table import Table, read_table


def read_audio(path: Path, spec: DataSpec = AS_IT_IS) -> Table:
    """The samples of a folder or a table, with the columns start and end (seconds, NaN for the file's own), and fold where the
    table has it. The contents are not hashed yet."""
    if path.is_dir():
        table = read_folder(path, AUDIO_FILES, spec.class_folder)
        return table.with_frame(table.frame.assign(start=np.nan, end=np.nan))
    return read_table(path, spec, parts=True)
