"""Does a study tell the truth? Where the truth is known: simulated studies, identical recipes, planted effects.

simulated: 400 to 4,000 studies of each kind whose effects are known in closed form (`simulated_studies.py`): 95 % intervals must
hold them 92 to 98 % of the time, at most 5 % of studies may have a verdict that is not true, and wrong ways to find intervals must
not. Of one and two seeds: none is assessed, and intervals hold what these very runs would do on fresh samples.
classes: studies whose factors do nothing; at most 5 % may say that some class is hurt.
validation: a method that is fitted on the validation samples and cannot help; it is scored in-sample and cross-fitted.
identical: 200 studies of the same recipe on both sides, three seeds each, the seeds of one side not those of the other, from real
trainings on the digits; at most 5 % may be called different.
planted: 20 studies on digits split anew, of a method that does nothing, one that gives 30 % of the training images another
label, and twice the data; all three verdicts must be right in at least 19.

    python benchmarks/study_truth.py [--part simulated classes validation identical planted] [--fresh] [--jobs 2]

What is written is what this call measured; trainings of a call that was stopped are not made again.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

import record
import simulated_studies
from study_digits import digits_recipe
from whet.core.method import Method
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.core.stages import Mixes, Selects
from whet.evaluate.difference import HELPS, HURTS, LEAST_SEEDS, UNDECIDED, crossed_interval
from whet.studies.executor import PlannedRun, Workers
from whet.studies.study import study

FOLDER = record.FOLDER / "study_truth"
PAIRS, SEEDS, PLANTED = 200, 3, 20
_CLASSIFY = {"image-classification"}


# --- planted methods ------------------------------------------------------------------------------------------------
class DoesNothing(Method, Mixes, family="mix", tasks=_CLASSIFY):
    """Changes the last bits of every image, so that trainings end differently, and no better or worse."""

    def apply(self, batch: Any, rng: Any) -> Any:
        return batch.replace(x=batch.x * (1 + 1e-6))


class WrongLabels(Method, Selects, family="balance", tasks=_CLASSIFY):
    """Shuffles the labels of some training images among them."""

    share: Annotated[float, Field(ge=0, le=1)] = 0.3

    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        rng = Rng(0).batch("wrong labels", 0, np.arange(len(rows)))
        chosen = np.flatnonzero(rng.uniform() < self.share)
        label_N = rows["label"].to_numpy(copy=True)
        label_N[chosen] = label_N[chosen][np.argsort(rng.uniform()[: len(chosen)])]
        return rows.assign(label=label_N)


class Part(Method, Selects, family="balance", tasks=_CLASSIFY):
    """Trains on the first so many of each class."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.5

    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        place = rows.groupby("label").cumcount()
        size = rows.groupby("label")["label"].transform("size")
        return rows[place < self.share * size]


# --- what is trained ------------------------------------------------------------------------------------------------
def identical(jobs: int) -> dict[str, Any]:
    """Every run stands in several studies, but twice in none; whatever the studies share, none has anything to find."""
    per_study, asked = 2 * SEEDS, digits_recipe(0, 25, "6ep")
    count = 40 * per_study
    recipes = [asked.setting(seed=seed) for seed in range(count)]
    tasks = [PlannedRun(recipe, FOLDER / "identical" / f"{recipe.hash}-s{recipe.train.seed}") for recipe in recipes]
    for done, _ in enumerate(Workers(jobs).run(tasks), 1):
        if done % 20 == 0:
            print(f"{done} of {count} runs", flush=True)
    right_RN = np.stack([_right(RunFolder(task.path)) for task in tasks])
    verdicts, differences = [], []
    for turn in range(-(-PAIRS * per_study // count)):
        order = Rng(turn).batch("identical", 0, np.arange(count)).permutation()
        for runs in order.reshape(-1, 2, SEEDS):
            found = crossed_interval(right_RN[runs[1]] - right_RN[runs[0]])
            verdicts.append(found.verdict)
            differences.append(found.mean)
    accuracy = right_RN.mean(axis=1)
    return {
        "studies": len(verdicts), "runs": count, "samples": right_RN.shape[1], "seeds": SEEDS,
        "called_different": float(np.mean([verdict in (HELPS, HURTS) for verdict in verdicts])),
        "accuracy": float(accuracy.mean()), "accuracy_std_over_seeds": float(accuracy.std(ddof=1)),
        "largest_difference": float(np.abs(differences).max()),
    }  # fmt: skip


def _right(run: RunFolder) -> np.ndarray:
    frame = run.read_predictions()
    frame = frame[frame["split"] == "test"].sort_values("id")
    return (frame["label"] == frame["predicted"]).to_numpy(float)


EXPECTED = {"does_nothing": UNDECIDED, "wrong_labels": HURTS, "part.share 0.5 → 1": HELPS}


def planted(number: int) -> dict[str, str]:
    """The verdicts of one study, on a split and with weights of its own."""
    for cls in (DoesNothing, WrongLabels, Part):
        if cls.name not in registry():
            registry().add(cls)
    asked = digits_recipe(number, 50, "6ep", {"part": {"share": 0.5}})
    folder = FOLDER / "planted" / str(number)
    found = study(asked, ["does_nothing", "wrong_labels", "part.share=0.5:1"], seeds=LEAST_SEEDS, out=folder)
    return dict(zip(found.effects["factor"], found.effects["verdict"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--part",
        nargs="+",
        choices=PARTS,
        default=PARTS,
    )
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    arguments = parser.parse_args()
    if arguments.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    context = multiprocessing.get_context("spawn")
    if "simulated" in arguments.part:
        with ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
            results["simulated"] = list(pool.map(_covered, SETTINGS))
            results["wrong_ways"] = list(pool.map(_mutant, MUTANTS))
        print(*results["wrong_ways"], sep="\n")
    if "classes" in arguments.part:
        with ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
            results["classes"] = list(pool.map(_classes, CLASSES))
        print(*results["classes"], sep="\n")
    if "validation" in arguments.part:
        with ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
            results["validation"] = list(pool.map(_validation, itertools.product((150, 600), (SEEDS, 5))))
        print(*results["validation"], sep="\n")
    if "identical" in arguments.part:
        results["identical"] = identical(arguments.jobs)
        print(results["identical"])
    if "planted" in arguments.part:
        with ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
            verdicts = list(pool.map(planted, range(PLANTED)))
        right = sum(verdict == EXPECTED for verdict in verdicts)
        results["planted"] = {"studies": PLANTED, "all_right": right, "verdicts": verdicts}
        print(f"planted: {right} of {PLANTED} studies right")
    question = "Studies where the truth is known: simulated, of identical recipes, of planted effects"
    record.write_parts("study_truth", question, results, ())


PARTS = ["simulated", "classes", "validation", "identical", "planted"]
_DESIGNS, _NOISE, _NULL = ("screen", "ablate", "add", "factorial"), ("small", "large"), (0.0,) * 8
_JUST_WORTH = (0.04, -0.04) * 4  # a little more than the margin
_Setting = simulated_studies.Setting
SETTINGS = [
    *(_Setting(d, s, n, 0.0, b) for d in _DESIGNS for s in (3, 5) for n in _NOISE for b in simulated_studies.BY_SEED),
    *(_Setting(d, 3, n, 0.1) for d in _DESIGNS for n in _NOISE),
    *(_Setting(d, 10, n, 0.0, b) for d in ("screen", "add") for n in _NOISE for b in ("none", "one")),
    *(
        _Setting(d, s, n, 0.0, b, N, _NULL)
        for d in ("screen", "add") for N in (100, 2000) for s in (3, 5) for n in _NOISE for b in ("none", "mixed")
    ),
    *(_Setting("add", s, n, 0.0, "none", N, _NULL, 1) for N in (100, 431, 2000) for s in (3, 5) for n in _NOISE),
    *(_Setting("screen", s, "small", 0.0, "none", 2000, _JUST_WORTH) for s in (3, 5)),
    *(_Setting(d, s, n, 0.0, b) for d in ("screen", "add") for s in (1, 2) for n in _NOISE for b in ("none", "one")),
]  # fmt: skip
CLASSES = [(s, 20, 8, n) for s in (3, 5) for n in _NOISE]
MUTANTS = [(name, _Setting("add", s, n)) for name in simulated_studies.MUTANTS for s in (3, 10) for n in _NOISE]


def _studies(setting: _Setting) -> int:
    """More where the truth lies near to what is allowed: of single pairs, and where no factor does anything."""
    return 4000 if setting.count == 1 else 400 if any(setting.effects) else 800


def _covered(setting: _Setting) -> dict[str, Any]:
    found = simulated_studies.simulated(setting, _studies(setting))
    row = _row(setting, float(found.covered_P.mean()), found.width)
    row |= {
        "covered_error": found.covered_error, "covered_least": float(found.covered_P.min()),
        "covered_most": float(found.covered_P.max()), "wrong": found.wrong, "wrong_error": found.wrong_error,
        "right": found.right, "assessed": found.assessed, "studies": _studies(setting),
    }  # fmt: skip
    print(row, flush=True)
    return row


def _validation(asked: tuple[int, int]) -> dict[str, Any]:
    samples, seeds = asked
    return {"samples": samples, "seeds": seeds, **simulated_studies.fitted_on_validation(samples, seeds, 100)}


def _mutant(asked: tuple[str, _Setting]) -> dict[str, Any]:
    name, setting = asked
    return {"way": name, **_row(setting, *simulated_studies.coverage(setting, 200, simulated_studies.MUTANTS[name]))}


def _classes(asked: tuple[int, int, int, str]) -> dict[str, Any]:
    seeds, classes, factors, noise = asked
    found = simulated_studies.classes_hurt(seeds, 40 * classes, classes, factors, 100, noise)
    return {"seeds": seeds, "classes": classes, "factors": factors, "run_luck": noise, **found}


def _row(setting: _Setting, share: float, width: float) -> dict[str, Any]:
    return {
        "design": setting.design, "factors": setting.count, "seeds": setting.seeds, "samples": setting.samples,
        "run_luck": setting.noise, "together": setting.together, "by_seed": setting.by_seed,
        "effects": any(setting.effects), "covered": share, "width": width,
    }  # fmt: skip


if __name__ == "__main__":
    main()
