"""What a smaller graph costs: its metric on the same samples, its time, its size."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from whet.bundle import Bundle
from whet.bundle.predict import open_session
from whet.core.evidence import Evidence
from whet.core.language import Sentence
from whet.evaluate.compare import difference
from whet.evaluate.difference import Difference
from whet.exporting.graph import onnx_model
from whet.exporting.reference import Part, Reference
from whet.exporting.samples import Predicts, Samples

MOST = 1000  # validation samples that choose between candidates
ROUNDS, _WARM = 15, 2  # in which times are measured; those before them are not counted
_SAME = 1.05  # times that differ by less are equal


NAMELESS = Sentence("")  # of graphs that nobody is told about


@dataclass(frozen=True)
class Candidate:
    """A graph that could be handed over. words: what it is. config: session options besides those of every bundle."""

    words: Sentence
    model: bytes = field(repr=False)
    config: Mapping[str, str] = field(default_factory=dict)

    def session(self, info: Mapping[str, Any]) -> dict[str, Any]:
        """Session options for bundle.json."""
        return {**info["session"], "config": {**info["session"]["config"], **self.config}}


@dataclass(frozen=True)
class Measured:
    """evidence: what the candidate predicts for the validation samples. cost: by how much the metric is worse than that of the
    first graph, on the same samples, in its unit; low and high of its paired 95 % interval. milliseconds: of processor time for one
    sample on one thread, once it was timed."""

    candidate: Candidate
    evidence: Evidence = field(repr=False)
    value: float
    cost: float
    low: float
    high: float
    milliseconds: float = 0.0

    @property
    def size(self) -> int:
        return len(self.candidate.model)

    def plain(self) -> dict[str, Any]:
        return {
            "words": str(self.candidate.words),
            "value": self.value,
            "cost": self.cost,
            "low": self.low,
            "high": self.high,
            "milliseconds": self.milliseconds,
            "bytes": self.size,
        }


class Trial:
    """Measures candidates against the graph of a bundle, on validation samples. tolerance: by how much the headline metric may
    become worse, in its unit."""

    def __init__(self, bundle: Bundle, reference: Reference, val: Part, train: Part, tolerance: float) -> None:
        self.bundle, self.reference, self.tolerance = bundle, reference, tolerance
        self.val, self._train = Samples(bundle, val, MOST), train
        self.model = (bundle.path / "model.onnx").read_bytes()
        self.metric = reference.saved.task.metric(reference.saved.task.headline)
        self._before = self._evidence(Candidate(NAMELESS, self.model))

    def calibration(self, count: int) -> list[np.ndarray]:
        """Training samples, evenly from their list, as inputs of the graph, each a batch of one."""
        return Samples(self.bundle, self._train, count).inputs()

    def measured(self, candidate: Candidate) -> Measured:
        """Its metric; see `timed` for its time."""
        after = self._evidence(candidate)
        return Measured(candidate, after, self.metric.value(after), *cost_of(self.metric, self._before, after))

    def timed(self, several: Sequence[Measured]) -> list[Measured]:
        """The same with the time of each."""
        sessions = [opened(one.candidate, self.bundle) for one in several]
        times = milliseconds(sessions, [self.val.inputs(ROUNDS)] * len(several))
        return [replace(one, milliseconds=time) for one, time in zip(several, times)]

    def scores(self, candidate: Candidate, samples: Sequence[np.ndarray]) -> np.ndarray:
        """The scores of each sample (a batch of one)."""
        session = opened(candidate, self.bundle)
        return np.concatenate([session.run(["scores"], {"samples": one})[0] for one in samples])

    def simulated(self) -> bytes:
        """The graph in floating point with the rounding that its networks were trained with."""
        with self.reference.simulated():
            return onnx_model(*self.reference.exportable(self.val.part))

    def _evidence(self, candidate: Candidate) -> Evidence:
        [found] = self.val.evidence(self.reference, predicts(opened(candidate, self.bundle), self.bundle))
        return found


def opened(candidate: Candidate, bundle: Bundle) -> Any:
    """The onnxruntime session of a graph in place of that of a bundle, with one thread."""
    return open_session(candidate.model, candidate.session(bundle.info), threads=1)


def predicts(session: Any, bundle: Bundle) -> Predicts:
    return lambda ready: session.run(["scores"], {"samples": bundle.batch(ready)})[0]


def best(tried: Sequence[Measured], tolerance: float) -> Measured | None:
    """The fastest that costs no more than the tolerance; of several within 5 % of it the one that costs least."""
    able = [one for one in tried if one.cost <= tolerance]
    if not able:
        return None
    least = min(one.milliseconds for one in able)
    return min((one for one in able if one.milliseconds <= _SAME * least), key=lambda one: (one.cost, one.milliseconds))


def cost_of(metric: Any, before: Evidence, after: Evidence) -> tuple[float, float, float]:
    """(by how much the metric became worse, low and high of its 95 % interval), paired by sample."""
    found: Difference = difference(metric, [before], [after])
    low, high = sorted((0.0 - metric.merit(found.low), 0.0 - metric.merit(found.high)))
    return 0.0 - metric.merit(found.mean), low, high


def milliseconds(sessions: Sequence[Any], inputs: Sequence[Sequence[np.ndarray]]) -> list[float]:
    """The median processor time of each session for one sample on one thread, in milliseconds. The sessions take turns. inputs: for
    each session some samples, each a batch of one."""
    times: list[list[float]] = [[] for _ in sessions]
    for number in range(_WARM + ROUNDS):
        for session, samples, found in zip(sessions, inputs, times):
            began = time.thread_time()  # a session of one thread computes in the thread that calls it
            session.run(["scores"], {"samples": samples[number % len(samples)]})
            found.append(time.thread_time() - began)
    return [1e3 * float(np.median(found[_WARM:])) for found in times]
