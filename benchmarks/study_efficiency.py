"""How many trainings does it take to know the effects of twelve methods this well? A screen, in which every run contributes to
every method, against one method at a time, both on the digits, with the same seeds.

The screen is run with three seeds (72 runs); one at a time with more and more seeds, until its intervals are as narrow on the
average. Both are evaluated on the same validation images.

    python benchmarks/study_efficiency.py [--seeds 12] [--jobs 2] [--fresh]

A call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import shutil
from typing import Any

import numpy as np

import record
from study_digits import digits_recipe
from whet.evaluate.difference import LEAST_SEEDS
from whet.studies.clock import Clock
from whet.studies.design import design_matrix
from whet.studies.evidence import Findings, Observed, estimate_effects, observe
from whet.studies.executor import Workers
from whet.studies.factor import parse_factors, recipe_at
from whet.studies.runner import Runner
from whet.training.log import Observer

METHODS = (
    "ema", "label_smoothing", "mixup", "cutout", "warmup", "l2", "rotate", "random_crop", "translate", "gaussian_noise",
    "random_resized_crop", "clip_norm",
)  # fmt: skip
FOLDER = record.FOLDER / "study_efficiency"


def runs_of(design: str, seeds: int, jobs: int) -> list[Observed]:
    """The design's runs, seed by seed."""
    base, factors = digits_recipe(0, 25, "6ep"), parse_factors(METHODS)
    base = base.replace(data=base.data.replace(evaluate_test=False))
    runner = Runner(FOLDER, Workers(jobs), Clock(FOLDER / f"{design}.json", None, 0.0), Observer())
    rows = [(seed, levels) for seed in range(seeds) for levels in design_matrix(design, len(factors)).tolist()]
    made = runner.make([recipe_at(base, factors, levels).setting(seed=seed) for seed, levels in rows])
    if runner.failures:
        raise SystemExit(f"runs failed: {runner.failures}")
    return [observe(run, levels, seed) for run, (seed, levels) in zip(made, rows, strict=True) if run is not None]


def widths(found: Findings) -> np.ndarray:
    differences = [effect.difference for effect in found.effects]
    return np.array([d.high - d.low for d in differences if d is not None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12, help="of one at a time, at most")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    if arguments.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    factors = parse_factors(METHODS)
    results: dict[str, Any] = {"methods": METHODS, "screen": {}, "one_at_a_time": {}}
    for design, seeds, name in (("screen", 3, "screen"), ("add", arguments.seeds, "one_at_a_time")):
        runs = runs_of(design, seeds, arguments.jobs)
        for count in range(LEAST_SEEDS, seeds + 1):
            part = [run for run in runs if run.seed < count]
            width = float(widths(estimate_effects(design, factors, part, "accuracy")).mean())
            results[name][count] = {"runs": len(part), "mean_width": width}
            print(f"{name:14s} {count:2d} seeds {len(part):4d} runs: intervals of {100 * width:.1f} points", flush=True)
    aim = results["screen"][3]
    enough = [row["runs"] for row in results["one_at_a_time"].values() if row["mean_width"] <= aim["mean_width"]]
    results["runs_for_the_screens_width"] = min(enough, default=None)
    results["share_of_runs"] = aim["runs"] / min(enough) if enough else None
    print(
        f"the screen's {aim['runs']} runs are worth {min(enough, default='more than any number tried')} one at a time"
    )
    record.write(
        "study_efficiency",
        "Runs that a screen and one method at a time take to know twelve effects as well",
        results,
        (),
    )


if __name__ == "__main__":
    main()
