"""Who makes the runs of a study: this process, one run after another, or worker processes side by side. The runs are the same."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from whet.core.errors import BusyError, WhetError
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, write_json
from whet.train.job import carry_out
from whet.train.log import Observer

_ATTEMPTS = 3  # a run whose process is killed goes on from its checkpoint; one that brings down so many is given up
_LOOK_SECONDS = 1.0
SILENCE_SECONDS = 1800.0  # a run that writes nothing for so long hangs


@dataclass(frozen=True)
class Task:
    """A run to make, and its folder. What is finished there already is not made again; what is begun goes on."""

    recipe: Recipe
    path: Path

    @property
    def failure(self) -> Path:
        return self.path / "failure.json"


class Executor(Protocol):
    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        """Every task once it is over, in any order: its run is finished, or a `failure.json` lies in its folder."""
        ...


def carry(task: Task, observer: Observer) -> bool:
    """Make the run, or write down of what it failed; False where another process is at it."""
    task.failure.unlink(missing_ok=True)  # of an earlier call: what stood in the way may be gone
    try:
        carry_out(task.recipe, task.path, observer)
    except BusyError:
        return False
    except Exception as error:  # noqa: BLE001 - whatever a run fails of, the others go on
        told = str(error) if isinstance(error, WhetError) else f"{type(error).__name__}: {error}"
        fail(task, told, traceback.format_exc())
    return True


def fail(task: Task, reason: str, trace: str = "") -> None:
    task.path.mkdir(parents=True, exist_ok=True)
    write_json(task.failure, {"reason": reason, "traceback": trace})


class InProcess:
    """One run after another, in this process."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        left, passed = deque(tasks), 0
        while left:
            task = left.popleft()
            if carry(task, self._observer):
                passed = 0
                yield task
                continue
            left.append(task)  # another process is at it: its turn comes again
            passed += 1
            if passed >= len(left):
                time.sleep(_LOOK_SECONDS)


@dataclass
class _Worker:
    """A process that makes one run at a time, and what it is at."""

    process: BaseProcess
    line: Connection
    task: Task | None = None


class Workers:
    """So many runs at a time, each in a process of its own session. A process that is killed costs its run's last steps only:
    another one goes on from the checkpoint. One that is silent for too long is ended, and its run has failed."""

    def __init__(self, jobs: int, silence: float = SILENCE_SECONDS) -> None:
        self._jobs, self._silence = jobs, silence

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        left, attempts = deque(tasks), dict.fromkeys((task.path for task in tasks), 0)
        workers = [_started() for _ in range(min(self._jobs, len(left)))]
        try:
            while left or any(worker.task for worker in workers):
                for worker in workers:
                    if worker.task is None and left:
                        worker.task = left.popleft()
                        worker.line.send(worker.task)
                busy = [worker for worker in workers if worker.task is not None]
                ready = wait([w.line for w in busy] + [w.process.sentinel for w in busy], _LOOK_SECONDS)
                for worker in busy:
                    task = worker.task
                    assert task is not None
                    if worker.line in ready and (done := _heard(worker)) is not None:
                        worker.task = None
                        if done:
                            yield task
                        else:  # another driver's process is at it
                            left.append(task)
                            time.sleep(_LOOK_SECONDS / len(workers))
                        continue
                    hung = worker.process.is_alive() and _silent(task.path) > self._silence
                    if worker.process.is_alive() and not hung:
                        continue
                    _end(worker)
                    attempts[task.path] += 1
                    workers[workers.index(worker)] = _started()
                    if hung:
                        fail(task, f"wrote nothing for {self._silence / 60:g} minutes, and was ended")
                        yield task
                    elif attempts[task.path] >= _ATTEMPTS:
                        fail(task, f"its process was killed {_ATTEMPTS} times, most likely as memory ran out")
                        yield task
                    else:
                        left.appendleft(task)
        finally:
            for worker in workers:
                _end(worker)


def _started() -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=False)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _work(line: Connection) -> None:
    """In the worker: one task after another, until the driver is gone."""
    os.setsid()  # Ctrl-C reaches the driver alone, which ends its workers gently and once
    with contextlib.suppress(EOFError, OSError):
        while True:
            line.send(carry(line.recv(), Observer()))


def _heard(worker: _Worker) -> bool | None:
    """What a worker says of its task; None where it died instead."""
    try:
        return bool(worker.line.recv())
    except (EOFError, OSError):
        return None


def _silent(path: Path) -> float:
    """Seconds since anything was written into this run's folder; 0 before there is one."""
    written = [file.stat().st_mtime for file in (RunFolder(path).asked, RunFolder(path).log) if file.is_file()]
    return time.time() - max(written) if written else 0.0


def _end(worker: _Worker) -> None:
    """An idle one leaves when nobody is on the line; one at work, and all it began, is told to save and end, then made to."""
    worker.line.close()
    if worker.task is None:
        worker.process.join(2.0)
    for number, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        if worker.process.is_alive() and worker.process.pid is not None:
            try:
                os.killpg(worker.process.pid, number)
            except ProcessLookupError:  # not yet in a session of its own
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)
            worker.process.join(seconds)
