"""The labelled table that follows from a grouping whose groups a person has named (`whet group FOLDER --names`).

The rules:
- Groups with the same name become one class; a group whose name is empty or missing is left out.
- An unsure sample is left out, whatever its group: unsure.csv lists all of them, to be labelled, or for `--unlabelled`.
- groups.csv may be edited: a sample with another number moves to that group, one with unsure = 0 is taken, a removed row is left
  out."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from whet.core.errors import DataError, OutputError
from whet.core.output import kind_of, record, recorded, remove
from whet.core.run_folder import write_csv
from whet.data.cells import missing, read_cells

KIND, GROUPS, NAMES = "group", "groups.csv", "names.yaml"
LABELLED, UNSURE, _FOLDER = "labelled.csv", "unsure.csv", "labelled"
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # every value is text: a class may be called no or 1
_TRUE, _FALSE = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no", ""}
_CONTENT = ("file", "text", "start", "end")
_PARTS = {"train", "val", "valid", "validation", "dev", "test"}


@dataclass(frozen=True)
class Named:
    """counts: the samples of each class. unnamed: samples of groups without a name. unsure: samples left out as unsure. table,
    unsure_table: what was written; the second is None if there is nothing unsure. folder: of the links, if any."""

    counts: dict[str, int]
    unnamed: int
    unsure: int
    table: Path
    unsure_table: Path | None
    folder: Path | None


def read_names(path: Path) -> dict[int, str]:
    """The name of each group, "" where it has none. DataError for anything else than a mapping from numbers to names."""
    try:
        plain = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read as YAML: {error}") from None
    if not isinstance(plain, dict):
        raise DataError(f"{path}: accepted: one line for each group, such as 1: glass")
    found = {}
    for key, name in plain.items():
        if not str(key).isdecimal() or not isinstance(name, str):
            raise DataError(f"{path}: '{key}: {name}'; accepted: the number of a group, and its name")
        found[int(key)] = name.strip()
    return found


def label_by_names(folder: str | Path, *, links: bool = False) -> Named:
    """Write labelled.csv and unsure.csv into the folder of a grouping, by its groups.csv and names.yaml. links: also class folders
    with a link to each file, below labelled/. Replaces what an earlier call wrote. Raises DataError for names of groups that do not
    exist, or if no group has a name; OutputError if the folder holds no grouping."""
    folder = Path(folder)
    if kind_of(folder) != KIND or not (folder / GROUPS).is_file():
        raise OutputError(f"{folder} holds no groups; accepted: the --out folder of whet group")
    names = read_names(folder / NAMES)
    table = _read_groups(folder / GROUPS)
    if unknown := sorted(set(names) - set(table["group"])):
        raise DataError(f"{folder / NAMES}: group {unknown[0]} does not exist in {GROUPS}")
    if not any(names.values()):
        raise DataError(f"{folder / NAMES} names no group; write a name after the number of each group to be used")
    label_N = table["group"].map(lambda number: names.get(number, ""))
    kept_N = (label_N != "") & ~table["unsure"]
    content = [name for name in _CONTENT if name in table]
    labelled, unsure = table[content].assign(label=label_N)[kept_N], table[content][table["unsure"]]
    if links:
        _require_linkable(labelled, folder)
    for name in recorded(folder):
        if name.startswith(f"{_FOLDER}/"):
            remove((folder / name).parent, glob.escape(Path(name).name))
    write_csv(folder / LABELLED, list(labelled), labelled.to_numpy().tolist(), exact=True)
    remove(folder / UNSURE)
    if len(unsure):
        write_csv(folder / UNSURE, list(unsure), unsure.to_numpy().tolist(), exact=True)
    if links:
        _link(labelled, folder)
    return Named(
        dict(Counter(labelled["label"])),
        int(((label_N == "") & ~table["unsure"]).sum()),
        len(unsure),
        folder / LABELLED,
        folder / UNSURE if len(unsure) else None,
        folder / _FOLDER if links else None,
    )


def _read_groups(path: Path) -> pd.DataFrame:
    cells = read_cells(path).frame
    if lacking := {"id", "group", "unsure"} - set(cells):
        raise DataError(f"{path}: the column '{sorted(lacking)[0]}' is missing")
    cells = cells.map(lambda cell: "" if missing(cell) else str(cell))
    for line, number, unsure in zip(cells.index, cells["group"], cells["unsure"]):
        if not number.strip().removesuffix(".0").isdecimal():
            raise DataError(f"{path}, row {line}: group '{number}'; accepted: the number of a group")
        if unsure.strip().lower() not in _TRUE | _FALSE:
            raise DataError(f"{path}, row {line}: unsure '{unsure}'; accepted: 0 or 1")
    return cells.assign(
        group=[int(number.strip().removesuffix(".0")) for number in cells["group"]],
        unsure=[unsure.strip().lower() in _TRUE for unsure in cells["unsure"]],
    )


def _require_linkable(labelled: pd.DataFrame, folder: Path) -> None:
    """Raise an error where class folders cannot be made."""
    if "file" not in labelled or {"start", "end"} & {c for c in labelled if (labelled[c] != "").any()}:
        raise DataError(f"{folder}: only whole files can be linked, not texts or segments; use {LABELLED}")
    for name in labelled["label"].unique():
        if "/" in name or "\0" in name or name.startswith(".") or name.lower() in _PARTS:
            raise DataError(
                f"{folder / NAMES}: '{name}' cannot be the name of a class folder (no /, no . in front, not the name of a split)"
            )


def _link(labelled: pd.DataFrame, folder: Path) -> None:
    rows = list(labelled[["file", "label"]].itertuples(index=False))
    for name, (file, label) in zip(_link_names([file for file, _ in rows]), rows):
        place = folder / _FOLDER / label / name
        record(folder, place.relative_to(folder).as_posix())
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to((folder / file).absolute().resolve())
        except OSError as error:
            raise OutputError(f"{place} cannot be written: {error.strerror or error}") from None


def _link_names(names: Sequence[str]) -> list[str]:
    """The name of each file; with the names of its folders where several files have the same name."""
    short = [os.path.basename(name) for name in names]
    twice = {name for name, count in Counter(short).items() if count > 1}
    parts = [[part for part in name.split("/") if part not in (".", "..")] for name in names]
    return ["__".join(part) if name in twice else name for part, name in zip(parts, short)]
