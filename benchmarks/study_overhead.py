"""What a study costs beside its runs: planning, writing down, judging, the report. Share of its wall time that is not spent in
training runs, for a screen of eight methods on the digits in this process.

    python benchmarks/study_overhead.py [--repeats 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import record
from study_digits import digits_recipe
from whet.studies import executor
from whet.studies.study import study

METHODS = ("ema", "label_smoothing", "mixup", "cutout", "warmup", "l2", "rotate", "random_crop")


def measured(budget: str) -> dict[str, float]:
    """Seconds of the whole study, and of those the ones inside its runs."""
    inside, runs = 0.0, 0
    execute = executor.execute

    def timed(*given: Any) -> bool:
        nonlocal inside, runs
        began = time.perf_counter()
        try:
            return execute(*given)
        finally:
            inside += time.perf_counter() - began
            runs += 1

    executor.execute = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            study(digits_recipe(0, 25, budget), METHODS, seeds=2, out=Path(folder) / "study")
            whole = time.perf_counter() - began
    finally:
        executor.execute = execute
    return {"seconds": whole, "seconds_in_runs": inside, "runs": runs, "bookkeeping_share": 1 - inside / whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    measured("2st")  # what a process does only once
    rows = [measured("6ep") for _ in range(arguments.repeats)]
    for row in rows:
        print({key: round(value, 4) for key, value in row.items()}, flush=True)
    results = {key: record.summary([row[key] for row in rows]) for key in rows[0]}
    record.write("study_overhead", "Share of a study's wall time that is not spent in its runs", results, ())


if __name__ == "__main__":
    main()
