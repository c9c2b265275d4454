"""Runs of a second or two for the tests of executors, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import write_images

from whet.core.recipe import Recipe
from whet.studies.executor import PlannedRun
from whet.training.log import Observer

STEPS = 10  # of a run: two epochs of 42 training images in batches of 8


def images(root: Path) -> Path:
    return write_images(root / "images", {"glass": 30, "metal": 18, "paper": 12}, size=(10, 12))


def recipe(data: Path, seed: int = 0, architecture: str = "resnet9_slim") -> Recipe:
    """At 8 px nothing is left of an image for LeNet's second layer: such a run fails."""
    train = {
        "budget": "2ep", "batch_size": 8, "image_size": 8, "precision": "fp32", "seed": seed, "torch_threads": 1,
        "loader_threads": 1, "checkpoint_every": "2st", "store": "memory",
    }  # fmt: skip
    plain = {"data": {"path": str(data)}, "model": {"architecture": architecture}, "train": train}
    return Recipe.from_dict(
        {**plain, "methods": ["horizontal_flip", "dropout", {"adamw": {"lr": 0.003}}, "cosine", "ema"]}
    )


def task(root: Path, seed: int = 0, kind: type[PlannedRun] = PlannedRun, **asked: Any) -> PlannedRun:
    return kind(recipe(root / "images", seed, **asked), root / "runs" / f"s{seed}")


def wait_until(true: Callable[[], bool]) -> None:
    """However long it takes; only what never comes true is given up."""
    given_up = time.monotonic() + 600
    while not true():
        assert time.monotonic() < given_up
        time.sleep(0.02)


def logged(folder: Path) -> int:
    """The lines in the logs of all its runs: how far their work has come."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*/log.jsonl"))


def kill_when_logged(driver: subprocess.Popen[Any], folder: Path, lines: int) -> None:
    """kill -9 once so many lines more stand in the logs of the runs in the folder, if it does not end before."""
    before = logged(folder)
    wait_until(lambda: driver.poll() is not None or logged(folder) >= before + lines)
    driver.kill()
    driver.wait()


def answers(one: PlannedRun) -> str:
    return (one.path / "predictions.csv").read_text()


class _Pass(Observer):
    def __init__(self, task: PlannedRun) -> None:
        self.task = task


class _Counts(_Pass):
    def steps(self, done: int, total: int) -> None:
        with (self.task.path.parent.parent / "begun").open("a") as handle:
            handle.write(f"{self.task.path.name} {done} {os.getpid()}\n")


class Counted(PlannedRun):
    """Writes a line into the file `begun` whenever training begins or goes on: run, step, process."""

    def observer(self, watch: Observer) -> Observer:
        return _Counts(self)


class _Dies(_Counts):
    def step(self, record: dict[str, Any]) -> None:
        sign = self.task.path.with_suffix(".killed")
        if record["step"] == 5 and not sign.exists():
            sign.touch()
            # The ones after step 0 are written by a thread of their own.
            wait_until(lambda: any((self.task.path / "checkpoints").glob("step-*[1-9]")))
            os.kill(os.getpid(), signal.SIGKILL)


class Killed(PlannedRun):
    """Its process is killed at step 5, the first time it comes there."""

    def observer(self, watch: Observer) -> Observer:
        return _Dies(self)


class _Hangs(_Pass):
    def step(self, record: dict[str, Any]) -> None:
        if record["step"] == 3:
            self.task.path.with_suffix(".hangs").touch()
            while True:
                time.sleep(3600)


class Hanging(PlannedRun):
    """Stays at step 3 for ever, and says that it is there."""

    def observer(self, watch: Observer) -> Observer:
        return _Hangs(self)


@dataclass(frozen=True)
class Deadly(PlannedRun):
    """Brings down every process that makes it."""

    def observer(self, watch: Observer) -> Observer:
        os.kill(os.getpid(), signal.SIGKILL)
        return watch
