"""No choice sees what judges it: whatever is fitted to validation samples, or chosen by them, is scored on others.

PREDICT methods that are fitted (`Fits`) are fitted once on all validation samples, which is what the model keeps, and once
without each of five folds, whose samples are scored by that fit. Weights that are chosen by validation are chosen three times:
by all validation samples, and by each half of them, whose choice is scored on the other half. Neither needs a word from the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whet.core.batch import Measured, Predictor, Progress
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.stages import ChoosesWeights, Finalizes, Fits, KeepsEnsembleMembers, WrapsPredictor
from whet.core.targets import Targets
from whet.core.task import Task
from whet.data.split import deal_units
from whet.data.table import Table
from whet.models.ensemble import SideBySide

FOLDS, HALVES = 5, 2

Known = tuple[Tensor, Targets]
"""Logits of the validation samples that could be read, and their targets."""


def chosen_by_validation(method: Method, runtime: Runtime) -> bool:
    """Whether it gives the weights of prediction and hears of validations."""
    hears = type(runtime).after_validation is not Runtime.after_validation
    return hears and isinstance(method, ChoosesWeights | Finalizes | KeepsEnsembleMembers)


class Crossed(Runtime):
    """The runtime of a method that chooses weights by validation, and two more that hear of one half of the samples each. Training
    stops when the first says so."""

    def __init__(self, whole: Runtime, halves: Sequence[Runtime]) -> None:
        self.whole, self.halves = whole, tuple(halves)

    def of(self, half: int | None) -> Runtime:
        return self.whole if half is None else self.halves[half]

    @property
    def stop(self) -> bool:  # type: ignore[override]
        return self.whole.stop

    def after_step(self, progress: Progress) -> None:
        for runtime in (self.whole, *self.halves):
            runtime.after_step(progress)

    def after_validation(self, metrics: Mapping[str, float], weights: dict[str, Tensor], progress: Progress) -> None:
        if not isinstance(metrics, Measured):
            raise TypeError(
                "weights are chosen by validation: its metrics must be Measured, which knows those of each half"
            )
        self.whole.after_validation(metrics, weights, progress)
        for half, runtime in enumerate(self.halves):
            runtime.after_validation(metrics.half(half), weights, progress)

    def state_dict(self) -> dict[str, Any]:
        return {"whole": self.whole.state_dict(), "halves": [runtime.state_dict() for runtime in self.halves]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.whole.load_state_dict(state["whole"])
        for runtime, kept in zip(self.halves, state["halves"], strict=True):
            runtime.load_state_dict(kept)


def halves_of(val: Table) -> np.ndarray:
    """0 or 1 for each sample; duplicates and groups stay together."""
    return deal_units(val, HALVES)


@dataclass(frozen=True)
class Parts:
    """How the validation samples are dealt out: a fold (0 … 4) and a half (0, 1) for each, (N,)."""

    fold_N: np.ndarray
    half_N: np.ndarray

    @classmethod
    def of(cls, val: Table) -> Parts:
        return cls(deal_units(val, FOLDS), halves_of(val))

    def rows(self, index_M: np.ndarray) -> Parts:
        return Parts(self.fold_N[index_M], self.half_N[index_M])


@dataclass(frozen=True)
class FittedPredictor:
    """numbers: what each method found on all validation samples, by its name. logits_NK: of every validation sample by a predictor
    that was neither fitted to it nor chosen by it; None where nothing was, and nobody was asked."""

    numbers: dict[str, Any]
    logits_NK: Tensor | None


def fit_predictor(
    methods: Sequence[Method],
    predictors: Sequence[Predictor],
    answers: Callable[[Predictor], Known],
    parts: Callable[[], Parts],
    external_models: Mapping[str, Sequence[Predictor]],
    task: Task,
) -> FittedPredictor:
    """Fit PREDICT methods in turn on validation answers. predictors: the network; and, where its weights were chosen by validation,
    those that each half would have chosen. parts: of the samples that were answered, once there are answers. external_models: the
    models that a method lets answer beside this one, by its name."""
    made: dict[int, _Chain] = {}  # a half that chose as all samples did is not asked anew
    for predictor in predictors:
        made.setdefault(id(predictor), _Chain(methods, predictor, answers, external_models, task))
    whole, *by_half = [made[id(predictor)] for predictor in predictors]
    numbers, known = whole.fit(None)
    if known is None and not by_half:
        return FittedPredictor(numbers, None)
    fitting = any(isinstance(method, Fits) for method in methods)
    scored_NK = (known if known is not None else whole.ask())[0].clone()
    dealt = parts()
    folds = np.unique(dealt.fold_N) if fitting else np.array([-1])
    # The half that a sample is in chose none of what it is scored by.
    judges = [(np.ones(len(scored_NK), dtype=bool), whole)]
    if by_half:
        judges = [(dealt.half_N == half, by_half[1 - half]) for half in range(HALVES)]
    for fold in folds:
        in_fold_N = dealt.fold_N == fold if fitting else np.ones(len(scored_NK), dtype=bool)
        for in_half_N, chain in judges:
            out_N = torch.from_numpy(in_fold_N & in_half_N)
            if out_N.any():
                scored_NK[out_N] = chain.score(torch.from_numpy(~in_fold_N) if fitting else None)[out_N]
    return FittedPredictor(numbers, scored_NK)


class _Chain:
    """One network's way through the PREDICT methods. What it answers before the first fit is asked for once, however often it is
    fitted; a method that is fitted changes answers alone, so they need not be asked for again behind it."""

    def __init__(
        self,
        methods: Sequence[Method],
        predictor: Predictor,
        answers: Callable[[Predictor], Known],
        external_models: Mapping[str, Sequence[Predictor]],
        task: Task,
    ) -> None:
        self._methods, self._predictor, self._answers = methods, predictor, answers
        self._external_models, self._task = external_models, task
        self._kept: dict[int, Known] = {}  # by the place in the chain

    def ask(self) -> Known:
        """The answers at the end of the chain where nothing in it is fitted."""
        if len(self._methods) not in self._kept:
            self._kept[len(self._methods)] = self._answers(self._walk(None)[1])
        return self._kept[len(self._methods)]

    def score(self, chosen_N: Tensor | None) -> Tensor:
        """The logits of all samples, fitted to these alone (bool); as they are where there are none to fit to."""
        _, predictor, known = self._walk(chosen_N)
        if known is None:
            known = self.ask() if chosen_N is None else self._answers(predictor)
        return known[0]

    def fit(self, chosen_N: Tensor | None) -> tuple[dict[str, Any], Known | None]:
        """(what each method found, the answers where they are known)."""
        fitted, _, known = self._walk(chosen_N)
        return fitted, known

    def _walk(self, chosen_N: Tensor | None) -> tuple[dict[str, Any], Predictor, Known | None]:
        fitted: dict[str, Any] = {}
        predictor, known = self._predictor, None
        for place, method in enumerate(self._methods):
            if others := self._external_models.get(method.name):
                predictor, known = SideBySide([predictor, *others]), None
            if isinstance(method, Fits):
                if known is None:
                    known = self._answered(place, predictor, shared=not fitted)
                logits, targets = known if chosen_N is None else (known[0][chosen_N], known[1][chosen_N])
                fitted[method.name] = method.fit(logits, targets) if len(logits) else {}
            if isinstance(method, WrapsPredictor):
                found = fitted.get(method.name, {})
                predictor = method.wrap_predictor(predictor, found, self._task)
                if known is not None:
                    changed = method.wrap_predictor(nn.Identity(), found, self._task)
                    known = (changed(known[0]), known[1]) if isinstance(method, Fits) else None
        return fitted, predictor, known

    def _answered(self, place: int, predictor: Predictor, *, shared: bool) -> Known:
        if not shared:
            return self._answers(predictor)
        if place not in self._kept:
            self._kept[place] = self._answers(predictor)
        return self._kept[place]
