"""Writing of output files. Only this module deletes or replaces anything below a folder that the user names.

A folder is claimed before anything is written to it: `claim` writes the marker `.whet.json` into a new or empty folder, and rejects
any other folder without this marker. Below a claimed folder only whet's own files are removed, so the user's files stay.
A single file is overwritten only on request, and an input file never.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from whet.core.errors import OutputError
from whet.core.writing import writing

MARKER = ".whet.json"
_LIST = ".whet-files.txt"  # the files of a result whose names depend on its samples, one a line as JSON
_WORK = re.compile(r"\..+\.([0-9]+)-[0-9]+")  # the name of a temporary folder: .NAME.PROCESS-NUMBER


@dataclass(frozen=True)
class OutputFolder:
    """A folder with the marker. kind: what it holds: run, check, group, label, study, tune, improve,
    architectures, bundle, page or corrections."""

    path: Path
    kind: str


def kind_of(path: Path) -> str | None:
    """The kind of a folder according to its marker; None without a marker."""
    try:
        found = json.loads((path / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found["kind"] if isinstance(found, dict) and isinstance(found.get("kind"), str) else None


def require_claimable(path: str | Path, kind: str, *, data: Iterable[str | Path | None] = ()) -> None:
    """Raise OutputError where `claim` would reject this folder. Writes nothing."""
    path = Path(path)
    for given in data:
        for found in () if given is None else _found(given):
            _refuse_data(path, found)
    if not path.exists():
        _require_room(path)
        return
    if not path.is_dir():
        raise OutputError(f"{path} is a file; choose another --out, a new or empty folder")
    held = kind_of(path)
    if held is None and (first := next(path.iterdir(), None)) is not None:
        raise OutputError(
            f"{path} is not empty and was not written by whet: it holds '{first.name}'; choose another --out, a new or empty folder"
        )
    if held not in (None, kind):
        raise OutputError(f"{path} holds another kind of result ({held}, not {kind}); choose another --out")


def _require_room(path: Path) -> None:
    """Raise OutputError where a new folder cannot be created. Tests this by creating one and removing it, because permissions do
    not reveal a read-only or full file system."""
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        Path(tempfile.mkdtemp(prefix=".whet-", dir=parent)).rmdir()
    except OSError as error:
        raise OutputError(f"folder {path} cannot be written: {error.strerror}; choose another --out") from None


def claim(path: str | Path, kind: str, *, data: Iterable[str | Path | None] = ()) -> OutputFolder:
    """Claim a folder for this kind of result: a new or empty folder, or one claimed for the same kind before.

    data: the samples to be read. OutputError where the folder holds anything else, where it equals, contains or lies inside the
    data (links are followed), or where it cannot be written.
    """
    path = Path(path)
    require_claimable(path, kind, data=data)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if kind_of(path) is None:
            write_whole(path / MARKER, json.dumps({"kind": kind}) + "\n")
        elif not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise OutputError(f"folder {path} cannot be written: {error.strerror}; choose another --out") from None
    return OutputFolder(path, kind)


def claim_file(
    path: str | Path, *, inputs: Iterable[str | Path] = (), data: str | Path | None = None, force: bool = False
) -> Path:
    """A file to be written after the work. Raises OutputError before the work where its folder is missing or not writable; where
    the file exists and `force` is false; and always where it is one of the inputs (a file, below a folder, or matched by a
    pattern), lies in the data, or belongs to a folder that whet wrote."""
    path = Path(path)
    if data is not None:
        _refuse_data(path, Path(data).expanduser())
    if path.is_dir():
        raise OutputError(f"--out {path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise OutputError(f"--out {path}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"--out {path} cannot be written: Permission denied")
    if not path.exists():
        return path
    for given in inputs:
        if _reads(str(given), path):
            raise OutputError(f"--out {path} is an input and is never overwritten; choose another name")
    if (owner := _owner(path)) is not None:
        raise OutputError(f"--out {path} belongs to {owner}, which whet wrote; choose another name")
    if not force:
        raise OutputError(f"--out {path} exists already; choose another name, or --force to overwrite it")
    return path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file atomically. Text is written unchanged as UTF-8, with the line ends of the caller."""
    whole = content if isinstance(content, bytes) else content.encode()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path, len(whole)):
        with beside.open("wb") as handle:
            handle.write(whole)
        os.replace(beside, path)


@contextlib.contextmanager
def work_folder(place: Path) -> Iterator[Path]:
    """An empty hidden folder beside `place`, to be filled and then moved there by `put`; removed at the end of the block. Folders
    left by killed processes are removed first, if they lie in a folder that whet wrote."""
    for old in place.parent.glob(".*"):
        match = _WORK.fullmatch(old.name)
        if match and int(match[1]) != os.getpid() and old.is_dir() and _owner(old) is not None:
            shutil.rmtree(old, ignore_errors=True)
    for number in itertools.count():
        beside = place.with_name(f".{place.name}.{os.getpid()}-{number}")
        with contextlib.suppress(FileExistsError):
            beside.mkdir()
            break
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def put(work: Path, place: Path, last: str = "") -> None:
    """Move the contents of a temporary folder to its place: at once where nothing is there yet, else file by file, the file named
    `last` at the end. Files with other names stay."""
    if not place.exists() or not any(place.iterdir()):
        os.rename(work, place)
        return
    for path in sorted(work.rglob("*"), key=lambda path: path.name == last):
        if path.is_file():
            (place / path.relative_to(work)).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place / path.relative_to(work))


def remove(path: Path, *names: str) -> None:
    """Delete a file that whet wrote; or, in a folder, the files with these names or patterns, and the folder if it is then empty.
    Missing files are ignored. OutputError for anything outside a claimed folder."""
    if _owner(path) is None:
        raise OutputError(f"{path} is not inside a folder that whet wrote; nothing is deleted")
    if not names:
        path.unlink(missing_ok=True)
        return
    for file in [found for name in names for found in path.glob(name)]:
        if file.is_file() or file.is_symlink():
            file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it does not exist, or holds the user's files
        path.rmdir()


def empty(folder: Path) -> None:
    """Delete a folder that whet wrote, with all folders in it. Nothing happens where it does not exist."""
    for path in sorted((one for one in folder.rglob("*") if one.is_dir()), reverse=True):
        remove(path, "*")
    remove(folder, "*")


def record(folder: Path, *names: str) -> None:
    """Before files of a claimed folder are written: note their paths below it, for `recorded` and `remove_recorded`."""
    with (folder / _LIST).open("a", encoding="ascii") as handle:
        handle.writelines(json.dumps(name) + "\n" for name in names)


def recorded(folder: Path) -> list[str]:
    """The files that were noted by `record`."""
    try:
        lines = (folder / _LIST).read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    names = []
    for line in lines:
        with contextlib.suppress(ValueError):  # cut off, so its file was not written yet
            names.append(str(json.loads(line)))
    return names


def remove_recorded(folder: Path) -> None:
    """Delete the files of an earlier result of a claimed folder, and its folders that are then empty. Other files stay."""
    for name in recorded(folder):
        place = folder / name
        if place.parent.resolve().is_relative_to(folder.resolve()):
            remove(place)
            if place.parent != folder:
                remove(place.parent, glob.escape(place.name))
    remove(folder / _LIST)


def _owner(path: Path) -> Path | None:
    """The nearest parent folder with the marker."""
    return next((folder for folder in path.absolute().parents if kind_of(folder) is not None), None)


def _found(given: str | Path) -> list[Path]:
    """A file or folder, or the files that match a pattern."""
    path = Path(given).expanduser()
    return [path] if path.exists() else [Path(name) for name in glob.glob(str(path), recursive=True)]


def _refuse_data(path: Path, data: Path) -> None:
    if not data.exists():
        return
    ours, theirs = path.expanduser().resolve(), data.resolve()
    if ours == theirs:
        raise OutputError(f"{path} is the data itself; choose another --out")
    if theirs in ours.parents:
        raise OutputError(
            f"{path} lies inside the data {data}, and would be read as part of it; choose an --out outside"
        )
    if ours in theirs.parents:
        raise OutputError(f"{path} holds the data {data}; choose another --out")


def _reads(given: str, path: Path) -> bool:
    """Whether an input refers to this existing file."""
    source = Path(os.path.expanduser(given))  # a text may begin with ~ without naming a user
    try:
        if source.is_dir():
            return path.resolve().is_relative_to(source.resolve())
        if source.exists():
            return path.samefile(source)
    except (OSError, ValueError):  # a text longer than a file name can be
        return False
    return any(path.samefile(name) for name in glob.glob(str(source), recursive=True))
