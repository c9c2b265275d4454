"""Training images a second with masks against classification: the same photos, network, size, batch and methods.

Each contender is a whole run of `--steps` steps in a process of its own, and they take turns: decoding, rendering of images and
masks, and the step, without validation and set-up, in seconds of processor time of all threads. Classification learns the classes
that occur in each mask.

    python benchmarks/mask_throughput.py [--repeats 5] [--steps 40]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import record
from whet.core.recipe import Recipe

WEIGHTS = str(record.SHARED / "weights" / "mobilenet_v2_1.0_224")
CONTENDERS = {
    "classification": ("image-classification", "auto"),
    "semantic, fpn": ("semantic-segmentation", "fpn"),
    "instances, centre_offset": ("instance-segmentation", "centre_offset"),
}
METHODS = ("random_resized_crop", "horizontal_flip", "brightness", "contrast", "saturation", "adamw", "ema")
GOAL = 0.8


def rate(name: str, steps: int) -> float:
    """Images a second of one run."""
    from whet.training.job import train_run

    task, head = CONTENDERS[name]
    recipe = Recipe.from_dict(
        {
            "task": task,
            "data": {"path": str(record.SHARED / "waste_seg")},
            "model": {"architecture": WEIGHTS, "weights": WEIGHTS, "head": head},
            "train": {"budget": f"{steps}st", "batch_size": 8, "image_size": 256, "validate_every": f"{steps}st"},
            "methods": list(METHODS),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        run = train_run(recipe, Path(folder) / "run", clock=time.process_time)
        return float(run.read_json(run.metrics)["cost"]["samples_per_second"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--contender", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps(rate(arguments.contender, arguments.steps)))
        return
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(arguments.repeats):
        for name, found in rates.items():
            command = [sys.executable, __file__, "--contender", name, "--steps", str(arguments.steps)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    results = {"images_per_second": {name: record.summary(found) for name, found in rates.items()}}
    first, *others = rates
    for name in others:
        results[f"{name} / {first}"] = record.summary([one / two for one, two in zip(rates[name], rates[first])])
        print(f"{name}: {results[f'{name} / {first}']['median']:.2f} times {first} (goal {GOAL})")
    record.write("mask_throughput", __doc__.splitlines()[0], results, ("lightning-fabric",))


if __name__ == "__main__":
    main()
