"""How the time of the main job is divided, told before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whet.core.duration import Duration

# In less time a look at every sample takes too much of it.
_CHECK_FROM = 5 * 60
# In less time the study's runs, or those that follow, are too short to say anything.
_STUDY_FROM, _STUDY_SHARE = 15 * 60, 0.35
_TUNE_FROM, _TUNE_SHARE = 60 * 60, 0.15
_ALONE_FROM = 60 * 60  # techniques one by one; in less time similar ones together
_SEVERAL_FROM, _SEVERAL = 30 * 60, 3  # seeds; in less time runs would be too short to be of use
_MOST_SEEDS = 5  # where runs end before the time does


@dataclass(frozen=True)
class Schedule:
    """checking: whether the data are checked first. studying, tuning: whether there is a study, and a search for values. alone:
    whether techniques are studied one by one. seeds: runs of each recipe that is compared; most_seeds: so many where the time is
    enough. baseline: whether there is time for a plain recipe that is trained; else what takes one pass stands in its place."""

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
        """The study's time, or the length of its runs: `usual` where nothing is said."""
        return self._part(_STUDY_SHARE, usual)

    def of_tuning(self, usual: Duration) -> Duration:
        return self._part(_TUNE_SHARE, usual)

    def _part(self, share: float, usual: Duration) -> Duration:
        if self._seconds is None:
            return self.limit if self.limit is not None else usual
        return Duration(round(share * self._seconds), "s")

    def summary(self, questions: int, recipes: Sequence[str]) -> Iterator[str]:
        """A line for every part of the work, with its time where that is known. questions: how many a study asks. recipes: those
        that are compared."""
        minutes = (self._seconds or 0.0) / 60
        rest = 1.0
        if self.studying and questions:
            rest -= _STUDY_SHARE
            what = "techniques" if self.alone else "groups of techniques"
            yield f"plan: study {questions} {what} of the strong recipe{_about(_STUDY_SHARE * minutes)}"
        if self.tuning:
            rest -= _TUNE_SHARE
            yield f"plan: search better values of what matters{_about(_TUNE_SHARE * minutes)}"
        seeds = "one seed each" if self.seeds == 1 else f"{self.seeds} seeds each"
        yield (
            f"plan: train {', '.join(recipes)}{', and what came of it' if self.studying or self.tuning else ''}, {seeds}"
            f"{_about(rest * minutes)}; then compare on the test samples and report"
        )
        if self.seeds == 1:
            yield (
                f"plan: one seed says nothing of other seeds, so the difference is not judged; a budget of {_SEVERAL_FROM // 60}m "
                f"or more trains {_SEVERAL} (--seeds {_SEVERAL} does with any, with shorter runs)"
            )


def _about(minutes: float) -> str:
    return f", {minutes:.0f} min" if minutes else ""


def make_schedule(
    limit: Duration | None, seeds: int | None, studying: bool | None, tuning: bool | None, *, can_tune: bool
) -> Schedule:
    """What was asked; where nothing was, what the time is enough for. can_tune: whether what searches is installed."""
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
