"""The parity gate: an exported model that predicts otherwise than its run is not handed over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whet.bundle import Bundle, Prepared, Unreadable
from whet.bundle.predict import TOLERANCE
from whet.core.errors import ParityError
from whet.core.evidence import Evidence, Metric
from whet.core.run_folder import RunFolder
from whet.evaluate.compare import difference
from whet.evaluate.difference import MARGIN, Difference
from whet.evaluate.evidence import joined, read_evidence
from whet.exporting.reference import Part, Reference, evenly
from whet.exporting.samples import Samples

SAMPLES = 64  # whose scores are compared one by one
_BATCHES = (1, 2, 5, 7, 16)  # their batch sizes, in turn
_WORST = 5  # samples that an error names
# The most that a prepared sample may differ from the run's own: of pixels the mean, in levels of 255; of a wave the root mean
# square, relative to that of the wave. Token ids must be equal.
MOST_APART = {"image": 3.0, "audio": 2e-3, "text": 0.0}


@dataclass(frozen=True)
class Parity:
    """What the gate measured. split, samples: of the metric. largest_difference: of a score between the exported model and torch in
    single precision, on the same `compared` tensors; largest_score: the largest score there. equal_top: the share of them with the
    same class first. apart: the largest difference of a prepared sample from the run's own, in the unit of `MOST_APART`. to_torch,
    to_record: the headline metric of the exported model less that of torch, and less that which the run recorded.
    seconds_per_sample: through the whole bundle, in batches. evidence: what the exported model predicts for the split;
    exported: its metrics."""

    split: str
    samples: int
    compared: int
    largest_difference: float
    largest_score: float
    equal_top: float
    apart: float
    metric: str
    to_torch: dict[str, float]
    to_record: dict[str, float]
    seconds_per_sample: float
    exported: dict[str, Any] = field(repr=False)
    evidence: Evidence = field(repr=False)

    def plain(self) -> dict[str, Any]:
        """Without the metrics and the evidence themselves."""
        return {key: value for key, value in vars(self).items() if key not in ("exported", "evidence")}


def pass_gate(bundle: Bundle, reference: Reference, part: Part, folder: RunFolder, tolerance: float = 0.0) -> Parity:
    """Compare a bundle with its run. tolerance: what its headline metric may cost against the run's record, because its
    networks were made smaller, in the metric's unit. Raises ParityError, which names the samples that differ most."""
    rows = evenly(len(part), SAMPLES)
    prepared, apart = _preparation(bundle, reference, part, rows)
    largest, top, equal = _scores(bundle, reference, part, prepared)
    started = time.monotonic()
    samples = Samples(bundle, part)
    [exported] = samples.evidence(reference, lambda ready: bundle.run(ready)[0])
    seconds = (time.monotonic() - started) / len(part)
    statistics_NS, row_N, failed = reference.statistics(part.frame)
    if differing := samples.unread.keys() ^ failed.keys():
        row = min(differing)
        raise ParityError(
            f"the bundle and the run disagree on what can be read; {part.ids[row]}: {samples.unread.get(row) or failed[row]}"
        )
    task = reference.saved.task
    metric = task.metric(task.headline)
    in_torch = part.evidence(reference, row_N, statistics_NS)
    to_torch = _not_worse(metric, in_torch, exported, "torch in single precision", None)
    to_record = _not_worse(metric, read_evidence(folder, part.split), exported, "the run's record", tolerance)
    return Parity(
        part.split, len(exported), len(prepared), largest, top, equal, apart, task.headline, to_torch, to_record, seconds,
        task.measure(exported), exported,
    )  # fmt: skip


def _preparation(
    bundle: Bundle, reference: Reference, part: Part, rows: Sequence[int]
) -> tuple[dict[int, Prepared], float]:
    """(the samples of these rows as the bundle prepares them, the largest difference from the run's own)."""
    own = reference.rendered(part.frame.iloc[list(rows)])
    found: dict[int, Prepared] = {}
    apart: dict[int, float] = {}
    for place, row in enumerate(rows):
        if place in own:
            found[row] = _prepared(bundle, part, row)
            apart[row] = difference_of(part.medium, found[row].tensor, own[place])
    most = MOST_APART[part.medium]
    if wrong := {row: value for row, value in apart.items() if not value <= most}:
        raise ParityError(
            f"the bundle prepares {len(wrong)} of {len(apart)} samples otherwise than the run, by more than {most:g}: "
            f"{_worst(part, wrong)}"
        )
    return found, max(apart.values(), default=0.0)


def difference_of(medium: str, ours: np.ndarray, own: np.ndarray) -> float:
    """How far a sample as the bundle prepares it differs from that of the run's loader, in the unit of `MOST_APART`."""
    if medium == "text":
        own = own[: len(ours)] if not own[len(ours) :].any() else own  # padding
        return 0.0 if np.array_equal(ours, own) else float("inf")
    if ours.shape != own.shape:
        return float("inf")
    if medium == "image":
        return float(np.abs(ours.astype(np.float32) - own.astype(np.float32)).mean())
    size = float(np.sqrt(np.mean(own.astype(np.float64) ** 2)))
    return float(np.sqrt(np.mean((ours.astype(np.float64) - own) ** 2))) / max(size, 1e-6)


def _prepared(bundle: Bundle, part: Part, row: int) -> Prepared:
    try:
        return bundle.prepare(part.content(row))
    except Unreadable as error:
        raise ParityError(f"the bundle cannot read {part.ids[row]}, which the run can: {error}") from None


def _scores(
    bundle: Bundle, reference: Reference, part: Part, prepared: dict[int, Prepared]
) -> tuple[float, float, float]:
    """(the largest difference of a score, the largest score, the share of samples with the same class first)."""
    ours, theirs, rows = [], [], list(prepared)
    for batch in _batches(rows):
        found, _ = bundle.run([prepared[row] for row in batch])
        wanted = reference.outputs(bundle.batch([prepared[row] for row in batch]))
        if found.shape != wanted.shape:
            raise ParityError(f"the exported model returns scores {found.shape}, the run {wanted.shape}")
        ours += list(found)
        theirs += list(wanted)
    ours_N, theirs_N = np.stack(ours), np.stack(theirs)
    apart_N = np.abs(ours_N - theirs_N).reshape(len(rows), -1).max(axis=1)
    top = float(np.abs(theirs_N).max())
    limit = TOLERANCE * (1 + top)
    if wrong := {row: value for row, value in zip(rows, apart_N.tolist()) if not value <= limit}:
        raise ParityError(
            f"the scores of the exported model differ from those of the run for {len(wrong)} of {len(rows)} samples, by more than "
            f"{limit:.3g}: {_worst(part, wrong)}"
        )
    equal = ours_N.argmax(axis=1) == theirs_N.argmax(axis=1)  # where they differ, the margin is inside the tolerance
    return float(apart_N.max()), top, float(equal.mean())


def _batches(rows: Sequence[int]) -> list[list[int]]:
    """The rows in batches of different sizes."""
    found, start, number = [], 0, 0
    while start < len(rows):
        size = _BATCHES[number % len(_BATCHES)]
        found.append(list(rows[start : start + size]))
        start, number = start + size, number + 1
    return found


def _not_worse(metric: Metric, before: Evidence, after: Evidence, what: str, certain: float | None) -> dict[str, float]:
    """The metric of the exported model less another one, with its paired interval. Raises ParityError where it is worse: with
    certainty by more than `certain`, or where that is None by more than a percentage point and one sample."""
    pair = joined([before, after], [what, "the exported model"]).evidence
    values = [metric.value(one) for one in pair]
    found: Difference = difference(metric, pair[:1], pair[1:])
    gain = metric.merit(found.mean)
    worst_end = metric.merit(found.low if metric.merit(1.0) > 0 else found.high)
    best_end = metric.merit(found.high if metric.merit(1.0) > 0 else found.low)
    worse = gain < -max(MARGIN, 1 / len(pair[0])) if certain is None else best_end < -certain
    if worse:
        raise ParityError(
            f"the exported model is worse than {what}: {metric.title} {metric.shown(values[1])} for {metric.shown(values[0])} on "
            f"{len(pair[0])} samples (difference {worst_end:+.3g} to {best_end:+.3g}){_changed(*pair)}"
        )
    return {"value": values[0], "difference": found.mean, "low": found.low, "high": found.high}


def _changed(before: Any, after: Any) -> str:
    """The first samples with another prediction, for messages."""
    if not hasattr(before, "predicted"):
        return ""
    differs_N = np.asarray(before.predicted != after.predicted).reshape(len(before), -1).any(axis=1)
    named = [str(name) for name in before.ids[differs_N][:_WORST]]
    return f"; predicted otherwise: {', '.join(named)}" if named else ""


def _worst(part: Part, value: dict[int, float]) -> str:
    first = sorted(value, key=lambda row: -value[row])[:_WORST]
    return ", ".join(f"{part.ids[row]} ({value[row]:.3g})" for row in first)
