"""The worst images of a segmentation run, with their masks and predictions drawn in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor

from whet.core import strict_json
from whet.core.mask_task import MaskTask
from whet.core.masks import IdMap
from whet.core.run_folder import RunFolder
from whet.data.image import UnreadableImage, decode
from whet.data.table import Table
from whet.evaluate.evidence import read_evidence
from whet.render.overlay import overlay
from whet.training.sample_files import write_thumbnail

SHOWN = 9


def write_worst_images(
    part: Table, split: str, folder: RunFolder, predict: Callable[[Table], tuple[Tensor, np.ndarray]]
) -> None:
    """Write worst_images/: images of this split in ascending order of `MaskTask.quality`. predict: (samples) -> (logits
    (N, K, h, w), the indices of the samples that could be read)."""
    evidence = read_evidence(folder, split)
    task, K = cast(MaskTask, part.task), len(part.classes)
    quality_N = task.quality(evidence)
    order = np.lexsort((evidence.ids, quality_N))[: min(SHOWN, int(np.isfinite(quality_N).sum()))]
    known = dict(zip(evidence.ids.tolist(), quality_N.tolist()))
    rows = part.frame.set_index("id", drop=False)
    chosen = part.with_frame(rows.loc[[id_ for id_ in evidence.ids[order] if id_ in rows.index]])
    folder.worst_images.mkdir(exist_ok=True)
    outputs, index_M = predict(chosen)
    shown: list[dict[str, Any]] = []
    for outputs_Chw, index in zip(outputs.numpy(), index_M.tolist()):
        row = chosen.frame.iloc[index]
        try:
            pixels = decode(Path(row["path"]).read_bytes())
        except (OSError, UnreadableImage):
            continue  # removed since it was predicted
        target, found = task.map_of(row["masks"]), task.predicted(outputs_Chw, pixels.shape[:2])
        numbers = (target.ids_HW, found.ids_HW) if isinstance(target, IdMap) else (None, None)
        files = {
            "image": pixels,
            "target": overlay(pixels, row["masks"].class_map(), K, numbers[0]),
            "predicted": overlay(pixels, found.map_HW, K, numbers[1]),
        }
        stem = str(len(shown))
        shown.append(
            {"id": row["id"], "quality": known[row["id"]]}
            | {name: write_thumbnail(drawn, folder.worst_images, f"{stem}-{name}") for name, drawn in files.items()}
        )
    strict_json.write(folder.worst_images / "worst_images.json", {"split": split, "shown": shown})
