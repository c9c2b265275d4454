"""What a run said of its samples, read back from its folder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whet.core.labels import matrix_of
from whet.core.run_folder import RunFolder


@dataclass(frozen=True)
class Said:
    """Of the samples of one part, in the order of their ids. samples: (id, label) as predictions.csv holds them. truth and
    predicted: class numbers (N,), or bool (N, K) where a sample may have several classes. number: of every class."""

    samples: list[tuple[str, str]]
    classes: tuple[str, ...]
    truth: np.ndarray
    predicted: np.ndarray
    probs_NK: np.ndarray
    number: dict[str, int]

    @property
    def multi_label(self) -> bool:
        return self.truth.ndim == 2

    @property
    def found_by_class(self) -> dict[str, np.ndarray]:
        """By each class that is true of a sample: whether that was recognised, bool, a value a sample of it."""
        if self.multi_label:
            seen = np.flatnonzero(self.truth.any(axis=0))
            return {self.classes[k]: self.predicted[self.truth[:, k], k] for k in seen}
        names = {k: name for name, k in self.number.items()}
        return {names[k]: self.predicted[self.truth == k] == k for k in np.unique(self.truth).tolist()}


def said_by(
    folder: RunFolder, part: str, number: dict[str, int] | None = None, *, multi_label: bool | None = None
) -> Said:
    """number: of classes that have theirs already, as in another run; those that it lacks come after them. multi_label: as the
    run's metrics say, where these are not written yet."""
    frame = folder.read_predictions()
    frame = frame[frame["split"] == part].sort_values("id")
    classes = tuple(column.removeprefix("p:") for column in frame.columns if column.startswith("p:"))
    number = {name: k for k, name in enumerate(classes)} if number is None else dict(number)
    if folder.multi_label if multi_label is None else multi_label:
        truth, predicted = (matrix_of(frame[key], classes) for key in ("label", "predicted"))
    else:
        truth, predicted = (
            np.array([number.setdefault(name, len(number)) for name in frame[key]], dtype=np.int64)
            for key in ("label", "predicted")
        )
    samples = list(zip(frame["id"], frame["label"]))
    return Said(samples, classes, truth, predicted, frame[[f"p:{name}" for name in classes]].to_numpy(float), number)
