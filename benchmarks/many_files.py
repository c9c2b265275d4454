"""A folder of many JPEGs: how long until the first step, and how much memory the first 200 steps take.

Writes 100,000 different small JPEGs in ten classes (once, into --folder), trains ResNet-9 (slim) on them at 32 px with the shipped
recipe, and reads the run's own log.

    python benchmarks/many_files.py [--files 100000] [--folder /tmp/whet-many-files]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np

import record
from whet.core.rng import Rng

CLASSES, SIDE, STEPS = 10, 96, 200


def write_files(folder: Path, count: int) -> None:
    """Smooth random images, a hue of its own for each class."""
    done = folder / f".{count}"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for k in range(CLASSES):
        (folder / f"class{k}").mkdir(parents=True)
    for start in range(0, count, 1000):
        numbers = np.arange(start, min(start + 1000, count))
        patches = Rng(0).batch("patches", 0, numbers).uniform(0, 255, (6, 6, 3)).astype(np.uint8)
        for number, patch in zip(numbers, patches):
            k = int(number) % CLASSES
            patch[..., k % 3] //= 1 + k // 3
            pixels = cv2.resize(patch, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"class{k}" / f"{number:06d}.jpg"), pixels)
    done.touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "whet-many-files")
    arguments = parser.parse_args()
    write_files(arguments.folder, arguments.files)
    out = Path(tempfile.mkdtemp()) / "run"
    command = [
        str(Path(sys.executable).with_name("whet")), "train", str(arguments.folder), "--out", str(out),
        "--architecture", "resnet9_slim", "--recipe", "image/from_scratch", "--budget", "2ep",
        "--set", "train.image_size=32", "--set", "train.batch_size=64", "--set", "train.checkpoint_every=100st",
        "--set", "train.validate_every=2ep",
    ]  # fmt: skip
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    first = peak = 0.0
    lines: list[str] = []
    assert process.stderr is not None
    threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True).start()
    while process.poll() is None:
        peak = max(peak, resident_mib(process.pid))
        steps = logged_steps(out / "log.jsonl")
        if steps and not first:
            first = time.monotonic() - start
        if steps >= STEPS:
            process.terminate()
            break
        time.sleep(0.05)
    process.wait()
    shutil.rmtree(out.parent)
    if not first:
        raise SystemExit("the training ended before its first step:\n" + "".join(lines))
    results = {"files": arguments.files, "seconds_to_first_step": first, "peak_memory_mib": peak, "steps": STEPS}
    print(json.dumps(results, indent=2))
    record.write(
        "many_files",
        f"a folder of {arguments.files:,} JPEGs: start-up and memory of {STEPS} steps",
        results,
        ("torch",),
    )


def resident_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmHWM")), 0.0)


def logged_steps(log: Path) -> int:
    try:
        lines = log.read_text().splitlines()
    except OSError:
        return 0
    steps = [json.loads(line)["step"] for line in lines if line.endswith("}") and '"event": "step"' in line]
    return max(steps, default=0)


if __name__ == "__main__":
    main()
