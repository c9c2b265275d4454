"""Pruning of trials: each trial reports its metric after every validation and stops if the search prunes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core import strict_json
from whet.core.errors import Ended
from whet.core.run_folder import RunFolder
from whet.studies.executor import PlannedRun
from whet.training.checkpoint import checkpoints, remove_checkpoint
from whet.training.log import Observer
from whet.tuning.trials import load_trial

# The metrics that are reported during training in place of one that is not; the first that the task has.
_REPORTED = {"worst_class": ("macro_f1", "mean_iou")}


@dataclass(frozen=True)
class TrialRun(PlannedRun):
    """The run of a trial. storage: the journal of the search. A node that does not share it never prunes the trial."""

    number: int
    trial_id: int
    storage: Path
    metric: str

    @property
    def pruned(self) -> Path:
        return self.path / "pruned.json"

    @property
    def over(self) -> bool:
        return super().over or self.pruned.is_file()

    def observer(self, watch: Observer) -> Observer:
        return Pruning(self, watch) if self.storage.is_file() else watch


class Pruning(Observer):
    """Forwards all events to `watch`, and raises Ended if the search prunes the trial."""

    def __init__(self, task: TrialRun, watch: Observer) -> None:
        self._task, self._watch, self._total = task, watch, 1
        self._trial = load_trial(task.storage, task.trial_id)
        self._known = set(self._trial.storage.get_trial(task.trial_id).intermediate_values)
        self.phase, self.note, self.step, self.end = watch.phase, watch.note, watch.step, watch.end  # type: ignore[method-assign]

    def steps(self, done: int, total: int) -> None:
        self._total = total
        self._watch.steps(done, total)

    def validated(self, record: dict[str, Any]) -> None:
        self._watch.validated(record)
        percent = round(100 * record["step"] / self._total)
        if percent == 0:
            return
        if percent not in self._known:  # a resumed run repeats some validations
            reported = (self._task.metric, *_REPORTED.get(self._task.metric, ()))
            self._trial.report(next(record[name] for name in reported if name in record), percent)
        if record["step"] < self._total and self._trial.should_prune():
            strict_json.write(self._task.pruned, {"percent": percent})
            raise Ended(f"pruned after {percent} % of training: below the median of the other trials")


def clear_up(task: TrialRun) -> None:
    """Remove the checkpoints of a run that will not be resumed."""
    for path in checkpoints(RunFolder(task.path).checkpoints):
        remove_checkpoint(path)
