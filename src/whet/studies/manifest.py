"""What the work in a folder is of, written down once: a folder is never gone on with as something else."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from whet.core.errors import RunError
from whet.core.run_folder import write_whole


def agreed(file: Path, asked: dict[str, Any], what: str, as_before: Sequence[str] = ()) -> dict[str, Any]:
    """What the file says, written where it does not exist yet. as_before: keys that stay as they were, whatever is asked now (what
    follows from the machine). RunError where anything else differs, with the lines that do; `what` is the kind of work."""
    if not file.is_file():
        write_whole(file, _text(asked))
        return asked
    kept: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    asked = {**asked, **{key: kept[key] for key in as_before}}
    lines = list(difflib.unified_diff(_text(kept).splitlines(), _text(asked).splitlines(), n=0, lineterm=""))[2:]
    if lines:
        listed = "".join(f"\n  {line}" for line in lines[:20] if not line.startswith("@@"))
        raise RunError(f"{file.parent} holds a {what} of something else; choose another --out. What differs:{listed}")
    return kept


def _text(asked: dict[str, Any]) -> str:
    return yaml.safe_dump(asked, sort_keys=False, allow_unicode=True)
