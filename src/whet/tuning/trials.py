"""The trials of a search, stored as an Optuna study in a journal file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import RunError
from whet.core.rng import Rng
from whet.tuning.space import Setting, as_it_was

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
    from optuna.trial import TrialState
except ImportError:
    raise RunError("tuning requires Optuna: pip install 'whet[tune]'") from None

_NAME = "tune"
_LOCK_SECONDS = 10  # the age at which the lock of a killed process is removed; writing a line takes a few milliseconds
_RANDOM_TRIALS = 8  # random trials before the sampler uses the results
# A trial below the median of the others at the same point of training is pruned, but not in the first third: with a schedule,
# large learning rates score low early in training. Measured on 19 full trials of the digits (docs/tuning.md): the rank correlation
# of the intermediate with the final score is 0.2 at 9 % of training, 0.4 at 27 %, 0.7 at 36 to 64 %, 0.9 from 73 %.
# Source: Golovin et al. 2017, "Google Vizier", the median stopping rule.
_WARM_PERCENT, _COMPARED = 33, 4


def open_storage(file: Path) -> Any:
    backend = JournalFileBackend(str(file), JournalFileOpenLock(str(file), grace_period=_LOCK_SECONDS))
    return optuna.storages.JournalStorage(backend)


def load_trial(file: Path, trial_id: int) -> Any:
    """Load an Optuna trial in the process of its run, for reporting."""
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=_COMPARED, n_warmup_steps=_WARM_PERCENT, n_min_trials=_COMPARED
    )
    sampler = optuna.samplers.RandomSampler(seed=0)  # not used for sampling here
    study = optuna.load_study(study_name=_NAME, storage=open_storage(file), pruner=pruner, sampler=sampler)
    return optuna.trial.Trial(study, trial_id)


@dataclass(frozen=True)
class Proposal:
    """The proposed values of a trial. `id` is Optuna's trial id."""

    number: int
    id: int
    values: dict[str, Any]


class Trials:
    """The trials and their results. The values of the n-th trial depend only on the seed, n and the results so far."""

    def __init__(self, file: Path, space: tuple[Setting, ...], *, smaller_is_better: bool, seed: int) -> None:
        self.file, self._space, self._rng = file, space, Rng(seed)
        _mend(file)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            study_name=_NAME, storage=open_storage(file), load_if_exists=True,
            direction="minimize" if smaller_is_better else "maximize",
        )  # fmt: skip
        if not self._study.trials:
            was = as_it_was(space)
            self._study.enqueue_trial(
                {setting.key: setting.kept(was[setting.key]) for setting in space if setting.key in was}
            )

    def __len__(self) -> int:
        """The number of started trials."""
        return sum(trial.state != TrialState.WAITING for trial in self._study.get_trials(deepcopy=False))

    def unfinished(self) -> Iterator[Proposal]:
        """The trials that an earlier call started and did not finish."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._draw_for(trial.number)
            yield self._proposal(optuna.trial.Trial(self._study, trial._trial_id))

    def over(self) -> Iterator[Proposal]:
        """The trials with a result."""
        done = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        for trial in self._study.get_trials(deepcopy=False, states=done):
            yield Proposal(
                trial.number,
                trial._trial_id,
                {s.key: s.given(trial.params[s.key]) for s in self._space if s.key in trial.params},
            )

    def ask(self) -> Proposal:
        self._draw_for(len(self))
        return self._proposal(self._study.ask())

    def _draw_for(self, number: int) -> None:
        self._study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=_RANDOM_TRIALS, seed=self._rng.integer("tune", number) % 2**32
        )

    def _proposal(self, trial: Any) -> Proposal:
        values = {s.key: s.suggest(trial) for s in self._space if trial.number > 0 or s.holds_was}
        return Proposal(trial.number, trial._trial_id, values)

    def tell(self, number: int, value: float) -> None:
        self._study.tell(number, value)

    def tell_pruned(self, number: int) -> None:
        self._study.tell(number, state=TrialState.PRUNED)

    def tell_failed(self, number: int) -> None:
        self._study.tell(number, state=TrialState.FAIL)

    def importances(self) -> dict[str, float]:
        """The importance of each setting for being among the better trials; the sum is 1. Empty if there are too few trials.
        Source: Watanabe, Bansal, Hutter 2023, "PED-ANOVA"."""
        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        varied = [s.key for s in self._space if len({t.params[s.key] for t in done if s.key in t.params}) > 1]
        if not varied or len(done) < _RANDOM_TRIALS:
            return {}
        found = optuna.importance.get_param_importances(self._study, params=varied)
        return {key: float(share) for key, share in found.items()}

    def curve(self, number: int) -> list[tuple[int, float]]:
        """(percent of training, validation metric) pairs of a trial."""
        return sorted(self._study.get_trials(deepcopy=False)[number].intermediate_values.items())


def _mend(file: Path) -> None:
    """Remove an incomplete last line, left by a crash."""
    if file.is_file() and (text := file.read_bytes()) and not text.endswith(b"\n"):
        os.truncate(file, text.rfind(b"\n") + 1)
