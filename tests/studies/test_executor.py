"""Who makes the runs does not matter to what comes out, and nothing that happens to a process loses more than its last steps."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.studies import runs

from whet.core.rng import Rng
from whet.studies import executor
from whet.studies.executor import InProcess, Workers, silent_since
from whet.training.log import Observer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What the runs of seeds 0 … 3 answer when they are made one after another in this process."""
    root = tmp_path_factory.mktemp("reference")
    runs.images(root)
    tasks = [runs.task(root, seed) for seed in range(4)]
    assert [task.path for task in InProcess(Observer()).run(tasks)] == [task.path for task in tasks]
    found = [runs.answers(task) for task in tasks]
    assert len(set(found)) == 4
    return found


@pytest.fixture
def forked(monkeypatch):
    """Workers are forked from a process that has imported all they need; slow tests start them as people do."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.studies.runs", "whet.methods", "whet.training.job", "sklearn"])
    monkeypatch.setattr(executor.multiprocessing, "get_context", lambda kind: context)


@pytest.fixture
def room(tmp_path):
    runs.images(tmp_path)
    return tmp_path


def begun(root):
    """(run, step) of every time a training began or went on."""
    lines = (root / "begun").read_text().splitlines()
    return [(line.split()[0], int(line.split()[1])) for line in lines]


def reason(task):
    return json.loads(task.failure.read_text())["reason"]


@pytest.mark.slow
@pytest.mark.sample
def test_whatever_happens_to_workers_the_answers_are_the_same(room, reference, forked):
    """One run's process is killed half-way, one run fails, and the others answer as ever. A task is asked for when there is room,
    so that it may depend on those that are over."""
    tasks = [
        runs.task(room, 9, architecture="lenet"), runs.task(room, 1, runs.Killed), runs.task(room, 0),
        runs.task(room, 2, runs.Counted),
    ]  # fmt: skip
    over = []

    def asked():
        yield from tasks[:2]
        assert over, "a third was asked for while both workers were at work"
        yield from tasks[2:]

    for task in Workers(2).run(asked()):
        over.append(task.path.name)
    assert sorted(over) == ["s0", "s1", "s2", "s9"]
    assert [runs.answers(task) for task in (tasks[2], tasks[1], tasks[3])] == reference[:3]
    assert [step for name, step in begun(room) if name == "s1"] in ([0, 2], [0, 4])  # from a checkpoint before step 5
    assert "ernel size" in reason(tasks[0])
    assert "Traceback" in json.loads(tasks[0].failure.read_text())["traceback"]
    assert not any(task.failure.exists() for task in tasks[1:])


def test_a_finished_run_is_not_made_again_and_a_failed_one_is_tried_again(room, reference):
    tasks = [runs.task(room, 0, runs.Counted), runs.task(room, 1, runs.Counted)]
    broken = room / "images"
    broken.rename(room / "elsewhere")
    assert list(InProcess(Observer()).run(tasks)) == tasks
    assert "does not exist" in reason(tasks[0])
    (room / "elsewhere").rename(broken)
    for _ in range(2):
        assert list(InProcess(Observer()).run(tasks)) == tasks
    assert begun(room) == [("s0", 0), ("s1", 0)]
    assert [runs.answers(task) for task in tasks] == reference[:2]
    assert not tasks[0].failure.exists()


@pytest.mark.slow
@pytest.mark.sample
def test_a_hung_run_is_ended_and_one_that_brings_down_its_process_given_up(room, reference, forked, monkeypatch):
    monkeypatch.setattr(executor, "_GENTLE_SECONDS", 1.0)
    monkeypatch.setattr(executor, "ATTEMPTS", 2)
    tasks = [runs.task(room, 5, runs.Hanging), runs.task(room, 6, runs.Deadly), runs.task(room, 0)]
    workers, over = Workers(2), []
    for task in workers.run(tasks):
        over.append(task)
        if len(over) == 2:  # the others are over: from now on any silence is too long
            runs.wait_until(tasks[0].path.with_suffix(".hangs").exists)
            workers.silence = 0.0
    assert {task.path.name for task in over} == {"s5", "s6", "s0"}
    assert "wrote nothing for" in reason(tasks[0])
    assert "was killed 2 times" in reason(tasks[1])
    assert runs.answers(tasks[2]) == reference[0]


def test_silence_counts_from_when_a_run_was_gone_on_with(tmp_path):
    """A run that was begun long ago and is gone on with now has not been silent since."""
    assert silent_since(tmp_path, 500.0) == 500.0  # nothing is written yet

    def wrote(name, when):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (when, when))

    wrote("requested.yaml", 1000.0)
    wrote("log.jsonl", 2000.0)
    assert silent_since(tmp_path, 0.0) == 2000.0
    assert silent_since(tmp_path, 2100.0) == 2100.0
    wrote("external_models/1/log.jsonl", 3000.0)  # what a run makes beside itself counts
    assert silent_since(tmp_path, 2100.0) == 3000.0


DRIVER = """
import sys
from pathlib import Path
from tests.studies import runs
from whet.studies.executor import InProcess, Workers
from whet.training.log import Observer
root, jobs, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
who = Workers(jobs) if jobs > 1 else InProcess(Observer())
for task in who.run([runs.task(root, seed, runs.Counted) for seed in range(count)]):
    print(task.path.name, flush=True)
"""


def driver(root, jobs, count):
    words = [sys.executable, "-c", DRIVER, str(root), str(jobs), str(count)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_ten_drivers_on_one_folder_make_each_run_once(room, reference):
    drivers = [driver(room, 1, 4) for _ in range(10)]
    for one in drivers:
        told, _ = one.communicate(timeout=900)
        assert one.returncode == 0
        assert sorted(told.split()) == ["s0", "s1", "s2", "s3"]
    assert sorted(begun(room)) == [("s0", 0), ("s1", 0), ("s2", 0), ("s3", 0)]
    assert [runs.answers(runs.task(room, seed)) for seed in range(4)] == reference


@pytest.mark.slow
def test_a_driver_killed_ten_times_loses_no_finished_run_and_changes_no_answer(room, reference):
    """After so many lines of log more as were drawn once and for all; each driver's workers save and end by themselves."""
    finished = {}
    for lines in 1 + Rng(11).batch("moments", 0, np.arange(10)).integers(8):
        with driver(room, 2, 4) as one:
            runs.kill_when_logged(one, room / "runs", lines)
        assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
        finished = {path: path.stat().st_mtime_ns for path in (room / "runs").glob("*/DONE")}
    last = driver(room, 2, 4)
    told, _ = last.communicate(timeout=900)
    assert last.returncode == 0
    assert sorted(told.split()) == ["s0", "s1", "s2", "s3"]
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
    assert [runs.answers(runs.task(room, seed)) for seed in range(4)] == reference
