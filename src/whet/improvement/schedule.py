"""How `whet improve` divides its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whet.core.duration import Duration
from whet.core.language import Sentence, english, english_n

# With a shorter budget, reading every sample would take too large a share of the time.
_CHECK_FROM = 5 * 60
# With a shorter budget, the runs of the study or the runs after it would be too short to be informative.
_STUDY_FROM, _STUDY_SHARE = 15 * 60, 0.35
_TUNE_FROM, _TUNE_SHARE = 60 * 60, 0.15
_ALONE_FROM = 60 * 60  # single techniques; with a shorter budget, groups of similar techniques
_SEVERAL_FROM, _SEVERAL = 30 * 60, 3  # seeds; with a shorter budget, runs would be too short
_MOST_SEEDS = 5  # if runs end early


@dataclass(frozen=True)
class Schedule:
    """The steps of `whet improve`. checking: whether the data are checked first. studying, tuning: whether there is a study and a
    hyperparameter search. alone: whether techniques are studied one by one. seeds: runs per recipe; most_seeds: the maximum if time
    remains. baseline: whether there is time to train a plain recipe; if not, a one-pass model replaces it."""

    limit: Duration | None
    checking: bool
    studying: bool
    tuning: bool
    alone: bool
    seeds: int
    most_seeds: int
    baseline: bool

    @property
    def _seconds(self) -> float | None:
        return self.limit.seconds if self.limit is not None and self.limit.is_time else None

    def of_study(self, usual: Duration) -> Duration:
        """The time of the study, or the length of its runs; `usual` if no budget is given."""
        return self._part(_STUDY_SHARE, usual)

    def of_tuning(self, usual: Duration) -> Duration:
        return self._part(_TUNE_SHARE, usual)

    def _part(self, share: float, usual: Duration) -> Duration:
        if self._seconds is None:
            return self.limit if self.limit is not None else usual
        return Duration(round(share * self._seconds), "s")

    def summary(self, questions: int, recipes: Sequence[str]) -> Iterator[Sentence]:
        """Yield one line per step, with its time if known. questions: the number of factors of the study. recipes: the names of the
        compared recipes."""
        minutes = (self._seconds or 0.0) / 60
        rest = 1.0
        if self.studying and questions:
            rest -= _STUDY_SHARE
            values = {"n": questions, "time": _about(_STUDY_SHARE * minutes)}
            yield (
                english("plan: study {n} techniques of the strong recipe{time!t}", **values)
                if self.alone
                else english("plan: study {n} groups of techniques of the strong recipe{time!t}", **values)
            )
        if self.tuning:
            rest -= _TUNE_SHARE
            yield english("plan: tune the hyperparameters that matter{time!t}", time=_about(_TUNE_SHARE * minutes))
        names = [*recipes, *(["improved"] if self.studying or self.tuning else [])]
        yield english_n(
            "plan: train {recipes}, one seed each{time!t}; then compare on the test samples and report",
            "plan: train {recipes}, {n} seeds each{time!t}; then compare on the test samples and report",
            self.seeds, recipes=", ".join(names), time=_about(rest * minutes),
        )  # fmt: skip
        if self.seeds == 1:
            yield english(
                "plan: one seed does not measure seed variance, so there is no verdict; a budget of {minutes}m or more trains "
                "{n} seeds (--seeds {n} does so with any budget, with shorter runs)",
                minutes=_SEVERAL_FROM // 60, n=_SEVERAL,
            )  # fmt: skip


def _about(minutes: float) -> str:
    return english(", {minutes:.0f} min", minutes=minutes) if minutes else ""


def make_schedule(
    limit: Duration | None, seeds: int | None, studying: bool | None, tuning: bool | None, *, can_tune: bool
) -> Schedule:
    """The requested steps; steps that were neither requested nor refused are included if there is enough time. can_tune: whether
    Optuna is installed."""
    seconds = limit.seconds if limit is not None and limit.is_time else None
    fits_study, fits_tuning = (seconds is not None and seconds >= least for least in (_STUDY_FROM, _TUNE_FROM))
    long = seconds is None or seconds >= _SEVERAL_FROM
    return Schedule(
        limit,
        checking=seconds is None or seconds >= _CHECK_FROM,
        studying=fits_study if studying is None else studying,
        tuning=(fits_tuning and can_tune) if tuning is None else tuning,
        alone=seconds is None or seconds >= _ALONE_FROM,
        seeds=seeds or (_SEVERAL if long else 1),
        most_seeds=seeds or (_MOST_SEEDS if long else 1),
        baseline=long,
    )
