"""The manifest of an output folder. It is written once, so that a folder is never resumed with different settings."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from whet.core.errors import RunError
from whet.core.run_folder import write_whole


def agreed(file: Path, requested: dict[str, Any], what: str, as_before: Sequence[str] = ()) -> dict[str, Any]:
    """Return the content of the file; write `requested` if it does not exist. as_before: keys that keep their saved value, because
    they depend on the machine. Raises RunError with a diff if anything else differs. what: the kind of work."""
    if not file.is_file():
        write_whole(file, _text(requested))
        return requested
    kept: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    requested = {**requested, **{key: kept[key] for key in as_before}}
    lines = list(difflib.unified_diff(_text(kept).splitlines(), _text(requested).splitlines(), n=0, lineterm=""))[2:]
    if lines:
        listed = "".join(f"\n  {line}" for line in lines[:20] if not line.startswith("@@"))
        raise RunError(
            f"{file.parent} contains a {what} with different settings; choose another --out. Differences:{listed}"
        )
    return kept


def _text(requested: dict[str, Any]) -> str:
    return yaml.safe_dump(requested, sort_keys=False, allow_unicode=True)
