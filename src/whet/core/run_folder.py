"""The run folder: the interface between training, report, study and export.

runs/<name>/  requested.yaml (the recipe as given)  recipe.yaml (every auto resolved)  environment.json  data.json  splits.csv
              log.jsonl  checkpoints/  model/  evidence.npz  predictions.csv  metrics.json  samples/  mistakes/
              examples/  feature_map/  report.html  DONE
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
import re
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.core import strict_json
from whet.core.errors import BusyError, Ended, RecipeError, RunError, WhetError
from whet.core.output import claim, remove, require_claimable, write_whole
from whet.core.task import Task, task_named

if TYPE_CHECKING:
    import pandas as pd


class RunFolder:
    """Paths and small files of one run. Files are written atomically: to a temporary file first, which is then renamed."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.requested = self.path / "requested.yaml"
        self.environment = self.path / "environment.json"
        self.data = self.path / "data.json"
        self.splits = self.path / "splits.csv"
        self.log = self.path / "log.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.start = self.checkpoints / "start"  # the initial network, until the run is finished
        self.model = self.path / "model"
        self.external_models = self.path / "external_models"
        self.evidence = self.path / "evidence.npz"
        self.predictions = self.path / "predictions.csv"  # the same predictions, in readable form
        self.metrics = self.path / "metrics.json"
        self.samples = self.path / "samples"
        self.made_masks = self.path / "made_masks"  # of training images without masks
        self.pseudo_labels = self.path / "pseudo_labels"  # of unlabelled samples that are trained on
        self.mistakes = self.path / "mistakes"
        self.examples = self.path / "examples"  # of each class
        self.feature_map = self.path / "feature_map"  # the samples in two dimensions
        self.worst_images = self.path / "worst_images"
        self.report = self.path / "report.html"
        self.failure = self.path / "failure.json"  # the reason why the last attempt failed
        self.done = self.path / "DONE"

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def finished(self) -> bool:
        return self.done.is_file()

    @property
    def task(self) -> Task:
        """The task of this finished run."""
        return task_named(self.read_json(self.metrics)["task"])

    @property
    def begun(self) -> bool:
        """Whether the folder holds a run that can be resumed. Before its settings are resolved, another run may use the folder."""
        return self.recipe.is_file() or self.external_models.exists()

    def require_new(self, *data: str | Path | None) -> None:
        """Raise RunError where `create` would reject this folder. Writes nothing."""
        if self.begun or self.finished:
            state = "finished" if self.finished else f"unfinished; continue it with --resume {self.path}"
            raise RunError(f"{self.path} already holds a run ({state}); choose another --out")
        require_claimable(self.path, "run", data=data)

    @classmethod
    def create(cls, path: str | Path, *data: str | Path | None) -> RunFolder:
        """Create a new run folder. A folder that already holds a run is rejected, as is one that `whet.core.output.claim` rejects.
        data: the training data."""
        folder = cls(path)
        folder.require_new(*data)
        claim(path, "run", data=data)
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        folder = cls(path)
        if not folder.requested.is_file():
            raise RunError(f"{path} is not a run folder: it has no requested.yaml")
        return folder

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder for this process; a second process gets BusyError at once. The lock is released when the process ends."""
        handle = (self.path / ".lock").open("a+")
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                handle.seek(0)
                raise BusyError(
                    f"run folder {self.path} is in use by {handle.read().strip() or 'another process'}"
                ) from None
            handle.seek(0)
            handle.truncate()
            handle.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            handle.flush()
            yield
        finally:
            handle.close()

    def require_free(self) -> None:
        """Raise BusyError where another process is using this folder."""
        with self.lock():
            pass

    def write_failure(self, reason: str | Exception) -> None:
        """Write failure.json. reason: an error, or a text."""
        trace = ""
        if isinstance(reason, Exception):
            trace = "".join(traceback.format_exception(reason))
            reason = str(reason) if isinstance(reason, WhetError) else f"{type(reason).__name__}: {reason}"
        strict_json.write(self.failure, {"reason": reason, "traceback": trace})

    @contextlib.contextmanager
    def recording_failure(self) -> Iterator[None]:
        """Save the reason why the block fails; that of an earlier attempt is removed. A run that is stopped, or ended on purpose,
        has not failed."""
        if self.failure.exists():  # the cause may be gone
            remove(self.failure)
        try:
            yield
        except Ended:
            raise
        except Exception as error:
            with contextlib.suppress(OSError, WhetError):  # such as a full disk, which is then the error to show
                self.write_failure(error)
            raise

    def read_json(self, path: Path) -> Any:
        if not path.is_file():
            raise RunError(
                f"{path} is missing: the run has not finished" if not self.finished else f"{path} is missing"
            )
        return json.loads(path.read_text(encoding="utf-8"))

    def read_predictions(self) -> pd.DataFrame:
        """predictions.csv: id, split, label, predicted, confidence, and p:<class> for every class. Where a sample may have several
        classes, label and predicted are lists of names (see `core.labels`)."""
        import pandas as pd

        if not self.predictions.is_file():
            raise RunError(f"{self.path} has no predictions: the run has not finished")
        words = dict.fromkeys(("id", "label", "predicted"), str)
        return pd.read_csv(self.predictions, dtype=words, keep_default_na=False)

    def log_records(self) -> list[dict[str, Any]]:
        if not self.log.is_file():
            return []
        records = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:  # incomplete last line of a killed run
                break
        return records


def finished_run(where: str, path: str) -> RunFolder:
    """The finished run at `path`; `where` is the name of the setting, for the error message."""
    folder = RunFolder(Path(path).expanduser())
    if not folder.finished:
        raise RecipeError(f"{where}: no finished run found there; accepted: a run folder that holds DONE and model/")
    return folder


def next_name(parent: Path, stem: str) -> Path:
    """The first of stem-1, stem-2, … that does not exist yet."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-.") or "run"
    number = 1
    while (parent / f"{stem}-{number}").exists():
        number += 1
    return parent / f"{stem}-{number}"


def write_csv(path: Path, header: list[str], rows: list[list[Any]], *, exact: bool = False) -> None:
    """Write a CSV whose cells a spreadsheet does not read as formulas. exact: write the values unchanged, for data files."""
    cell = (lambda value: value) if exact else plain_cell
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([cell(name) for name in header])
    writer.writerows([cell(value) for value in row] for row in rows)
    write_whole(path, text.getvalue())


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain_cell(value: Any) -> Any:
    """Prefix a quote to text that a spreadsheet would run as a formula, and to text that already has such a prefix."""
    return f"'{value}" if isinstance(value, str) and value.lstrip("'").startswith(_FORMULA) else value
