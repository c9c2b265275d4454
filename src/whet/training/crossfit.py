"""Cross-fitting: what is fitted to or chosen on validation samples is scored on other validation samples.

PREDICT methods that are fitted (`Fits`) are fitted once on all validation samples, for the saved model, and five times without one
fold, whose samples are scored by that fit. Weights that are chosen by validation are chosen three times: on all validation samples,
and on each half, whose choice is scored on the other half. Methods need no code for this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch import Tensor, nn

from whet.core.batch import Measured, Predictor, Progress
from whet.core.mask_task import MaskTask
from whet.core.method import Method
from whet.core.outputs import Outputs
from whet.core.runtime import Runtime
from whet.core.stages import ChoosesWeights, Finalizes, Fits, KeepsEnsembleMembers, WrapsPredictor
from whet.core.task import Task
from whet.data.split import deal_units
from whet.data.table import Table
from whet.models.ensemble import SideBySide

FOLDS, HALVES = 5, 2


def chosen_by_validation(method: Method, runtime: Runtime) -> bool:
    """Whether the method provides the weights for prediction and uses validation metrics."""
    uses_validation = type(runtime).after_validation is not Runtime.after_validation
    return uses_validation and isinstance(method, ChoosesWeights | Finalizes | KeepsEnsembleMembers)


class Crossed(Runtime):
    """The runtime of a method that chooses weights by validation, and two more that get the metrics of one half of the samples
    each. Training stops when the first one stops it."""

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
                "weights are chosen by validation, so the metrics must be Measured, which contains the metrics of each half"
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
    """The fold (0 … 4) and the half (0, 1) of each validation sample, (N,)."""

    fold_N: np.ndarray
    half_N: np.ndarray

    @classmethod
    def of(cls, val: Table) -> Parts:
        return cls(deal_units(val, FOLDS), halves_of(val))

    def rows(self, index_M: np.ndarray) -> Parts:
        return Parts(self.fold_N[index_M], self.half_N[index_M])


@dataclass(frozen=True)
class FittedPredictor:
    """numbers: the values that each method fitted on all validation samples, by method name. outputs: the outputs for every
    validation sample from a predictor that was neither fitted to nor chosen on it; None if nothing was fitted or chosen."""

    numbers: dict[str, Any]
    outputs: Outputs | None


def fit_predictor(
    methods: Sequence[Method],
    predictors: Sequence[Predictor],
    outputs: Callable[[Predictor], Outputs],
    parts: Callable[[np.ndarray], Parts],
    external_models: Mapping[str, Sequence[Predictor]],
    task: Task,
) -> FittedPredictor:
    """Fit PREDICT methods in order on validation outputs. predictors: the network and, if its weights were chosen by validation,
    the networks chosen on each half. parts: the fold and half of the samples with these row numbers.
    external_models: the models that a method combines with this one, by method name."""
    made: dict[int, _Chain] = {}  # a half with the same choice as all samples is not predicted again
    for predictor in predictors:
        made.setdefault(id(predictor), _Chain(methods, predictor, outputs, external_models, task))
    whole, *by_half = [made[id(predictor)] for predictor in predictors]
    numbers, known = whole.fit(None)
    if known is None and not by_half:
        return FittedPredictor(numbers, None)
    fitting = any(_is_fitted(method, task) for method in methods)
    scored = known if known is not None else whole.outputs()
    dealt, all_N = parts(scored.index_N), np.ones(len(scored), dtype=bool)
    folds = np.unique(dealt.fold_N) if fitting else np.array([-1])
    # Each sample is scored by the choice of the other half.
    chains = [(all_N, whole)]
    if by_half:
        chains = [(dealt.half_N == half, by_half[1 - half]) for half in range(HALVES)]
    judged = []
    for fold in folds:
        in_fold_N = dealt.fold_N == fold if fitting else all_N
        for in_half_N, chain in chains:
            if (in_fold_N & in_half_N).any():
                judged.append((in_fold_N & in_half_N, chain.score(~in_fold_N if fitting else None)))
    return FittedPredictor(numbers, Outputs.merged(judged) if judged else scored)


def _is_fitted(method: Method, task: Task) -> bool:
    """Whether a method is fitted to the outputs of this task: nothing is fitted to masks, whose outputs are not kept."""
    return isinstance(method, Fits) and not isinstance(task, MaskTask)


class _Chain:
    """The chain of PREDICT methods on one network. The outputs before the first fit are computed once for all fits. A fitted method
    transforms only outputs, so no new forward passes are needed after it."""

    def __init__(
        self,
        methods: Sequence[Method],
        predictor: Predictor,
        outputs: Callable[[Predictor], Outputs],
        external_models: Mapping[str, Sequence[Predictor]],
        task: Task,
    ) -> None:
        self._methods, self._predictor, self._outputs = methods, predictor, outputs
        self._external_models, self._task = external_models, task
        self._kept: dict[int, Outputs] = {}  # by the position in the chain

    def outputs(self) -> Outputs:
        """The outputs at the end of a chain without fitted methods."""
        if len(self._methods) not in self._kept:
            self._kept[len(self._methods)] = self._outputs(self._walk(None)[1])
        return self._kept[len(self._methods)]

    def score(self, chosen_N: np.ndarray | None) -> Outputs:
        """The outputs for all samples after fitting to the samples in `chosen_N` (bool); unfitted if there are none."""
        _, predictor, known = self._walk(chosen_N)
        if known is None:
            known = self.outputs() if chosen_N is None else self._outputs(predictor)
        return known

    def fit(self, chosen_N: np.ndarray | None) -> tuple[dict[str, Any], Outputs | None]:
        """(the fitted values of each method, the outputs if known)."""
        fitted, _, known = self._walk(chosen_N)
        return fitted, known

    def _walk(self, chosen_N: np.ndarray | None) -> tuple[dict[str, Any], Predictor, Outputs | None]:
        fitted: dict[str, Any] = {}
        predictor, known = self._predictor, cast(Outputs | None, None)
        for place, method in enumerate(self._methods):
            if others := self._external_models.get(method.name):
                predictor, known = SideBySide([predictor, *others], self._task), None
            if (fits := _is_fitted(method, self._task)) and isinstance(method, Fits):
                if known is None:
                    known = self._computed(place, predictor, shared=not fitted)
                outputs = known if chosen_N is None else known.rows(chosen_N)
                fitted[method.name] = method.fit(outputs) if len(outputs) else {}
            if isinstance(method, WrapsPredictor):
                found = fitted.get(method.name, {})
                predictor = method.wrap_predictor(predictor, found, self._task)
                if known is not None:
                    changed = method.wrap_predictor(nn.Identity(), found, self._task)
                    known = known.through(changed) if fits else None
        return fitted, predictor, known

    def _computed(self, place: int, predictor: Predictor, *, shared: bool) -> Outputs:
        if not shared:
            return self._outputs(predictor)
        if place not in self._kept:
            self._kept[place] = self._outputs(predictor)
        return self._kept[place]
