"""The list of the results in a folder: runs, studies, tunings, improvements, comparisons of architectures and compressions, with
their state and score. It reads the small files of the folders only, and no model."""

from __future__ import annotations

import fcntl
import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from whet.core.errors import RunError
from whet.core.language import Sentence, english
from whet.core.output import MARKER, kind_of
from whet.core.run_folder import RunFolder
from whet.core.task import metrics_of_all_tasks, task_named

Kind = Literal[
    "training", "pretraining", "ensemble", "study", "tuning", "improvement", "architectures", "compression"
]  # fmt: skip
State = Literal["finished", "running", "stopped", "failed"]

# Their names, for people.
KINDS: dict[Kind, Sentence] = {
    "training": english("training"), "pretraining": english("pre-training"), "ensemble": english("ensemble"),
    "study": english("study"), "tuning": english("tuning"), "improvement": english("improvement"),
    "architectures": english("architectures"), "compression": english("compression"),
}  # fmt: skip
STATES: dict[State, Sentence] = {
    "finished": english("finished"), "running": english("running"), "stopped": english("stopped"), "failed": english("failed"),
}  # fmt: skip

# Marker -> (kind, the file that is written when the work is finished).
_COLLECTIONS: dict[str, tuple[Kind, str]] = {
    "study": ("study", "study.json"),
    "tune": ("tuning", "tuning.json"),
    "improve": ("improvement", "improvement.json"),
    "architectures": ("architectures", "architectures.json"),
    "compress": ("compression", "compress.json"),
}
_DEEPEST = 6  # levels of folders that whet did not write
_MOST_CHANGES = 3  # methods by which a recipe may differ from a shipped one and still be named after it
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Score:
    """A metric of a run. part: "test" or "val", the split it is measured on. low, high: the ends of its 95 % interval, if known."""

    metric: str
    value: float
    low: float | None
    high: float | None
    part: str
    samples: int

    @property
    def merit(self) -> float:
        """The number to sort by, the larger the better."""
        return metrics_of_all_tasks()[self.metric].merit(self.value)


@dataclass(frozen=True)
class Gain:
    """What a study, tuning or improvement gained: the metric of its recommended recipe minus that of the recipe before."""

    metric: str
    mean: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Entry:
    """A result in a folder.

    state: "stopped" can be continued: a run with `whet train --resume`, anything else by the same command. failure: the reason, if
    it failed. started, finished: times of the files that are written first and last. seconds: that it took, pauses excluded.
    data: as given, for runs the absolute path. network, weights: of a run, or of the best run of a collection. recipe: the name of
    the shipped recipe with the same methods, with at most three changes (image/waste +mixup -ema), else empty. methods: their
    names. score: the headline metric of the run or best run. metrics: all numbers of its split. gain: None unless it was measured.
    best_run: the run to use of an improvement, tuning or comparison. parent: the study, improvement, … whose folder holds it.
    """

    path: Path
    kind: Kind
    state: State
    started: datetime
    finished: datetime | None = None
    seconds: float | None = None
    failure: str = ""
    data: str = ""
    task: str = ""
    network: str = ""
    weights: str = ""
    recipe: str = ""
    methods: tuple[str, ...] = ()
    seed: int | None = None
    score: Score | None = None
    metrics: Mapping[str, float] | None = None
    gain: Gain | None = None
    best_run: Path | None = None
    report: Path | None = None
    parent: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; times are in ISO 8601, UTC."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def list_runs(folder: str | Path = "runs", *, inner: bool = False) -> list[Entry]:
    """The results in a folder, the newest first.

    folder: any folder; if it is a study, improvement, …, its own runs are listed. inner: also list the runs inside of studies,
    improvements, …. Links, hidden folders, and folders more than six levels down are not searched. Raises RunError if the folder
    does not exist.
    """
    root = Path(folder)
    if not root.is_dir():
        raise RunError(f"folder {folder} does not exist; runs are written to runs/ unless --out names another folder")
    found = list(_inside(root, None, inner) if kind_of(root) in _COLLECTIONS else _below(root, None, inner, _DEEPEST))
    return sorted(found, key=lambda entry: (-entry.started.timestamp(), str(entry.path)))


def read_entry(path: str | Path, parent: Path | None = None) -> Entry | None:
    """The entry of one folder; None if it holds no result of these kinds, or a run that never began."""
    path = Path(path)
    kind = kind_of(path)
    if kind == "run":
        return _run(RunFolder(path), parent)
    return _collection(path, kind, parent) if kind in _COLLECTIONS else None


# --- the folders --------------------------------------------------------------------------------------------------------
def _below(folder: Path, parent: Path | None, inner: bool, levels: int) -> Iterator[Entry]:
    """The results at or below this folder."""
    kind = kind_of(folder)
    if kind is None:
        if levels > 0:
            for one in _subfolders(folder):
                yield from _below(one, parent, inner, levels - 1)
        return
    entry = read_entry(folder, parent)
    if entry is not None:
        yield entry
        if inner and kind in _COLLECTIONS:
            yield from _inside(folder, folder, inner)


def _inside(collection: Path, parent: Path | None, inner: bool) -> Iterator[Entry]:
    for one in _subfolders(collection):
        yield from _below(one, parent or collection, inner, 1)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(
            one for one in folder.iterdir() if not one.name.startswith(".") and not one.is_symlink() and one.is_dir()
        )
    except OSError:  # it cannot be read, or was removed meanwhile
        return []


def _runs_of(collection: Path) -> Iterator[Path]:
    """The folders of all runs of a collection, those of its own studies and tunings last."""
    later = []
    for one in _subfolders(collection):
        kind = kind_of(one)
        if kind == "run":
            yield one
        elif kind is None or kind in _COLLECTIONS:
            later.append(one)
    for one in later:
        yield from _runs_of(one)


# --- one entry ----------------------------------------------------------------------------------------------------------
def _run(folder: RunFolder, parent: Path | None) -> Entry | None:
    failure = _json(folder.failure)
    requested = _yaml(folder.requested)
    if not requested and not failure:
        return None
    done = folder.finished
    metrics = _json(folder.metrics) if done else {}
    model, data = requested.get("model", {}), requested.get("data", {})
    methods, task = _names(requested.get("methods")), str(requested.get("task", ""))
    if task.endswith("-pretraining"):
        kind: Kind = "pretraining"
    else:  # an ensemble is put together without training, so it has no log
        kind = "ensemble" if "stacking" in methods and done and not folder.log.is_file() else "training"
    resolved = _yaml(folder.recipe).get("model", {})
    weights = str(resolved.get("weights", model.get("weights", "")))
    score, numbers = _score(metrics)
    running = not done and _locked(folder.path)
    return Entry(
        folder.path, kind,
        "finished" if done else "running" if running else "failed" if failure else "stopped",
        _time(folder.path / MARKER),
        _time(folder.done) if done else None,
        metrics.get("cost", {}).get("total_seconds"),
        failure=str(failure.get("reason", "")) if not done and not running else "",
        data=str(data.get("path") or ""),
        task=task,
        network=str(resolved.get("architecture", model.get("architecture", ""))),
        weights=weights,
        recipe=_shipped_name(task, methods, weights),
        methods=methods,
        seed=requested.get("train", {}).get("seed"),
        score=score,
        metrics=numbers,
        report=_existing(folder.report),
        parent=parent,
    )  # fmt: skip


def _collection(path: Path, marker: str, parent: Path | None) -> Entry:
    kind, file = _COLLECTIONS[marker]
    story, runs = _json(path / file), list(_runs_of(path))
    best = _best_run(kind, story, runs)
    shown = next((entry for one in ([best] if best else runs) if (entry := read_entry(one)) is not None), None)
    request = _yaml(path / f"{marker}.yaml").get("recipe", {})
    done, model = bool(story), request.get("model", {})
    of_best = shown if best is not None else None
    weights, methods = str(model.get("weights", "")), _names(request.get("methods"))
    task = str(request.get("task") or (shown.task if shown else ""))
    return Entry(
        path, kind,
        "finished" if done else "running" if any(_locked(one) for one in (path, *runs)) else "stopped",
        _time(path / MARKER),
        _time(path / file) if done else None,
        story.get("seconds"),
        data=str(request.get("data", {}).get("path") or (shown.data if shown else "")),
        task=task,
        network=of_best.network if of_best else str(model.get("architecture", "")),
        weights=of_best.weights if of_best else weights,
        recipe=of_best.recipe if of_best else _shipped_name(task, methods, weights),
        methods=of_best.methods if of_best else methods,
        score=of_best.score if of_best else None,
        metrics=of_best.metrics if of_best else None,
        gain=_gain(story),
        best_run=best,
        report=_existing(path / "report.html"),
        parent=parent,
    )  # fmt: skip


def _best_run(kind: Kind, story: dict[str, Any], runs: list[Path]) -> Path | None:
    name = story.get("best_run")
    if kind == "tuning":
        name = next((one["run"] for one in story.get("trials", ()) if one["trial"] == story["best"]), None)
    return next((one for one in runs if one.name == name), None)


def _gain(story: dict[str, Any]) -> Gain | None:
    found = story.get("difference") or story.get("confirmed")
    if not isinstance(found, dict) or found.get("mean") is None:
        return None
    known, metric = metrics_of_all_tasks(), str(story.get("metric", ""))
    key = metric if metric in known else next((name for name, one in known.items() if one.title == metric), metric)
    return Gain(key, found["mean"], found["low"], found["high"], str(found["verdict"]))


def _score(metrics: dict[str, Any]) -> tuple[Score | None, dict[str, float] | None]:
    """The headline metric on the test samples, else on the validation samples, and all numbers of that split."""
    part = "test" if "test" in metrics else "val"
    measured = metrics.get(part)
    if not isinstance(measured, dict):
        return None, None
    headline = task_named(metrics["task"]).headline
    low, high = measured.get(f"{headline}_interval") or (None, None)
    score = Score(headline, measured[headline], low, high, part, int(measured["samples"]))
    return score, {key: one for key, one in measured.items() if isinstance(one, int | float)}


# --- the name of a recipe -----------------------------------------------------------------------------------------------
def _names(methods: Any) -> tuple[str, ...]:
    """The names in the list of methods of a recipe file."""
    return tuple(next(iter(one)) if isinstance(one, dict) else str(one) for one in methods or ())


@functools.cache
def _shipped() -> tuple[tuple[str, str, frozenset[str]], ...]:
    """(name, task, methods) of the shipped recipes."""
    from whet import recipes

    found = []
    for name in recipes.names():
        raw = _yaml(recipes.folder() / f"{name}.yaml")
        found.append((name, str(raw.get("task", "image-classification")), frozenset(_names(raw.get("methods")))))
    return tuple(found)


def _shipped_name(task: str, methods: tuple[str, ...], weights: str) -> str:
    own = frozenset(methods)
    known = [(len(own ^ theirs), name, theirs) for name, of, theirs in _shipped() if of == task]
    if not known:
        return ""
    other_start = "finetune" if weights == "none" else "from_scratch"  # recipes for both may have the same methods
    changes, name, theirs = min(known, key=lambda one: (one[0], other_start in one[1], one[1]))
    if changes > min(_MOST_CHANGES, len(own) - 1):
        return ""
    return " ".join([name, *(f"+{one}" for one in sorted(own - theirs)), *(f"-{one}" for one in sorted(theirs - own))])


# --- small files --------------------------------------------------------------------------------------------------------
def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _time(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _locked(folder: Path) -> bool:
    """Whether a process is using this folder (`RunFolder.lock`)."""
    try:
        with (folder / ".lock").open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
