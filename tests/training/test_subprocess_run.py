"""A run in a process of its own: what its parent hears of it, and what becomes of it when it fails or is stopped."""

import os
import signal

import numpy as np
import pytest
from tests.conftest import write_images

from whet.core.errors import RunError
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.methods import SGD
from whet.training.checkpoint import checkpoints
from whet.training.log import Observer
from whet.training.subprocess_run import _reason, run_in_subprocess


class Recorded(Observer):
    """Keeps what it is told; `at_step` is called with each step's number."""

    def __init__(self, at_step=lambda number: None):
        self.events, self._at_step = [], at_step

    def phase(self, text):
        self.events.append(("stage", text))

    def note(self, text):
        self.events.append(("note", text))

    def steps(self, done, total):
        self.events.append(("steps", done, total))

    def step(self, record):
        self.events.append(("step", record["step"]))
        self._at_step(record["step"])

    def validated(self, record):
        self.events.append(("validated", record["accuracy"]))

    def end(self):
        self.events.append(("end",))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("apart") / "images", {"glass": 20, "metal": 20})


def recipe(data, budget="2ep", architecture="resnet9_slim", size=32):
    asked = Recipe(data=DataSpec(path=str(data)), model=ModelSpec(architecture=architecture), methods=(SGD(lr=0.01),))
    return asked.setting(
        budget=budget, image_size=size, batch_size=8, precision="fp32", torch_threads=1, loader_threads=2
    )


@pytest.mark.slow
@pytest.mark.sample
def test_the_parent_hears_everything_and_the_memory_is_the_child_s_own(data, tmp_path):
    held = np.ones(1 << 27)  # a gibibyte that the child does not hold
    recorded = Recorded()
    folder = run_in_subprocess(recipe(data), tmp_path / "run", recorded)
    assert folder.finished
    per_epoch = 28 // 8
    steps = [event[1] for event in recorded.events if event[0] == "step"]
    assert steps == list(range(1, 2 * per_epoch + 1))
    assert ("steps", 0, 2 * per_epoch) in recorded.events
    validated = [event[1] for event in recorded.events if event[0] == "validated"]
    assert validated == [r["accuracy"] for r in folder.log_records() if r["event"] == "validation"]
    assert recorded.events[0] == ("stage", f"reading {data}")
    assert recorded.events[-1] == ("end",)
    peak = folder.read_json(folder.metrics)["cost"]["peak_memory_mib"]
    assert 100 < peak < held.nbytes / 2**20


@pytest.mark.slow
def test_stopped_it_saves_and_called_again_it_goes_on(data, tmp_path):
    def stop(number):
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_subprocess(recipe(data, "200ep"), tmp_path / "run", Recorded(stop))
    folder = RunFolder(tmp_path / "run")
    (newest, *_) = checkpoints(folder.checkpoints)
    saved = int(newest.name.removeprefix("step-"))
    assert 3 <= saved < 600 and not folder.finished

    def kill(number):
        os.kill(int((tmp_path / "run" / ".lock").read_text().split()[1]), signal.SIGKILL)

    recorded = Recorded(kill)
    with pytest.raises(RunError, match="killed by the system, most likely because it ran out of memory"):
        run_in_subprocess(recipe(data, "200ep"), tmp_path / "run", recorded)
    assert ("note", f"resumed at step {saved} of 600") in recorded.events


@pytest.mark.slow
def test_what_whet_refuses_and_what_torch_refuses_are_reasons(data, tmp_path):
    with pytest.raises(RunError, match=r"^data .*nowhere does not exist$"):
        run_in_subprocess(recipe(tmp_path / "nowhere"), tmp_path / "one", Observer())
    with pytest.raises(RunError, match=r"^RuntimeError: .*[Kk]ernel size"):
        run_in_subprocess(recipe(data, architecture="lenet", size=8), tmp_path / "two", Observer())


@pytest.mark.parametrize(
    ("status", "complaints", "reason"),
    [
        (-signal.SIGSEGV, "", "stopped by the signal SIGSEGV"),
        (143, "", "stopped by the signal SIGTERM before it was finished"),
        (3, "", "ended with exit code 3"),
        (1, "Traceback\n  File x\ntorch.OutOfMemoryError: no room\n  of any kind\n", "torch.OutOfMemoryError: no room"),
    ],
)
def test_other_ends(status, complaints, reason):
    assert _reason(status, complaints) == reason
