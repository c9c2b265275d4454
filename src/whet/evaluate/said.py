"""What a run said of its samples, read back from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from whet.core.errors import RunError
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

    def only(self, keep_N: np.ndarray) -> Said:
        """Of the samples that are kept, bool (N,)."""
        samples = [sample for sample, keep in zip(self.samples, keep_N, strict=True) if keep]
        return replace(
            self, samples=samples, truth=self.truth[keep_N], predicted=self.predicted[keep_N], probs_NK=self.probs_NK[keep_N]
        )  # fmt: skip

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
    samples = list(zip(frame["id"], frame["label"], strict=True))
    return Said(samples, classes, truth, predicted, frame[[f"p:{name}" for name in classes]].to_numpy(float), number)


def joined(said: Sequence[Said], names: Sequence[str]) -> tuple[list[Said], int]:
    """(what each said of the samples that all have, in the same order; how many samples not all have). names: of the runs, for the
    message. RunError where no sample is common to all, or one has different labels."""
    common = set.intersection(*({id_ for id_, _ in one.samples} for one in said))
    every = set.union(*({id_ for id_, _ in one.samples} for one in said))
    if not common:
        raise RunError(f"{' and '.join(names)} answered no sample in common: only the same samples can be paired")
    found = [one.only(np.array([id_ in common for id_, _ in one.samples])) for one in said]
    for one, name in zip(found, names, strict=True):
        other = [(a, b) for a, b in zip(found[0].samples, one.samples, strict=True) if a != b][:3]
        if other:
            listed = ", ".join(f"{a[0]} ({a[1]} and {b[1]})" for a, b in other)
            raise RunError(f"{names[0]} and {name} have different labels of the same samples, for example {listed}")
    return found, len(every) - len(common)
