"""Signals, bad numbers, changed data and busy folders (promises T6, T7, T8, T10, T11, T12, T14), by the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import FAST, train_small, whet

from whet.train.checkpoint import checkpoints, read_checkpoint


def start(data: Path, out: Path, budget: str = "500ep") -> subprocess.Popen[str]:
    settings = [word for setting in FAST for word in ("--set", setting)]
    words = ["train", str(data), "--out", str(out), "--architecture", "resnet9_slim", "--budget", budget, *settings]
    return subprocess.Popen(
        [sys.executable, "-m", "whet", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_steps(out: Path, process: subprocess.Popen[str], steps: int = 3) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        if (
            (out / "checkpoints").is_dir()
            and len(list((out / "checkpoints").glob("step-*")))
            and checkpoints(out / "checkpoints")
        ):
            newest = int(checkpoints(out / "checkpoints")[0].name[5:])
            if newest >= steps:
                return
        time.sleep(0.1)
    raise AssertionError("training did not get going")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_ends_and_the_run_goes_on(pictures, tmp_path, number, code):
    """Promise T7."""
    out = tmp_path / "run"
    process = start(pictures, out)
    wait_for_steps(out, process)
    sent = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert time.monotonic() - sent < 10
    assert "Traceback" not in said
    state = read_checkpoint(checkpoints(out / "checkpoints")[0])["state"]
    steps = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert state["step"] == max(record["step"] for record in steps if record["event"] == "step")
    resumed = subprocess.Popen(
        [sys.executable, "-m", "whet", "train", "--resume", str(out)], stderr=subprocess.PIPE, text=True
    )
    wait_for_steps(out, resumed, state["step"] + 5)
    resumed.send_signal(signal.SIGTERM)
    resumed.communicate(timeout=30)
    assert resumed.returncode == 143


def test_a_second_signal_ends_at_once(pictures, tmp_path):
    out = tmp_path / "run"
    process = start(pictures, out)
    wait_for_steps(out, process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert time.monotonic() - sent < 10


def test_a_learning_rate_out_of_this_world(pictures, tmp_path):
    """Promise T8: it stops before the step, says so in one line, and nothing that is not finite is on disk."""
    words = ("--recipe", "image/plain_from_scratch", "--set", "sgd.lr=1e20")
    done = train_small(pictures, tmp_path / "run", *words, budget="30ep")
    assert done.returncode == 1
    assert "The step was not taken" in done.stderr or "not finite; nothing was saved" in done.stderr
    assert "Traceback" not in done.stderr
    import torch

    for path in checkpoints(tmp_path / "run" / "checkpoints"):
        state = read_checkpoint(path)
        assert all(torch.isfinite(t).all() for t in state["net"].values() if t.is_floating_point())


@pytest.fixture
def stopped(pictures, tmp_path):
    """A run ended by a signal in its middle."""
    out = tmp_path / "run"
    process = start(pictures, out)
    wait_for_steps(out, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    return out


def test_changed_data_are_refused_with_the_differences(pictures, stopped):
    """Promise T10: edited, deleted, added and relabelled files."""
    glass = pictures / "glass"
    (glass / "000.png").write_bytes((glass / "002.png").read_bytes())
    (glass / "004.png").unlink()
    shutil.copy(glass / "006.png", glass / "new.png")
    shutil.move(glass / "008.png", pictures / "metal" / "moved.png")
    done = whet("train", "--resume", stopped)
    assert done.returncode == 1
    for words in (
        "glass/000.png: its content changed",
        "glass/004.png: no longer there",
        "glass/new.png: new",
        "metal/moved.png: new",
    ):
        assert words in done.stderr, done.stderr
    assert "--accept-changed-data" in done.stderr


def test_a_second_process_is_refused_with_the_first_one_s_number(pictures, tmp_path):
    """Promise T12, by the command line."""
    out = tmp_path / "run"
    process = start(pictures, out)
    wait_for_steps(out, process)
    second = whet("train", "--resume", out)
    process.kill()
    process.communicate()
    assert second.returncode == 1
    assert f"process {process.pid}" in second.stderr


def test_bad_files_are_left_out_and_named(pictures, tmp_path):
    """Promise T11 below one in a hundred: skipped, named in the result and in the report."""
    for i in range(100):
        shutil.copy(pictures / "glass" / "000.png", pictures / "metal" / f"copy{i}.png")
    (pictures / "glass" / "bad.png").write_bytes(b"no picture")
    done = train_small(pictures, tmp_path / "run", "--json", budget="1ep")
    assert done.returncode == 0, done.stderr
    left_out = json.loads(done.stdout)["left_out"]
    assert [entry["id"] for entry in left_out] == ["glass/bad.png"]
    assert "glass/bad.png" in (tmp_path / "run" / "report.html").read_text()


def test_too_many_bad_files_stop_the_run(pictures, tmp_path):
    for i in range(10):
        (pictures / "glass" / f"bad{i}.png").write_bytes(b"no picture %d" % i)
    done = train_small(pictures, tmp_path / "run", budget="1ep")
    assert done.returncode == 1
    assert "cannot be read, more than 1%" in done.stderr
    assert "glass/bad" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="needs a place nobody can write")
def test_an_unwritable_place_fails_before_any_work(pictures):
    """Promise T6."""
    start_time = time.monotonic()
    done = whet("train", pictures, "--architecture", "resnet9_slim", "--out", "/proc/self/run")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert time.monotonic() - start_time < 15  # most of it is Python's imports


def test_missing_weights_fail_soon_and_say_what_to_put_where(pictures, tmp_path):
    """Promise T14: no random weights in their place."""
    begun = time.monotonic()
    done = whet("train", pictures, "--weights", tmp_path / "nothing", "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "config.json and model.safetensors" in done.stderr
    assert time.monotonic() - begun < 20
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_without_a_network_a_hub_name_fails_clearly(pictures, tmp_path):
    words = [
        sys.executable,
        "-m",
        "whet",
        "train",
        str(pictures),
        "--weights",
        "nobody/nothing",
        "--out",
        str(tmp_path / "run"),
    ]
    begun = time.monotonic()
    done = subprocess.run(["unshare", "-rn", *words], capture_output=True, text=True, check=False, timeout=120)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no right to make a network namespace here")
    assert done.returncode == 1
    assert "hub name 'nobody/nothing'" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < 20  # of which the imports take half
