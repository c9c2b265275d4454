"""Other ways to group the same predicted class map into objects, measured beside the task's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

import numpy as np
from torch import Tensor

from whet.core.mask_task import MaskTask
from whet.core.outputs import rows_joined
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.data.table import Table
from whet.evaluate.compare import difference
from whet.evaluate.evidence import read_evidence
from whet.evaluate.inference import Keep
from whet.training.kept_outputs import Batches

MOST = 100  # images, so that a run takes seconds longer


def measure_groupings(
    part: Table, split: str, folder: RunFolder, predict: Callable[[Table, Keep], Batches]
) -> dict[str, Any]:
    """groupings: the headline metric on up to 100 images of this split, of the task's own grouping and of each of
    `MaskTask.groupings`, with what the own one gains; nothing where there are none, or no object. predict: (samples, what is kept)
    -> batches."""
    task = cast(MaskTask, part.task)
    if not task.groupings:
        return {}
    chosen = part.with_frame(part.frame.iloc[np.sort(Rng(0).shuffled("groupings", 0, len(part))[:MOST])])
    rows: dict[str, list[Tensor]] = {name: [] for name in task.groupings}

    def keep(outputs: Tensor, maps: Any) -> Tensor:
        for name, statistics in task.groupings.items():
            rows[name].append(statistics(outputs, maps))
        return outputs.new_empty(len(outputs), 0)

    index_M = np.concatenate([index_B for _, index_B in predict(chosen, keep)])
    own = read_evidence(folder, split)
    own = own.rows(np.isin(own.ids, chosen.frame["id"].to_numpy()[index_M]))
    metric = task.metrics[task.headline]
    if np.isnan(metric.value(own)):
        return {}
    found: dict[str, Any] = {"images": len(own), "own": metric.value(own), "others": {}}
    for name, statistics in rows.items():
        other = chosen.evidence(index_M, rows_joined(statistics).double().numpy()).by_id()
        found["others"][name] = {"value": metric.value(other), "gain": asdict(difference(metric, [other], [own]))}
    return {"groupings": found}
