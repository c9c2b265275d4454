"""Who makes the runs of a study: this process, one run after another, worker processes side by side, or a Ray cluster. The runs
are the same."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from whet.core import strict_json
from whet.core.errors import BusyError, RunError, WhetError
from whet.core.output import claim, remove
from whet.core.process import torch_cores
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.training.job import resume_or_train
from whet.training.log import Observer

ATTEMPTS = 3  # a run whose process is killed goes on from its checkpoint; one that brings down so many is given up
SILENCE_SECONDS = 1800.0  # a run that writes nothing for so long hangs
_LOOK_SECONDS = 1.0
_GENTLE_SECONDS = 10.0  # to save and end
_BEGUN, _OVER, _BUSY = "begun", "over", "busy"  # what a worker says of its task; busy: another process is at it


class Ended(WhetError):
    """Raised by a task's observer: the run is over as far as it went, and has not failed."""


@dataclass(frozen=True)
class PlannedRun:
    """A run to make, and its folder. What is finished there already is not made again; what is begun goes on. data: the fingerprint
    of its data, where it is known."""

    recipe: Recipe
    path: Path
    data: str | None = field(default=None, kw_only=True)

    @property
    def failure(self) -> Path:
        return self.path / "failure.json"

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return RunFolder(self.path).finished

    def observer(self, watch: Observer) -> Observer:
        """Who is told of the run where it is made: `watch`, or one that tells it and may end the run by raising Ended."""
        return watch


def refuse_other(task: PlannedRun) -> PlannedRun:
    """The task; RunError where its folder holds a run of another recipe, seed or data: that is neither reused nor gone on with."""
    folder = RunFolder(task.path)
    if not folder.requested.is_file():
        return task
    asked = Recipe.load(folder.requested)
    differ = [
        name
        for name, other in (
            ("recipe", asked.hash != task.recipe.hash),
            ("seed", asked.train.seed != task.recipe.train.seed),
            (
                "data",
                task.data is not None
                and folder.data.is_file()
                and folder.read_json(folder.data)["fingerprint"] != task.data,
            ),
        )
        if other
    ]
    if differ:
        raise RunError(
            f"{task.path} holds a run of another {' and '.join(differ)}; choose another --out, or move it away"
        )
    return task


class Executor(Protocol):
    jobs: int
    """How many runs it makes at a time."""

    def run(self, tasks: Iterable[PlannedRun]) -> Iterator[PlannedRun]:
        """Every task once it is over, in any order: its run is finished or ended, or a `failure.json` lies in its folder. A task is
        asked for when there is room to make it, so that it may depend on those that are over. RunError as from `refuse_other`."""
        ...


def execute(task: PlannedRun, observer: Observer) -> bool:
    """Make the run, or write down of what it failed; False where another process is at it."""
    if task.failure.exists():  # of an earlier call: what stood in the way may be gone
        remove(task.failure)
    if task.over:
        return True
    try:
        resume_or_train(task.recipe, task.path, task.observer(observer))
    except BusyError:
        return False
    except Ended:
        return True
    except Exception as error:  # noqa: BLE001 - whatever a run fails of, the others go on
        told = str(error) if isinstance(error, WhetError) else f"{type(error).__name__}: {error}"
        fail(task, told, traceback.format_exc())
    return True


def fail(task: PlannedRun, reason: str, trace: str = "") -> None:
    claim(task.path, "run")
    strict_json.write(task.failure, {"reason": reason, "traceback": trace})


def hung_for(silence: float) -> str:
    return f"wrote nothing for {silence / 60:g} minutes, and was ended"


def brought_down() -> str:
    return f"its process was killed {ATTEMPTS} times, most likely as memory ran out"


def silent_since(path: Path, began: float) -> float:
    """When this run, or one that it makes beside itself, last wrote anything; `began` is when it was begun or gone on with. On the
    clock of time.time."""
    run, times = RunFolder(path), [began]
    for file in (run.requested, run.log, *run.external_models.glob("*/log.jsonl")):
        with contextlib.suppress(FileNotFoundError):
            times.append(file.stat().st_mtime)
    return max(times)


def executor_for(jobs: int, observer: Observer, ray: str | None = None, threads: int | str = "auto") -> Executor:
    """ray: the address of a cluster, or "auto"; its tasks take `threads` cores each."""
    if ray is not None:
        from whet.studies.ray_executor import RayCluster

        return RayCluster(ray, int(threads), jobs if jobs > 1 else None)
    return Workers(jobs) if jobs > 1 else InProcess(observer)


def settled_threads(recipe: Recipe, jobs: int, ray: str | None = None) -> int | str:
    """The recipe's torch threads, settled before runs are made side by side: the cores of this machine divided among them; on a
    cluster as many as this machine has, so that a run is the same on every node."""
    threads, cores = recipe.train.torch_threads, torch_cores()
    if threads != "auto" or (jobs == 1 and ray is None):
        return threads
    return cores if ray is not None else max(1, cores // jobs)


class InProcess:
    """One run after another, in this process."""

    jobs = 1

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def run(self, tasks: Iterable[PlannedRun]) -> Iterator[PlannedRun]:
        busy: deque[PlannedRun] = deque()  # another process is at them: their turn comes again
        for task in map(refuse_other, tasks):
            if execute(task, self._observer):
                yield task
            else:
                busy.append(task)
        while busy:
            task = busy.popleft()
            if execute(task, self._observer):
                yield task
            else:
                busy.append(task)
                time.sleep(_LOOK_SECONDS / len(busy))


@dataclass
class _Worker:
    """A process that makes one run at a time, what it is at, and since when: starting a process is no part of a run."""

    process: BaseProcess
    line: Connection
    task: PlannedRun | None = None
    began: float = math.inf

    @classmethod
    def started(cls) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=False)
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, task: PlannedRun) -> None:
        self.task, self.began = task, math.inf
        with contextlib.suppress(OSError):  # it died meanwhile: that is seen as if it had died at work
            self.line.send(task)

    def heard(self) -> str:
        """What it says of its task; nothing where it died instead."""
        try:
            return str(self.line.recv())
        except (EOFError, OSError):
            return ""

    def is_silent_for(self, seconds: float) -> bool:
        assert self.task is not None
        return time.time() - silent_since(self.task.path, self.began) > seconds

    def signal(self, number: int) -> None:
        """To the worker and all it began."""
        if self.process.is_alive() and self.process.pid is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:  # not yet in a session of its own
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.process.pid, number)


@dataclass
class Workers:
    """So many runs at a time, each in a process of its own session. A process that is killed costs its run's last steps only:
    another one goes on from the checkpoint. One that is silent for too long is ended, and its run has failed."""

    jobs: int
    silence: float = SILENCE_SECONDS
    _workers: list[_Worker] = field(default_factory=list, repr=False)

    def run(self, tasks: Iterable[PlannedRun]) -> Iterator[PlannedRun]:
        fresh, busy_elsewhere, deaths = map(refuse_other, tasks), deque[PlannedRun](), Counter[Path]()
        try:
            while True:
                while sum(worker.task is not None for worker in self._workers) < self.jobs:
                    task = next(fresh, None) or (busy_elsewhere.popleft() if busy_elsewhere else None)
                    if task is None:
                        break
                    self._idle().give(task)
                at_work = [worker for worker in self._workers if worker.task is not None]
                if not at_work:
                    return
                ready = wait([w.line for w in at_work] + [w.process.sentinel for w in at_work], _LOOK_SECONDS)
                for worker in at_work:
                    task = worker.task
                    assert task is not None
                    said = worker.heard() if worker.line in ready else ""
                    if said == _BEGUN:
                        worker.began = time.time()
                    elif said == _OVER:
                        worker.task = None
                        yield task
                    elif said == _BUSY:
                        worker.task = None
                        busy_elsewhere.append(task)
                        time.sleep(_LOOK_SECONDS / self.jobs)
                    if said:
                        continue
                    alive = worker.process.is_alive()
                    hung = alive and worker.is_silent_for(self.silence)
                    if alive and not hung:
                        continue
                    self._end([worker])
                    deaths[task.path] += 1
                    if not hung and deaths[task.path] < ATTEMPTS:
                        self._idle().give(task)
                        continue
                    fail(task, hung_for(self.silence) if hung else brought_down())
                    yield task
        finally:
            self._end(list(self._workers))

    def _idle(self) -> _Worker:
        """A worker without a task, a new one where there is none."""
        for worker in self._workers:
            if worker.task is None and worker.process.is_alive():
                return worker
        self._workers.append(_Worker.started())
        return self._workers[-1]

    def _end(self, workers: list[_Worker]) -> None:
        """Idle ones leave when nobody is on the line; those at work, and all they began, are told to save and end, then made to."""
        for worker in workers:
            worker.line.close()
            if worker.task is not None:
                worker.signal(signal.SIGTERM)
        until = time.monotonic() + _GENTLE_SECONDS
        for worker in workers:
            worker.process.join(max(0.1, until - time.monotonic()))
            worker.signal(signal.SIGKILL)
            worker.process.join()
            self._workers.remove(worker)


def _work(line: Connection) -> None:
    """In the worker: one task after another, until the driver is gone."""
    os.setsid()  # Ctrl-C reaches the driver alone, which ends its workers gently and once
    threading.Thread(target=_end_with_driver, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = line.recv()
            line.send(_BEGUN)
            line.send(_OVER if execute(task, Observer()) else _BUSY)


def _end_with_driver() -> None:
    """A driver that is killed takes its workers along: each saves, and leaves its run to whoever goes on."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    wait([driver.sentinel])
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(os.getpid(), number)
        time.sleep(_GENTLE_SECONDS)
