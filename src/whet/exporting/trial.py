"""What a smaller graph costs: its metric on the same samples, its time, its size."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from whet.bundle import Bundle, Prepared, Unreadable
from whet.bundle.predict import open_session
from whet.core.errors import DataError
from whet.core.evidence import Evidence
from whet.core.language import Sentence
from whet.core.outputs import rows_joined
from whet.evaluate.compare import difference
from whet.evaluate.difference import Difference
from whet.exporting.reference import Part, Reference, evenly

MOST = 1000  # validation samples that choose between candidates
_BATCH, _ROUNDS, _SAME = 16, 15, 1.05


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
    sample on one thread."""

    candidate: Candidate
    evidence: Evidence = field(repr=False)
    value: float
    cost: float
    low: float
    high: float
    milliseconds: float

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


class Samples:
    """A part of the data as a bundle prepares it, read once."""

    def __init__(self, bundle: Bundle, part: Part, most: int | None = None) -> None:
        self.part, self.bundle = part, bundle
        self.ready: dict[int, Prepared] = {}
        for row in evenly(len(part), most or len(part)):
            try:
                part.maps([row])
                self.ready[row] = bundle.prepare(part.content(row))
            except (Unreadable, OSError, DataError):
                continue  # the gate compared what can be read

    @cached_property
    def inputs(self) -> list[np.ndarray]:
        """Each sample as a batch of one."""
        return [self.bundle.batch([one]) for one in self.ready.values()]

    def evidence(self, reference: Reference, session: Any) -> Evidence:
        """What a graph predicts for them."""
        rows, found = list(self.ready), []
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            ready = [self.ready[row] for row in some]
            scores = session.run(["scores"], {"samples": self.bundle.batch(ready)})[0]
            found.append(reference.kept(self.bundle, ready, scores, self.part.maps(some)))
        return self.part.evidence(reference, np.array(rows), rows_joined(found).double().numpy())


class Trial:
    """Measures candidates against the graph of a bundle, on validation samples. tolerance: by how much the headline metric may
    become worse, in its unit."""

    def __init__(self, bundle: Bundle, reference: Reference, val: Samples, train: Part, tolerance: float) -> None:
        self.bundle, self.reference, self.tolerance = bundle, reference, tolerance
        self._val, self._train = val, train
        self.model = (bundle.path / "model.onnx").read_bytes()
        self.metric = reference.saved.task.metric(reference.saved.task.headline)
        self._before = val.evidence(reference, self._opened(self.model, {}))

    def calibration(self, count: int) -> list[np.ndarray]:
        """Training samples, evenly from their list, as inputs of the graph, each a batch of one."""
        return Samples(self.bundle, self._train, count).inputs

    def measured(self, candidate: Candidate) -> Measured:
        session = self._opened(candidate.model, candidate.session(self.bundle.info)["config"])
        after = self._val.evidence(self.reference, session)
        found = cost_of(self.metric, self._before, after)
        return Measured(candidate, after, self.metric.value(after), *found, self.milliseconds([candidate])[0])

    def scores(self, candidate: Candidate, samples: Sequence[np.ndarray]) -> np.ndarray:
        """The scores of each sample (a batch of one)."""
        session = self._opened(candidate.model, candidate.session(self.bundle.info)["config"])
        return np.concatenate([session.run(["scores"], {"samples": one})[0] for one in samples])

    def milliseconds(self, candidates: Sequence[Candidate]) -> list[float]:
        """The processor time of each for one sample on one thread, in turn."""
        sessions = [self._opened(one.model, one.session(self.bundle.info)["config"]) for one in candidates]
        return milliseconds(sessions, self._val.inputs)

    def _opened(self, model: bytes, config: Mapping[str, str]) -> Any:
        settings = self.bundle.info["session"]
        return open_session(model, {**settings, "config": {**settings["config"], **config}}, threads=1)


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


def milliseconds(sessions: Sequence[Any], inputs: Sequence[np.ndarray]) -> list[float]:
    """The median processor time of each session for one sample on one thread, in milliseconds. The sessions take turns."""
    times: list[list[float]] = [[] for _ in sessions]
    for number in range(_ROUNDS + 2):
        sample = inputs[number % len(inputs)]
        for session, found in zip(sessions, times):
            began = time.thread_time()  # a session of one thread computes in the thread that calls it
            session.run(["scores"], {"samples": sample})
            found.append(time.thread_time() - began)
    return [1e3 * float(np.median(found[2:])) for found in times]
