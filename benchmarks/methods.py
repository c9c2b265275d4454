"""Every registered method against the plain recipe: what it changes, how surely, and what it costs.

Each method is added to a plain recipe in at least two settings where it can act; which, and how, stand in
`method_placements.py`, the data and the plain recipes in `method_settings.py`. A method that a setting refuses is written down
with the reason.

Both sides have the same seeds, images and draws. The effect is the difference in accuracy on the test images (macro-F1
where classes are uneven, log-loss where confidence is all that changes), with its 95 % interval over seeds and images; three
seeds, and up to six where that interval holds zero and time is left. An optimizer stands against SGD; the learning rate of both
is the best of three (the usual one, three and ten times it) on the validation images with seed 0. The cost is the time of
a whole run without its final answers, in units of the plain run nearest in time, and that of an answer. Memory is not measured:
one process trains many recipes.

    python benchmarks/methods.py [--hours 3] [--only ema sam] [--seeds 3] [--fresh] [--write]

A call goes on where the last one stopped. --write puts what is known into benchmarks/results/methods.json, into
src/whet/methods/measured.json (which the cards are made from), docs/methods and docs/log.md.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import method_results
from method_placements import NoRule, Placement, candidates, helpers_of, place, without
from method_runs import Job, Run, Runs, measure, started
from method_settings import FOLDER, SETTINGS, Setting
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.run_folder import RunFolder
from whet.training.job import train_run

MOST_SEEDS = 6


@dataclass(frozen=True)
class Cell:
    """One method in one setting."""

    method: type[Method]
    placement: Placement
    setting: Setting

    @property
    def metric(self) -> str:
        return self.placement.metric or self.setting.metric


class Comparison:
    """All cells, and the recipes of both sides of each."""

    def __init__(self, names: list[str], runs: Runs) -> None:
        self.runs = runs
        placed = _placed(names)
        self.cells = [Cell(registry().get(n), p, SETTINGS[s]) for n, p in placed.items() for s in p.settings]

    @property
    def settings(self) -> list[Setting]:
        return [setting for setting in SETTINGS.values() if any(cell.setting is setting for cell in self.cells)]

    def job(self, setting: Setting, recipe: Recipe, seed: int, what: str) -> Job:
        return Job(setting.name, setting.digest, recipe.setting(seed=seed), what)

    def plain(self, name: str, seed: int) -> Job:
        return self.job(SETTINGS[name], SETTINGS[name].plain(), seed, "plain")

    # --- the two sides ----------------------------------------------------------------------------------------------
    def candidates(self, cell: Cell) -> list[Recipe]:
        return candidates(cell.method, cell.placement, cell.setting.plain(), self.helpers(cell))

    def chosen(self, cell: Cell) -> Recipe:
        """Of the candidates, the best by validation accuracy with seed 0, ties by log-loss; the first while none is known."""
        found = self.candidates(cell)
        known = [
            (-run.validation_accuracy, run.validation_log_loss, number)
            for number, recipe in enumerate(found)
            if (run := self.runs.get(self._key(cell.setting, recipe), 0)) is not None and not run.refused
        ]
        return found[min(known)[2]] if known else found[0]

    def other_side(self, cell: Cell) -> Recipe:
        if cell.placement.against:
            return self.chosen(self._against(cell))
        return without(cell.method, cell.placement, cell.setting.plain())

    def _against(self, cell: Cell) -> Cell:
        return Cell(registry().get(cell.placement.against), Placement((cell.setting.name,)), cell.setting)

    def sides(self, cell: Cell) -> tuple[str, str]:
        """The keys of the runs without and with the method."""
        return self._key(cell.setting, self.other_side(cell)), self._key(cell.setting, self.chosen(cell))

    def _key(self, setting: Setting, recipe: Recipe) -> str:
        return self.job(setting, recipe, 0, "").key

    def helpers(self, cell: Cell) -> dict[str, str]:
        """The folders of the runs that must be there before, by name."""
        wanted = [name for name in helpers_of(cell.placement) if name in cell.setting.helpers]
        return {name: str(_helper_folder(cell.setting.name, name)) for name in wanted}

    def keys(self) -> set[str]:
        """Of every run of a method, less those of the plain recipes."""
        plain = {self.plain(setting.name, 0).key for setting in self.settings}
        return {self._key(cell.setting, recipe) for cell in self.cells for recipe in self.candidates(cell)} - plain

    # --- what to train ------------------------------------------------------------------------------------------------
    def train(self, seeds: int, count: int, deadline: float) -> None:
        """Everything that is not known yet, until the deadline on the clock of time.monotonic."""
        for setting, name in sorted({(c.setting.name, name) for c in self.cells for name in self.helpers(c)}):
            _train_helper(SETTINGS[setting], name)
        planned = {(job.key, job.seed) for jobs in (self.learning_rates(), self.seeds(seeds)) for job in jobs}
        screen = Screen(sum(self.runs.get(*one) is None for one in planned), deadline)
        first_steps = [SETTINGS[name].plain().setting(budget="1st").to_yaml() for name in ("digits", "trashnet")]
        with started(count, first_steps) as workers:
            for jobs in (self.learning_rates(), self.seeds(seeds), self.further_seeds(seeds)):
                if not measure(jobs, self.runs, self.plain, workers, count, deadline, screen):
                    print("the time is up; the same call goes on from here")
                    return

    def learning_rates(self) -> Iterator[Job]:
        """With seed 0, where there are several to choose from."""
        for cell in self.cells:
            for one in (cell, self._against(cell)) if cell.placement.against else (cell,):
                recipes = self.candidates(one)
                for recipe in recipes if len(recipes) > 1 else ():
                    yield self.job(cell.setting, recipe, 0, f"{one.method.name} {_lr_of(one.method, recipe)}")

    def seeds(self, count: int) -> Iterator[Job]:
        """Setting by setting, seed by seed, both sides of every cell."""
        for setting in self.settings:
            for seed in range(count):
                for cell in self.cells:
                    if cell.setting is setting:
                        yield from self._both(cell, seed)

    def further_seeds(self, count: int) -> Iterator[Job]:
        """One seed more at a time for every cell whose interval holds zero, the cheapest first."""
        for seed in range(count, MOST_SEEDS):
            undecided = [(cost, number) for number, cell in enumerate(self.cells) if (cost := self._cost(cell)) > 0]
            for _, number in sorted(undecided):
                yield from self._both(self.cells[number], seed)

    def _both(self, cell: Cell, seed: int) -> Iterator[Job]:
        if not any(self.runs.refused(key) for key in self.sides(cell)):
            yield self.job(cell.setting, self.other_side(cell), seed, f"beside {cell.method.name}")
            yield self.job(cell.setting, self.chosen(cell), seed, cell.method.name)

    def _cost(self, cell: Cell) -> float:
        """Seconds of another seed; 0 where there is nothing left to find out."""
        row = method_results.row_of(self, cell)
        if row is None or row["verdict"] != "no evidence":
            return 0.0
        return self.runs.of(self.sides(cell)[1])[-1].seconds


def _placed(names: list[str]) -> dict[str, Placement]:
    placed, lost = {}, []
    for cls in registry():
        if not names or cls.name in names:
            try:
                placed[cls.name] = place(cls)
            except NoRule as error:
                lost.append(str(error))
    if lost:
        raise SystemExit("no rule how to measure\n  " + "\n  ".join(lost))
    return placed


def _lr_of(cls: type[Method], recipe: Recipe) -> str:
    return f"lr {recipe.method(cls.name).settings_dict()['lr']:g}"


@functools.cache
def _helper_folder(setting_name: str, name: str) -> Path:
    setting = SETTINGS[setting_name]
    recipe = setting.helpers[name].recipe(setting, name)
    return FOLDER / "helpers" / f"{setting.name}-{name}-{setting.digest}-{recipe.hash}"


def _train_helper(setting: Setting, name: str) -> None:
    folder = _helper_folder(setting.name, name)
    if not RunFolder(folder).finished:
        shutil.rmtree(folder, ignore_errors=True)  # of a call that was stopped
        print(f"first a run that methods need, in {setting.title}: {setting.helpers[name].title}", flush=True)
        train_run(setting.helpers[name].recipe(setting, name), folder)


class Screen:
    """A line for every finished run, with how far it is and the time left."""

    def __init__(self, planned: int, deadline: float) -> None:
        self._planned, self._deadline, self._start, self._done = planned, deadline, time.monotonic(), 0

    def __call__(self, job: Job, run: Run) -> None:
        self._done += 1
        now = time.monotonic()
        left = (now - self._start) / self._done * (self._planned - self._done)
        if self._done >= self._planned:  # further seeds go on as long as there is time
            left = self._deadline - now
        label_N = SETTINGS[job.setting].test_labels
        said = run.refused or f"{100 * method_results.value('accuracy', run, label_N):5.1f} %  {run.seconds:5.1f} s"
        place = f"{self._done:4d}/{max(self._planned, self._done)}  {max(left, 0) / 60:4.0f} min left"
        print(f"{place}  {job.setting:22s} {job.what:28s} seed {job.seed}  {said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=3.0, help="no run begins after so long; 0: only show or write")
    parser.add_argument("--only", nargs="+", choices=[cls.name for cls in registry()], default=[], metavar="METHOD")
    parser.add_argument("--seeds", type=int, default=3, help="for every method; further ones where they are needed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs at a time, a thread each")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured (of --only)")
    parser.add_argument("--write", action="store_true", help="put what is known into the results, cards and log")
    arguments = parser.parse_args()
    deadline = time.monotonic() + 3600 * arguments.hours
    runs = Runs(FOLDER / "runs.jsonl")
    comparison = Comparison(arguments.only, runs)
    if arguments.fresh:
        runs.forget(comparison.keys() if arguments.only else None)
    if arguments.hours > 0:
        comparison.train(arguments.seeds, arguments.workers, deadline)
    results = method_results.results(comparison)
    names = set(arguments.only) or set(results["methods"])
    for name, rows in method_results.measured_rows(results).items():
        for row in rows if name in names else ():
            print(f"{name:26s} " + "  ".join(row.cells()))
    if arguments.write:
        method_results.write(results)


if __name__ == "__main__":
    main()
