"""Assigns the columns of a table to roles, for all media.

A column is specified (`--label-column`, …) exactly as the table writes it, or found by its usual names, ignoring case and
surrounding white space. Groups are found as `group`, splits as `split`, folds as `fold`. Sample weights are found only as
`sample_weight`: a column `weight` may mean grams, so it must be specified. Other columns are ignored, and a note lists them.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from whet.core.errors import DataError, unknown
from whet.core.language import Sentence, english
from whet.core.spec import DataSpec

USUAL = {
    "file": ("file", "path", "image", "filename", "file_name", "filepath", "file_path", "image_path", "img", "audio", "audio",
             "recording", "audio_path", "name"),
    "text": ("text", "sentence", "content", "review", "comment", "question", "message", "title", "document", "utterance", "query",
             "tweet", "body"),
    "label": ("label", "class", "target", "category", "y", "label_name", "class_name"),
    "split": ("split",),
    "group": ("group",),
    "weight": ("sample_weight",),
    "fold": ("fold",),
    "start": ("start",),
    "end": ("end",),
}  # fmt: skip
AS_IT_IS = DataSpec()
"""Default settings: every column by its usual name."""
_MISTAKABLE = ("weight", "weights")


class Columns:
    """The columns of one table by role. used: the role and the column of each that was requested and exists."""

    def __init__(self, frame: pd.DataFrame, spec: DataSpec, path: Path) -> None:
        self.frame, self.path = frame, path
        self._spec = spec
        self._names = [str(name) for name in frame.columns]
        self.used: dict[str, str] = {}

    def find(self, role: str) -> str | None:
        """The column specified for this role, or with a usual name; None where there is none."""
        wanted = getattr(self._spec, f"{role}_column", None)
        if wanted is not None:
            self._require_there(wanted)
        found = wanted or usual_column(self._names, role)
        if found is not None:
            self.used[role] = found
        return found

    def require(self, role: str) -> str:
        """Like `find`, but raises DataError where there is none."""
        found = self.find(role)
        if found is None:
            listed = ", ".join(USUAL[role][:4])
            raise DataError(
                f"{self.path}: no {role} column found among {', '.join(self._names)}; specify it with --{role}-column, "
                f"or rename it to {listed}"
            )
        return found

    def several(self, names: tuple[str, ...]) -> None:
        """Columns of 0 and 1, one per class."""
        for name in names:
            self._require_there(name)
            self.used[f"class {name}"] = name

    def _require_there(self, name: str) -> None:
        if name not in self._names:
            raise DataError(unknown("column", name, self._names, str(self.path)))

    @property
    def read(self) -> dict[str, str]:
        """The columns for files, texts and labels, by their keys in DataSpec."""
        return {f"{role}_column": self.used[role] for role in ("file", "text", "label") if role in self.used}

    def notes(self) -> tuple[Sentence, ...]:
        """The role of each column, and the unused columns."""
        used = ", ".join(role if role == name else f"{role} ('{name}')" for role, name in self.used.items())
        others = [name for name in self._names if name and name not in self.used.values()]
        if not others:
            return (english("{table}: columns {used}", table=self.path.name, used=used),)
        values = {"table": self.path.name, "used": used, "others": ", ".join(others)}
        weighing = [name for name in others if name.strip().lower() in _MISTAKABLE]
        if not weighing:
            return (english("{table}: columns {used}; not used: {others}", **values),)
        return (
            english(
                "{table}: columns {used}; not used: {others} (sample weights only with --weight-column {weight})",
                **values,
                weight=weighing[0],
            ),
        )


def usual_column(names: list[str], role: str) -> str | None:
    """The first of the role's usual names that exists; lower-case spellings take precedence."""
    lowered: dict[str, str] = {}
    for name in names:
        lowered.setdefault(name.strip().lower(), name)
    lowered |= {name: name for name in names if name == name.strip().lower()}
    return next((lowered[usual] for usual in USUAL[role] if usual in lowered), None)
