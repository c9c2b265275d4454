"""Examples of each class for the report: the most confident right and wrong predictions, and the least sure ones."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from whet.core import strict_json
from whet.core.evidence import Predictions
from whet.core.output import empty
from whet.core.run_folder import RunFolder
from whet.core.task import ClassTask
from whet.data.table import Table
from whet.evaluate.evidence import read_evidence
from whet.training.sample_files import write_row

SAMPLES = 90  # of all classes together, at most, as long as each class has one of each kind
_MOST_CLASSES, _MOST_EACH = 30, 3
_PIXELS, _SECONDS = 160, 3.0


def write_examples(part: Table, split: str, folder: RunFolder) -> None:
    """Write examples/: of each class of this split a few right, wrong and unsure predictions, the classes with the lowest recall
    first if there are many. A sample that cannot be read any more is left out."""
    evidence = cast(Predictions, read_evidence(folder, split))
    task, classes = cast(ClassTask, evidence.task), evidence.classes
    margin_NK, members_NK = task.margins(evidence), task.members(evidence)
    recall_K = ((margin_NK > 0) & members_NK).sum(axis=0) / np.maximum(members_NK.sum(axis=0), 1)
    chosen_K = [k for k in np.argsort(recall_K, kind="stable").tolist() if members_NK[:, k].any()][:_MOST_CLASSES]
    each = max(1, min(_MOST_EACH, SAMPLES // (3 * max(len(chosen_K), 1)), *((1,) if part.medium == "audio" else ())))
    rows, written = part.frame.set_index("id", drop=False), dict[str, dict[str, str] | None]()
    empty(folder.examples)
    folder.examples.mkdir()

    def tile(row: int, k: int) -> dict[str, Any] | None:
        id_ = str(evidence.ids[row])
        if id_ not in written:
            written[id_] = None
            if id_ in rows.index:
                written[id_] = write_row(
                    rows.loc[id_], part.medium, folder.examples, str(len(written)), len(classes), pixels=_PIXELS,
                    seconds=_SECONDS,
                )  # fmt: skip
        if (content := written[id_]) is None:
            return None
        return content | {
            "id": id_, "probability": round(float(evidence.probs_NK[row, k]), 4),
            "label": task.text(evidence.labels[row], classes), "predicted": task.text(evidence.predicted[row], classes),
        }  # fmt: skip

    listed = []
    for k in chosen_K:
        groups = chosen_rows(margin_NK[:, k], members_NK[:, k], each)
        listed.append(
            {"name": classes[k]}
            | {kind: [one for row in found if (one := tile(row, k)) is not None] for kind, found in groups.items()}
        )
    number = int(members_NK.any(axis=0).sum())
    strict_json.write(folder.examples / "examples.json", {"split": split, "number": number, "classes": listed})


def chosen_rows(margin_N: np.ndarray, member_N: np.ndarray, each: int) -> dict[str, list[int]]:
    """The rows of the examples of one class. margin_N: of its probability over that of not predicting it. member_N: bool."""
    sure = np.argsort(-np.abs(margin_N), kind="stable")
    predicted_N = margin_N > 0
    wrong = sure[predicted_N[sure] != member_N[sure]][:each].tolist()
    right = sure[predicted_N[sure] & member_N[sure]][:each].tolist()
    unsure = [row for row in sure[::-1].tolist() if row not in wrong and row not in right][:each]
    return {"right": right, "wrong": wrong, "unsure": unsure}
