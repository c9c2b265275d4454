"""The runs behind the comparison of methods: each is trained once, and what it answered is kept, so that a call goes on where the
last one stopped. One-threaded runs, as many at a time as there are cores, in processes that live as long as the call."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from whet.core.errors import WhetError
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.training.job import train_run

PACE_EVERY = 12  # runs in a setting between two plain ones


@dataclass(frozen=True)
class Job:
    """A recipe to be trained in a setting. `what` is for the screen. repeat: the plain recipe is run again to tell the machine's
    pace."""

    setting: str
    digest: str
    recipe: Recipe
    what: str
    repeat: int = 0

    @property
    def key(self) -> str:
        """Setting, its data, and recipe, whatever the seed."""
        return f"{self.setting} {self.digest} {self.recipe.hash}"

    @property
    def seed(self) -> int:
        return self.recipe.train.seed


@dataclass(frozen=True)
class Run:
    """What is kept of a run. answers: the class number of each test sample, a digit each, in the order of their ids; losses: what
    each answer costs, float16 in base64. seconds: the whole run without its final answers; image_seconds: an answer."""

    key: str
    seed: int
    repeat: int
    at: float
    refused: str = ""
    answers: str = ""
    losses: str = ""
    validation_accuracy: float = 0.0
    validation_log_loss: float = 0.0
    seconds: float = 0.0
    image_seconds: float = 0.0

    @property
    def predicted_N(self) -> np.ndarray:
        return np.frombuffer(self.answers.encode(), dtype=np.uint8).astype(np.int64) - ord("0")

    @property
    def loss_N(self) -> np.ndarray:
        return np.frombuffer(base64.b64decode(self.losses), dtype=np.float16).astype(float)


class Runs:
    """The finished runs, in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.is_file() else []
        self._all = [Run(**json.loads(line)) for line in lines if line.endswith("}")]  # the last may be half written
        self._found = {(run.key, run.seed): run for run in reversed(self._all)}
        if len(self._all) < len(lines):
            self.forget(())

    def __len__(self) -> int:
        return len(self._all)

    def get(self, key: str, seed: int) -> Run | None:
        """The first run of this recipe and seed."""
        return self._found.get((key, seed))

    def of(self, key: str) -> list[Run]:
        """Every run of a recipe, repeated ones too."""
        return [run for run in self._all if run.key == key]

    def seeds(self, key: str) -> list[int]:
        """With which seeds the recipe was trained to its end."""
        return sorted(seed for (found, seed), run in self._found.items() if found == key and not run.refused)

    def refused(self, key: str) -> str:
        """Why it cannot be trained; empty where nothing speaks against it."""
        return next((run.refused for (found, _), run in self._found.items() if found == key and run.refused), "")

    def add(self, run: Run) -> None:
        before = self.get(run.key, run.seed)
        if before is not None and before.answers != run.answers:
            raise RuntimeError(f"{run.key}, seed {run.seed}: the same run answered otherwise: runs cannot be paired")
        self._all.append(run)
        self._found.setdefault((run.key, run.seed), run)
        with self._path.open("a") as handle:
            handle.write(json.dumps(asdict(run)) + "\n")

    def forget(self, keys: Iterable[str] | None = None) -> None:
        """Drop the runs of these recipes, or all."""
        gone = None if keys is None else set(keys)
        self._all = [] if gone is None else [run for run in self._all if run.key not in gone]
        self._found = {(run.key, run.seed): run for run in reversed(self._all)}
        beside = self._path.with_suffix(".new")
        beside.write_text("".join(json.dumps(asdict(run)) + "\n" for run in self._all))
        os.replace(beside, self._path)


def trained(text: str) -> dict[str, object]:
    """Train a recipe, given as YAML, in a folder that goes again: the fields of its Run. A method that finds nothing to change, or
    cannot be had here, refuses it."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            run = train_run(Recipe.from_yaml(text), Path(folder) / "run", strict=True, started=start)
        except WhetError as error:
            return {"refused": str(error)}
        return _kept(run)


def _kept(run: RunFolder) -> dict[str, object]:
    metrics, frame = run.read_json(run.metrics), run.read_predictions()
    classes = [column.removeprefix("p:") for column in frame.columns if column.startswith("p:")]
    number = {name: k for k, name in enumerate(classes)}
    frame = frame[frame["split"] == "test"].sort_values("id")
    probs_NK = frame[[f"p:{name}" for name in classes]].to_numpy(float)
    label_N = frame["label"].map(number).to_numpy(np.int64)
    loss_N = -np.log(np.clip(probs_NK[np.arange(len(label_N)), label_N], 1e-12, 1))
    cost = metrics["cost"]
    answered = sum(metrics[split]["samples"] for split in ("val", "test"))
    return {
        "answers": "".join(str(number[name]) for name in frame["predicted"]),
        "losses": base64.b64encode(loss_N.astype(np.float16).tobytes()).decode(),
        "validation_accuracy": metrics["val"]["accuracy"],
        "validation_log_loss": metrics["val"]["log_loss"],
        "seconds": cost["total_seconds"] - answered * cost["seconds_per_sample"],
        "image_seconds": cost["seconds_per_sample"],
    }


def warm_up(texts: list[str]) -> None:
    """What a process does only once (imports, the first call of each kernel) is done before anything is timed."""
    for text in texts:
        trained(text)


def measure(
    jobs: Iterable[Job],
    runs: Runs,
    plain: Callable[[str, int], Job],
    workers: ProcessPoolExecutor,
    count: int,
    deadline: float,
    tell: Callable[[Job, Run], None],
) -> bool:
    """Train what is not trained yet, `count` at a time; whether all was done before the deadline, on the clock of time.monotonic.
    `plain` gives the plain job of a setting and seed, which is run again and again beside the others."""
    under_way: dict[Future[dict[str, object]], Job] = {}
    since: dict[str, int] = {}

    def collect(most: int) -> None:
        while len(under_way) > most:
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                job = under_way.pop(done)
                run = Run(job.key, job.seed, job.repeat, time.time(), **done.result())  # type: ignore[arg-type]
                runs.add(run)
                tell(job, run)

    def start(job: Job) -> None:
        collect(count - 1)
        since[job.setting] = since.get(job.setting, 0) + 1
        under_way[workers.submit(trained, job.recipe.to_yaml())] = job

    for job in jobs:
        collect(count - 1)
        if time.monotonic() > deadline:
            collect(0)
            return False
        waited_for = any(other.key == job.key and other.seed == job.seed for other in under_way.values())
        if waited_for or runs.get(job.key, job.seed) is not None or runs.refused(job.key):
            continue
        if since.get(job.setting, PACE_EVERY) >= PACE_EVERY:
            since[job.setting] = 0
            pace = plain(job.setting, job.seed)
            start(Job(pace.setting, pace.digest, pace.recipe, pace.what, len(runs.of(pace.key))))
            if pace.key == job.key:
                continue
        start(job)
    collect(0)
    return True


def started(count: int, texts: list[str]) -> ProcessPoolExecutor:
    """Processes to train in, warmed up."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=warm_up, initargs=(texts,))
