"""A training step with another state of the code against this one: texts, audio and images, two loader threads, one torch thread.

Every run is a process of its own, and the two states take turns. The first steps are left out (of audio the whole first epoch, in
which the clips are decoded), and so is everything after the steps that are timed. One thread of torch, so that the other core is
the
loader's. On a busy machine the processor time of the training's own thread says more than the clock: it is what a step takes where
a core is free for the loader.

    python benchmarks/loader_threads.py --old CHECKOUT [--repeats 5] [--only text audio image]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import record

NAMES = ("text", "audio", "image")
STEPS = {"text": (20, 140), "audio": (9, 9), "image": (5, 25)}  # left out, timed
TRAIN = {"batch_size": 32, "loader_threads": 2, "torch_threads": 1, "precision": "fp32", "device": "cpu"}


class Enough(Exception):
    """The steps that are timed are done; what comes after them is of no interest here."""


def recipe_of(name: str) -> Any:
    from whet import recipes
    from whet.core.recipe import DataSpec, ModelSpec

    shipped, architecture, spec = {
        "text": ("text/plain_from_scratch", "fast_text", DataSpec(path=str(record.SHARED / "text" / "trec6"))),
        "audio": (
            "audio/from_scratch",
            "audio_cnn",
            DataSpec(path=str(record.SHARED / "esc10" / "meta.csv"), fold="1"),
        ),
        "image": (
            "image/plain_from_scratch",
            "resnet9_slim",
            DataSpec(path=str(record.SHARED / "cifar10_subset")),
        ),
    }[name]
    recipe = recipes.load(shipped).replace(data=spec, model=ModelSpec(architecture=architecture, weights="none"))
    return recipe.setting(**TRAIN, budget=f"{sum(STEPS[name])}st", validate_every="1dur", checkpoint_every="1dur")


def trained(name: str) -> dict[str, float]:
    """One run in this process: milliseconds of a step, by the clock, of the training's thread and of the whole process, and the
    most memory it took, in megabytes."""
    import resource

    from whet.training.job import train_run
    from whet.training.log import Observer

    class Watch(Observer):
        def __init__(self) -> None:
            self.ends: list[tuple[float, ...]] = []

        def step(self, record: dict[str, Any]) -> None:
            self.ends.append((time.perf_counter(), time.thread_time(), time.process_time()))
            if len(self.ends) == left_out + timed:
                raise Enough

    watch, (left_out, timed) = Watch(), STEPS[name]
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
        train_run(recipe_of(name), Path(folder) / "run", observer=watch)
    begin, end = watch.ends[left_out - 1], watch.ends[left_out + timed - 1]
    names = ("step_ms", "training_thread_ms", "processor_ms")
    found = {name: 1000 * (after - before) / timed for name, before, after in zip(names, begin, end)}
    return {**found, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, help="the root of a checkout to compare with")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(trained(options.one)))
        return
    if options.old is None:
        parser.error("--old is missing")
    results = record.earlier("loader_threads")
    for name in options.only:
        results[name] = compared(name, {"old": options.old.resolve(), "new": record.ROOT}, options.repeats)
    question = (
        "milliseconds a step, tokens and spectrograms made between the steps (old) or in the loader's threads (new); two loader "
        "threads, one torch thread, batches of 32, in turn in processes of their own: TREC-6 by fast_text, ESC-10 by audio_cnn, "
        "CIFAR-10's subset by resnet9_slim"
    )
    record.write("loader_threads", question, results, ("tokenizers",))


def compared(name: str, states: dict[str, Path], repeats: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, float]]] = {state: [] for state in states}
    command = [sys.executable, str(Path(__file__).resolve()), "--one", name]
    for _ in range(repeats):
        for state, root in states.items():
            environment = {**os.environ, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            found[state].append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(f"{name:6s} {state:4s} {found[state][-1]}", flush=True)
    measures = {
        state: {key: record.summary([run[key] for run in runs]) for key in runs[0]} for state, runs in found.items()
    }
    ratios = {
        key: record.summary([new[key] / old[key] for old, new in zip(found["old"], found["new"])])
        for key in measures["new"]
    }
    return {**measures, "new_over_old": ratios}


if __name__ == "__main__":
    main()
