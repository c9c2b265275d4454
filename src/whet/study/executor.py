"""Who makes the runs of a study: this process, one run after another, or a pool of processes. The runs are the same."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from whet.core.errors import RunError
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.train.job import carry_out
from whet.train.log import Observer

_ATTEMPTS = 3  # pools; one that lost a process is given up


@dataclass(frozen=True)
class Task:
    """A run to make, and its folder. What is finished there already is not made again; what is begun goes on."""

    recipe: Recipe
    path: Path


class Executor(Protocol):
    def run(self, tasks: Sequence[Task]) -> Iterator[RunFolder]:
        """Every task's finished run, in any order."""
        ...


class InProcess:
    """One run after another, in this process."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def run(self, tasks: Iterable[Task]) -> Iterator[RunFolder]:
        return (carry_out(task.recipe, task.path, self._observer) for task in tasks)


class ProcessPool:
    """So many runs at a time, each worker a process of its own. A worker that is killed costs its run's last steps only: the run
    goes on from its checkpoint in the next pool."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs

    def run(self, tasks: Sequence[Task]) -> Iterator[RunFolder]:
        left = {task.path: task for task in tasks}
        for _ in range(_ATTEMPTS):
            with ProcessPoolExecutor(self._jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
                futures: dict[Future[RunFolder], Path] = {pool.submit(_carried_out, t): t.path for t in left.values()}
                for future in as_completed(futures):
                    try:
                        done = future.result()
                    except BrokenProcessPool:
                        continue
                    del left[futures[future]]
                    yield done
            if not left:
                return
        raise RunError(
            f"the processes of {len(left)} runs were killed {_ATTEMPTS} times, the first of {next(iter(left))}"
        )


def _carried_out(task: Task) -> RunFolder:
    return carry_out(task.recipe, task.path, Observer())
