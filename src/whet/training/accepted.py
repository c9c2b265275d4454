"""How many predictions for unlabelled samples became targets, over a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from whet.core.batch import ACCEPTED
from whet.core.language import Sentence, english
from whet.core.run_folder import RunFolder


def accepted_metrics(folder: RunFolder) -> dict[str, Any]:
    """For the metrics of a run: the mean of the logged shares (`whet.core.batch.ACCEPTED`) over the whole training, its first tenth
    and its last tenth, 0 to 1; empty where no method of the recipe logs one."""
    found = [record[ACCEPTED] for record in folder.log_records() if record["event"] == "step" and ACCEPTED in record]
    if not found:
        return {}
    tenth = -(-len(found) // 10)
    parts = {"mean": found, "first": found[:tenth], "last": found[-tenth:]}
    return {ACCEPTED: {name: float(np.mean(shares)) for name, shares in parts.items()}}


def nothing_accepted(metrics: Mapping[str, Any]) -> Sentence | None:
    """A note for a run that learned from no unlabelled sample, given its metrics."""
    shares, labels = metrics.get(ACCEPTED), metrics.get("pseudo_labels")
    if (shares is None or shares["mean"] > 0) and (labels is None or labels["chosen"] > 0):
        return None
    return english(
        "no prediction for an unlabelled sample was confident enough to be a target: this run learned from labelled samples "
        "only. A longer training or a lower threshold may change that"
    )
