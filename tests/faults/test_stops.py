"""Signals, bad numbers, changed data and busy folders (promises T6, T7, T8, T10, T11, T12, T14), by the command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.conftest import FAST, train_small, whet, write_images
from tests.faults.conftest import Command, Zygote, story

from whet.core.recipe import Recipe
from whet.training.checkpoint import checkpoints, read_checkpoint


def start(zygote: Zygote, data: Path, out: Path, budget: str = "2000ep") -> Command:
    settings = [word for setting in FAST for word in ("--set", setting)]
    words = ["train", data, "--out", out, "--architecture", "resnet9_slim", "--budget", budget, *settings]
    return zygote.whet(*words, errors=out.with_name("stderr"))


def wait_for_steps(out: Path, process: Command, steps: int = 3) -> None:
    while not any(int(path.name[5:]) >= steps for path in checkpoints(out / "checkpoints")):
        assert process.poll() is None, process.errors.read_text()
        time.sleep(0.1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_ends_and_the_run_goes_on(zygote, images, tmp_path, number, code):
    """Promise T7; how long it takes is measured by benchmarks/promises.py."""
    out = tmp_path / "run"
    process = start(zygote, images, out)
    wait_for_steps(out, process)
    process.send_signal(number)
    ended, stderr = process.ended()
    assert ended == code, stderr
    assert "Traceback" not in stderr
    state = read_checkpoint(checkpoints(out / "checkpoints")[0])["state"]
    steps = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert state["step"] == max(record["step"] for record in steps if record["event"] == "step")
    resumed = zygote.whet("train", "--resume", out, errors=tmp_path / "stderr again")
    wait_for_steps(out, resumed, state["step"] + 5)
    resumed.send_signal(signal.SIGTERM)
    assert resumed.ended()[0] == 143


def test_a_second_signal_ends_at_once(zygote, images, tmp_path):
    out = tmp_path / "run"
    process = start(zygote, images, out)
    wait_for_steps(out, process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.ended()[0] == 143


def test_a_learning_rate_out_of_this_world(images, tmp_path):
    """Promise T8: it stops before the step, says so in one line, and nothing that is not finite is on disk."""
    words = ("--recipe", "image/plain_from_scratch", "--set", "sgd.lr=1e20")
    done = train_small(images, tmp_path / "run", *words, budget="30ep")
    assert done.returncode == 1
    assert "The step was not applied" in done.stderr or "not finite; nothing was saved" in done.stderr
    assert "Traceback" not in done.stderr
    for path in checkpoints(tmp_path / "run" / "checkpoints"):
        state = read_checkpoint(path)
        assert all(torch.isfinite(t).all() for t in state["net"].values() if t.is_floating_point())


@pytest.fixture
def stopped(zygote, tmp_path):
    """(a run that was killed in its middle, its data: a copy that a test may change)."""
    data = tmp_path / "data" / "images"
    shutil.copytree(zygote.data["image"], data)
    assert zygote.train(tmp_path / "run", kill=("step", 9), data={"path": str(data)}) == -9
    return tmp_path / "run", data


def test_changed_data_are_refused_with_the_differences(stopped):
    """Promise T10: edited, deleted, added and relabelled files."""
    run, data = stopped
    glass = data / "glass"
    (glass / "000.png").write_bytes((glass / "002.png").read_bytes())
    (glass / "004.png").unlink()
    shutil.copy(glass / "006.png", glass / "new.png")
    shutil.move(glass / "008.png", data / "metal" / "moved.png")
    done = whet("train", "--resume", run)
    assert done.returncode == 1
    for words in (
        "glass/000.png: its content changed",
        "glass/004.png: missing",
        "glass/new.png: new",
        "metal/moved.png: new",
    ):
        assert words in done.stderr, done.stderr
    assert "--accept-changed-data" in done.stderr


@pytest.mark.slow
@pytest.mark.sample
def test_changed_classes_are_never_accepted(stopped):
    """The weights belong to the names that they were trained for."""
    run, data = stopped
    (data / "glass").rename(data / "zinc")  # the order of the classes changes, too
    done = whet("train", "--resume", run, "--accept-changed-data")
    assert done.returncode == 1
    assert "removed: glass; new: zinc" in done.stderr, done.stderr
    (data / "zinc").rename(data / "glass")
    assert whet("train", "--resume", run, "--accept-changed-data").returncode == 0


def test_data_that_moved_are_found_from_anywhere(zygote, whole, stopped, tmp_path, monkeypatch):
    run, data = stopped
    (tmp_path / "elsewhere").mkdir()
    data.rename(tmp_path / "elsewhere" / "photos")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "does not exist" in whet("train", "--resume", run).stderr
    done = whet("train", "photos", "--resume", run)
    assert done.returncode == 0, done.stderr
    assert {**story(run), "report": ""} == {**whole("image"), "report": ""}
    for name in ("requested.yaml", "recipe.yaml"):
        assert Recipe.load(run / name).data.path == str(tmp_path / "elsewhere" / "photos")


def test_other_data_at_another_place_are_refused(stopped, tmp_path):
    run, data = stopped
    shutil.copytree(data, tmp_path / "others")
    (tmp_path / "others" / "glass" / "004.png").unlink()
    done = whet("train", tmp_path / "others", "--resume", run)
    assert done.returncode == 1
    assert "glass/004.png: missing" in done.stderr


@pytest.mark.slow
@pytest.mark.sample
def test_a_run_goes_on_from_another_working_directory(zygote, tmp_path, monkeypatch):
    shutil.copytree(zygote.data["image"], zygote.data["image"].parent / "here", dirs_exist_ok=True)
    assert zygote.train(tmp_path / "run", kill=("step", 4), data={"path": "here"}) == -9  # relative to the zygote's own
    monkeypatch.chdir(tmp_path)
    assert whet("train", "--resume", "run").returncode == 0


def test_a_disk_that_is_full_is_one_line_and_the_run_goes_on(zygote, whole, tmp_path):
    """Promise T5: a system that refuses larger files stops the checkpoints, the starting model, or the log."""
    size = sum(path.stat().st_size for path in (tmp_path / "run").glob("*"))
    assert size == 0
    out = tmp_path / "run"
    assert zygote.train(out, kill=("step", 5)) == -9
    code = zygote.resume(out, limit=1_000_000, errors=str(tmp_path / "stderr"))
    stderr = (tmp_path / "stderr").read_text()
    assert code == 1
    assert re.search(r"^error: .*step-000000\d\d \([\d,]+ bytes\) cannot be written: .*", stderr), stderr
    assert len(stderr.splitlines()) == 1
    assert zygote.resume(out) == 0
    assert story(out) == whole("image")


@pytest.mark.parametrize("limit", [200_000, 2_000])
def test_a_disk_that_is_full_at_the_start(zygote, tmp_path, limit):
    code = zygote.train(tmp_path / "run", limit=limit, errors=str(tmp_path / "stderr"))
    stderr = (tmp_path / "stderr").read_text()
    assert code == 1
    assert re.search(r"^error: .*\([\d,]+ bytes\) cannot be written: .*", stderr), stderr
    assert len(stderr.splitlines()) == 1


def test_memory_that_runs_out_is_one_line(images, tmp_path, monkeypatch):
    """Promise T9: as torch tells it on the CPU."""
    from whet.training import session

    def greedy(training):
        torch.empty(1 << 60, dtype=torch.uint8)

    monkeypatch.setattr(session, "fit", greedy)
    done = train_small(images, tmp_path / "run")
    assert done.returncode == 1
    assert "out of memory" in done.stderr and "train.batch_size" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_part_of_which_nothing_can_be_read_is_named(tmp_path, part):
    """One bad file never stops a run by itself; here it is all of a part."""
    data = tmp_path / "data"
    for name, count in {"train": 12, "val": 2, "test": 2}.items():
        write_images(data / name, {"glass": count, "metal": count})
    first, *others = sorted((data / part).rglob("*.[jp][pn]g"))
    first.write_bytes(b"no image")
    for file in others:
        file.unlink()
    done = train_small(data, tmp_path / "run", budget="1ep")
    assert done.returncode == 1
    assert re.search(rf"none of the 1 {part} samples can be read; first error: {part}/glass/0", done.stderr), (
        done.stderr
    )


def test_a_second_process_is_refused_with_the_first_one_s_number(zygote, images, tmp_path):
    """Promise T12, by the command line."""
    out = tmp_path / "run"
    process = start(zygote, images, out)
    wait_for_steps(out, process)
    second = whet("train", "--resume", out)
    process.send_signal(signal.SIGKILL)
    process.ended()
    assert second.returncode == 1
    assert f"process {process.pid}" in second.stderr


def test_bad_files_are_left_out_and_named(images, tmp_path):
    """Promise T11 below one in a hundred: skipped, named in the result and in the report."""
    for i in range(100):
        shutil.copy(images / "glass" / "000.png", images / "metal" / f"copy{i}.png")
    (images / "glass" / "bad.png").write_bytes(b"no image")
    done = train_small(images, tmp_path / "run", "--json", budget="1ep")
    assert done.returncode == 0, done.stderr
    left_out = json.loads(done.stdout)["left_out"]
    assert [entry["id"] for entry in left_out] == ["glass/bad.png"]
    assert "glass/bad.png" in (tmp_path / "run" / "report.html").read_text()


def test_too_many_bad_files_stop_the_run(images, tmp_path):
    for i in range(10):
        (images / "glass" / f"bad{i}.png").write_bytes(b"no image %d" % i)
    done = train_small(images, tmp_path / "run", budget="1ep")
    assert done.returncode == 1
    assert "cannot be used, more than 1%" in done.stderr
    assert "glass/bad" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="needs a place nobody can write")
def test_an_unwritable_place_fails_before_any_work(images):
    """Promise T6."""
    done = whet("train", images, "--architecture", "resnet9_slim", "--out", "/proc/self/run")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "step" not in done.stderr and "measuring" not in done.stderr


def test_missing_weights_fail_soon_and_say_what_to_put_where(images, tmp_path):
    """Promise T14: no random weights in their place."""
    done = whet("train", images, "--weights", tmp_path / "nothing", "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "config.json and model.safetensors" in done.stderr
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs unshare(2)")
def test_without_a_network_a_hub_name_fails_clearly(zygote, images, tmp_path):
    words = ["train", images, "--weights", "nobody/nothing", "--out", tmp_path / "run"]
    code, said = zygote.whet(*words, errors=tmp_path / "said", offline=True).ended()
    if code == 77:
        pytest.skip("no right to make a network namespace here")
    assert code == 1
    assert "hub name 'nobody/nothing'" in said
    assert "Traceback" not in said
