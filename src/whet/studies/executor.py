"""Executors of runs: sequential in this process, parallel worker processes, or a Ray cluster. All give the same runs."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from whet.core.errors import BusyError, Ended, RunError
from whet.core.output import claim, remove
from whet.core.process import torch_cores
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.training.job import resume_or_train
from whet.training.log import Observer

ATTEMPTS = 3  # a run whose process is killed is resumed from its checkpoint; after this number of kills, the run fails
SILENCE_SECONDS = 1800.0  # a run that writes nothing for this time is treated as hung
_LOOK_SECONDS = 1.0
_GENTLE_SECONDS = 10.0  # the time to save and exit
_BEGUN, _OVER, _BUSY = "begun", "over", "busy"  # messages of a worker about its task; busy: another process works on it


@dataclass(frozen=True)
class PlannedRun:
    """A run to train and its folder. A finished run in the folder is not repeated; an unfinished one is resumed. data: the
    fingerprint of its data, if known."""

    recipe: Recipe
    path: Path
    data: str | None = field(default=None, kw_only=True)

    @property
    def failure(self) -> Path:
        return RunFolder(self.path).failure

    @property
    def over(self) -> bool:
        """Whether the run is finished or ended."""
        return RunFolder(self.path).finished

    def observer(self, watch: Observer) -> Observer:
        """The observer of the run: `watch`, or one that forwards to it and may end the run by raising Ended."""
        return watch


def refuse_other(task: PlannedRun) -> PlannedRun:
    """Return the task. Raises RunError if its folder contains a run of another recipe, seed or data."""
    folder = RunFolder(task.path)
    if not folder.requested.is_file():
        return task
    requested = Recipe.load(folder.requested)
    differ = [
        name
        for name, other in (
            ("recipe", requested.hash != task.recipe.hash),
            ("seed", requested.train.seed != task.recipe.train.seed),
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
            f"{task.path} contains a run of another {' and '.join(differ)}; choose another --out, or move the folder"
        )
    return task


class Executor(Protocol):
    jobs: int
    """The number of parallel runs."""

    def run(self, tasks: Iterable[PlannedRun]) -> Iterator[PlannedRun]:
        """Yield every task when it is over, in any order: its run is finished or ended, or its folder contains a `failure.json`.
        Tasks are taken from the iterable only when they can start, so a task may depend on finished ones. Raises RunError like
        `refuse_other`."""
        ...


def execute(task: PlannedRun, observer: Observer) -> bool:
    """Train the run, or save the reason of its failure. Returns False if another process works on it."""
    if task.failure.exists():  # from an earlier call; the cause may be gone
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
        fail(task, error)
    return True


def fail(task: PlannedRun, reason: str | Exception) -> None:
    claim(task.path, "run")
    RunFolder(task.path).write_failure(reason)


def hung_for(silence: float) -> str:
    return f"wrote nothing for {silence / 60:g} minutes and was stopped"


def brought_down() -> str:
    return f"its process was killed {ATTEMPTS} times, most likely because it ran out of memory"


def silent_since(path: Path, began: float) -> float:
    """The time (of time.time) of the last write of this run or of a run nested in it; `began` is the time it started or resumed."""
    run, times = RunFolder(path), [began]
    for file in (run.requested, run.log, *run.external_models.glob("*/log.jsonl")):
        with contextlib.suppress(FileNotFoundError):
            times.append(file.stat().st_mtime)
    return max(times)


def executor_for(jobs: int, observer: Observer, ray: str | None = None, threads: int | str = "auto") -> Executor:
    """Return the executor. ray: the address of a cluster, or "auto"; its tasks use `threads` cores each."""
    if ray is not None:
        from whet.studies.ray_executor import RayCluster

        return RayCluster(ray, int(threads), jobs if jobs > 1 else None)
    return Workers(jobs) if jobs > 1 else InProcess(observer)


def settled_threads(recipe: Recipe, jobs: int, ray: str | None = None) -> int | str:
    """The number of torch threads of parallel runs: the cores of this machine divided among them. On a cluster: the cores of this
    machine, so that a run is the same on every node."""
    threads, cores = recipe.train.torch_threads, torch_cores()
    if threads != "auto" or (jobs == 1 and ray is None):
        return threads
    return cores if ray is not None else max(1, cores // jobs)


class InProcess:
    """Runs the tasks sequentially in this process."""

    jobs = 1

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def run(self, tasks: Iterable[PlannedRun]) -> Iterator[PlannedRun]:
        busy: deque[PlannedRun] = deque()  # another process works on them; they are tried again later
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
    """A worker process, its current task and the start time of the task. The start of the process is not part of a run."""

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
        with contextlib.suppress(OSError):  # if it died in the meantime, this is handled like a death during the run
            self.line.send(task)

    def receive(self) -> str:
        """The worker's message about its task; empty if the worker died."""
        try:
            return str(self.line.recv())
        except (EOFError, OSError):
            return ""

    def is_silent_for(self, seconds: float) -> bool:
        assert self.task is not None
        return time.time() - silent_since(self.task.path, self.began) > seconds

    def signal(self, number: int) -> None:
        """Send a signal to the worker and its child processes."""
        if self.process.is_alive() and self.process.pid is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:  # not yet in its own session
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.process.pid, number)


@dataclass
class Workers:
    """Runs the tasks in parallel, each in its own process and session. If a process is killed, another process resumes the run from
    its checkpoint. A process that writes nothing for too long is stopped, and its run fails."""

    jobs: int
    silence: float = SILENCE_SECONDS
    _workers: list[_Worker] = field(default_factory=list, repr=False)

    def run(self, tasks: Iterable[PlannedRun]) -> Iterator[PlannedRun]:
        pending, busy_elsewhere, deaths = map(refuse_other, tasks), deque[PlannedRun](), Counter[Path]()
        try:
            while True:
                while sum(worker.task is not None for worker in self._workers) < self.jobs:
                    task = next(pending, None) or (busy_elsewhere.popleft() if busy_elsewhere else None)
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
                    message = worker.receive() if worker.line in ready else ""
                    if message == _BEGUN:
                        worker.began = time.time()
                    elif message == _OVER:
                        worker.task = None
                        yield task
                    elif message == _BUSY:
                        worker.task = None
                        busy_elsewhere.append(task)
                        time.sleep(_LOOK_SECONDS / self.jobs)
                    if message:
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
        """An idle worker; a new one if there is none."""
        for worker in self._workers:
            if worker.task is None and worker.process.is_alive():
                return worker
        self._workers.append(_Worker.started())
        return self._workers[-1]

    def _end(self, workers: list[_Worker]) -> None:
        """Close the connections of idle workers. Signal busy workers and their child processes to save and exit, then kill them."""
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
    """In the worker process: run tasks sequentially until the driver is gone."""
    os.setsid()  # Ctrl-C reaches only the driver, which stops its workers once
    threading.Thread(target=_end_with_driver, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = line.recv()
            line.send(_BEGUN)
            line.send(_OVER if execute(task, Observer()) else _BUSY)


def _end_with_driver() -> None:
    """Stop the worker if the driver is killed: it saves its run, which can be resumed later."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    wait([driver.sentinel])
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(os.getpid(), number)
        time.sleep(_GENTLE_SECONDS)
