"""Runs for boards: two recipes with three seeds, one with a single seed, and a run on other samples."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.made_evidence import evidence

from whet.core import strict_json
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.evaluate.evidence import write_evidence

SAMPLES = 120


def make_run(like: Path, path: Path, right: float, seed: int, recipe: str, samples: int = SAMPLES) -> Path:
    """A copy of a finished run with other predictions. right: the share of correct ones. recipe: stands for the hash."""
    shutil.copytree(like, path, ignore=shutil.ignore_patterns("checkpoints", "model", "samples", "mistakes"))
    run = RunFolder(path)
    requested = Recipe.load(run.requested).setting(seed=seed)
    run.requested.write_text(requested.to_yaml(), encoding="utf-8")
    metrics = run.read_json(run.metrics) | {"seed": seed, "requested_hash": recipe}
    labels = np.arange(samples) % 3
    wrong = Rng(seed).batch(f"wrong {recipe}", 0, np.arange(samples)).uniform(0, 1, ()) >= right
    found = evidence(np.eye(3)[(labels + wrong) % 3] * 0.8 + 0.1 / 3, labels, ("glass", "metal", "paper"))
    write_evidence(run, {"val": found, "test": found})
    value = float(found.task.metric("accuracy").value(found))
    for part in ("val", "test"):
        metrics[part] |= {"accuracy": value, "accuracy_interval": [value - 0.05, value + 0.05], "samples": samples}
    strict_json.write(run.metrics, metrics)
    return path


@pytest.fixture(scope="package")
def runs(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recipes with three seeds, one with a single seed, and a run on other samples."""
    root = tmp_path_factory.mktemp("board") / "runs"
    for seed in range(3):
        make_run(finished_run, root / f"plain-s{seed}", 0.6, seed, "plain")
        make_run(finished_run, root / f"strong-s{seed}", 0.9, seed, "strong")
    make_run(finished_run, root / "more" / "single", 0.7, 1, "single")
    make_run(finished_run, root / "other", 0.7, 1, "other", samples=60)
    return root
