"""Promises in seconds: how soon a training ends when it is told to, and how soon what cannot be done is refused.

    python benchmarks/promises.py

What is promised stands beside what was measured. Tests hold what happens; a clock they do not look at.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sklearn.datasets import load_digits

import record
from whet.training.checkpoint import checkpoints

REPEATS = 3
WHET = [sys.executable, "-m", "whet"]
PROMISED = {
    "SIGTERM to the end, saved": 10.0, "SIGINT to the end, saved": 10.0, "a second signal to the end": 1.0,
    "a busy folder is refused": 2.0, "a folder that cannot be written is refused": 2.0, "missing weights are refused": 10.0,
}  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_data(place / "digits")
        found: dict[str, list[float]] = {}
        for repeat in range(REPEATS):
            for what, seconds in measured(place, repeat).items():
                found.setdefault(what, []).append(seconds)
    imports = record.summary([end_of("--version")[0] for _ in range(REPEATS)])
    results: dict[str, Any] = {
        what: {"promised": PROMISED[what], "seconds": record.summary(seconds)} for what, seconds in found.items()
    }
    question = "How soon does a training end when it is told to, and how soon is refused what cannot be done?"
    record.write("promises", question, {"promises": results, "starting Python and whet": imports}, ("scikit-learn",))
    for what, one in results.items():
        print(f"{what:44s} {one['seconds']['median']:6.2f} s of {one['promised']:.0f}")


def write_data(folder: Path) -> None:
    import cv2

    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / str(label) / f"{number}.png"), (image * 15).astype("uint8"))


def measured(place: Path, repeat: int) -> dict[str, float]:
    data, found = place / "digits", {}
    for what, numbers in (
        ("SIGTERM to the end, saved", [signal.SIGTERM]),
        ("SIGINT to the end, saved", [signal.SIGINT]),
        ("a second signal to the end", [signal.SIGTERM, signal.SIGTERM]),
    ):
        out = place / f"run-{repeat}-{len(found)}"
        process = begun(data, out)
        if what == "SIGTERM to the end, saved":
            found["a busy folder is refused"] = refused("train", "--resume", out)
        for place_in_turn, number in enumerate(numbers):
            time.sleep(0.2 * place_in_turn)  # two at once would be one
            process.send_signal(number)
            sent = time.monotonic()
        process.wait()
        found[what] = time.monotonic() - sent
    words = ("train", data, "--architecture", "resnet9_slim", "--out", "/proc/self/run")
    found["a folder that cannot be written is refused"] = refused(*words)
    words = ("train", data, "--weights", place / "nothing", "--out", place / "refused")
    found["missing weights are refused"] = refused(*words)
    return found


def begun(data: Path, out: Path) -> subprocess.Popen[bytes]:
    """A training that has saved its third step."""
    words = ["train", str(data), "--out", str(out), "--architecture", "resnet9_slim", "--budget", "1000ep"]
    settings = ["--set", "train.checkpoint_every=1st", "--set", "train.image_size=32"]
    process = subprocess.Popen([*WHET, *words, *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any(int(path.name[5:]) >= 3 for path in checkpoints(out / "checkpoints")):
        assert process.poll() is None
        time.sleep(0.05)
    return process


def refused(*words: object) -> float:
    """Seconds until a command refuses."""
    seconds, code = end_of(*words)
    assert code == 1, (words, code)
    return seconds


def end_of(*words: object) -> tuple[float, int]:
    """(seconds, exit code) of a command."""
    began = time.monotonic()
    done = subprocess.run([*WHET, *map(str, words)], capture_output=True, check=False, env=dict(os.environ))
    return time.monotonic() - began, done.returncode


if __name__ == "__main__":
    main()
