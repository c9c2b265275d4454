"""The images of a segmentation run with the lowest IoU, with their masks and predictions drawn in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from whet.core import strict_json
from whet.core.run_folder import RunFolder
from whet.data.image import UnreadableImage, decode
from whet.data.table import Table
from whet.evaluate.evidence import read_evidence
from whet.render.overlay import overlay
from whet.tasks.semantic_segmentation import MaskEvidence, class_map, image_iou
from whet.training.sample_files import write_thumbnail

SHOWN = 9


def write_worst_images(
    part: Table, split: str, folder: RunFolder, predict: Callable[[Table], tuple[Tensor, np.ndarray]]
) -> None:
    """Write worst_images/: images of this split in ascending order of their IoU. predict: (samples) -> (logits (N, K, h, w), the
    indices of the samples that could be read)."""
    evidence = read_evidence(folder, split)
    assert isinstance(evidence, MaskEvidence)
    iou_N = image_iou(evidence)
    order = np.lexsort((evidence.ids, iou_N))[:SHOWN]
    known = dict(zip(evidence.ids.tolist(), iou_N.tolist()))
    rows = part.frame.set_index("id", drop=False)
    chosen = part.with_frame(rows.loc[[id_ for id_ in evidence.ids[order] if id_ in rows.index]])
    folder.worst_images.mkdir(exist_ok=True)
    outputs, index_M = predict(chosen)
    shown: list[dict[str, Any]] = []
    K = len(part.classes)
    for logits_Khw, index in zip(outputs.numpy(), index_M.tolist()):
        row = chosen.frame.iloc[index]
        try:
            pixels = decode(Path(row["path"]).read_bytes())
        except (OSError, UnreadableImage):
            continue  # removed since it was predicted
        target_HW = row["masks"].class_map()
        predicted_HW = class_map(logits_Khw, target_HW.shape)
        files = {
            "image": pixels,
            "target": overlay(pixels, target_HW, K),
            "predicted": overlay(pixels, predicted_HW, K),
        }
        stem = str(len(shown))
        shown.append(
            {"id": row["id"], "iou": known[row["id"]]}
            | {name: write_thumbnail(drawn, folder.worst_images, f"{stem}-{name}") for name, drawn in files.items()}
        )
    strict_json.write(folder.worst_images / "worst_images.json", {"split": split, "shown": shown})
