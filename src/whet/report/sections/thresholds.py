"""What a threshold of confidence is worth: precision, recall, and the share of samples that are left to a person."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import numpy as np

from whet.core.evidence import Predictions
from whet.core.run_folder import RunFolder
from whet.core.task import ClassTask
from whet.evaluate.evidence import read_evidence
from whet.evaluate.rates import wilson_interval
from whet.report.text import part_name

_FINE, _COARSE, _FEW_CLASSES = 1000, 100, 20  # steps of the threshold between 0 and 1, the latter with more classes
_LISTED = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)


def context(folder: RunFolder) -> dict[str, Any]:
    metrics = folder.read_json(folder.metrics)
    parts = [part for part in ("test", "val") if part in metrics]
    evidence = {part: cast(Predictions, read_evidence(folder, part)) for part in parts}
    first = evidence[parts[0]]
    task = cast(ClassTask, first.task)
    steps = _FINE if len(first.classes) <= _FEW_CLASSES else _COARSE
    counted = {part: counts(one, steps) for part, one in evidence.items()}
    exclusive = task.exclusive
    return {
        "rows": [at(counted[parts[0]], round(t * steps)) | {"threshold": t} for t in _LISTED if exclusive or t >= 0.5],
        "exclusive": exclusive,
        "part": part_name(parts[0]),
        "chosen_on": part_name(parts[-1]),
        "classes": first.classes,
        "page": {
            "steps": steps,
            "start": round((0.8 if exclusive else 0.5) * steps),
            "shown": counted[parts[0]],
            "chosen": counted[parts[-1]] if len(parts) > 1 else None,  # None: the same
        },
    }


def counts(evidence: Predictions, steps: int) -> dict[str, Any]:
    """What the page computes from: samples, how many have each class (K,), and [class, step, right, wrong] of the predictions
    whose confidence lies in a step, floor(confidence * steps)."""
    task = cast(ClassTask, evidence.task)
    class_M, score_M, right_M = task.calls(evidence)
    step_M = np.floor(score_M * steps + 1e-9).astype(int)
    right = Counter(zip(class_M[right_M].tolist(), step_M[right_M].tolist()))
    wrong = Counter(zip(class_M[~right_M].tolist(), step_M[~right_M].tolist()))
    return {
        "samples": len(evidence),
        "support": task.members(evidence).sum(axis=0).tolist(),
        "calls": [[*key, right[key], wrong[key]] for key in sorted(right.keys() | wrong.keys())],
    }


def at(counted: dict[str, Any], step: int) -> dict[str, Any]:
    """Precision with its interval, recall, and predictions per sample of all classes together, at one threshold."""
    right = sum(r for _, s, r, _ in counted["calls"] if s >= step)
    wrong = sum(w for _, s, _, w in counted["calls"] if s >= step)
    return {
        "precision": right / (right + wrong) if right + wrong else None,
        "interval": wilson_interval(right, right + wrong),
        "recall": right / max(sum(counted["support"]), 1),
        "answered": (right + wrong) / counted["samples"],
        "wrong": wrong,
    }
