"""Does a study tell the truth? Where the truth is known: simulated studies, identical recipes, planted effects.

simulated: 1,000 studies of each kind whose effects are known in closed form (`simulated_studies.py`); 95 % intervals must hold
them 92 to 98 % of the time, and wrong ways to find intervals must not.
identical: 200 studies of the same recipe on both sides, three seeds each, the seeds of one side not those of the other, from real
trainings on the digits; at most 5 % may be called different.
planted: 20 studies on digits split anew, of a method that does nothing, one that gives 30 % of the training pictures another
label, and twice the data; all three verdicts must be right in at least 19.

    python benchmarks/study_truth.py [--part simulated identical planted] [--fresh] [--jobs 2]

A call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
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
from whet.core.method import Method, Stage
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.evaluate.compare import crossed_interval
from whet.study.executor import Task, Workers
from whet.study.study import study

FOLDER = record.FOLDER / "study_truth"
STUDIES, PAIRS, SEEDS, PLANTED = 1000, 200, 3, 20
_CLASSIFY = {"image-classification"}


# --- planted methods ------------------------------------------------------------------------------------------------
class DoesNothing(Method, stage=Stage.BATCH, family="mix", tasks=_CLASSIFY):
    """Changes the last bits of every picture, so that trainings end differently, and no better or worse."""

    def apply(self, batch: Any, rng: Any) -> Any:
        return batch.replace(x=batch.x * (1 + 1e-6))


class WrongLabels(Method, stage=Stage.DATA, family="balance", tasks=_CLASSIFY):
    """Shuffles the labels of some training pictures among them."""

    share: Annotated[float, Field(ge=0, le=1)] = 0.3

    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        rng = Rng(0).batch("wrong labels", 0, np.arange(len(rows)))
        chosen = np.flatnonzero(rng.uniform() < self.share)
        label_N = rows["label"].to_numpy(copy=True)
        label_N[chosen] = label_N[chosen][np.argsort(rng.uniform()[: len(chosen)])]
        return rows.assign(label=label_N)


class Part(Method, stage=Stage.DATA, family="balance", tasks=_CLASSIFY):
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
    tasks = [Task(recipe, FOLDER / "identical" / f"{recipe.hash}-s{recipe.train.seed}") for recipe in recipes]
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
        "called_different": float(np.mean([verdict != "no evidence" for verdict in verdicts])),
        "accuracy": float(accuracy.mean()), "accuracy_std_over_seeds": float(accuracy.std(ddof=1)),
        "largest_difference": float(np.abs(differences).max()),
    }  # fmt: skip


def _right(run: RunFolder) -> np.ndarray:
    frame = run.read_predictions()
    frame = frame[frame["split"] == "test"].sort_values("id")
    return (frame["label"] == frame["predicted"]).to_numpy(float)


EXPECTED = {"does_nothing": "no evidence", "wrong_labels": "hurts", "part.share 0.5 → 1": "helps"}


def planted(number: int) -> dict[str, str]:
    """The verdicts of one study, on a split and with weights of its own."""
    for cls in (DoesNothing, WrongLabels, Part):
        if cls.name not in registry():
            registry().add(cls)
    asked = digits_recipe(number, 50, "6ep", {"part": {"share": 0.5}})
    folder = FOLDER / "planted" / str(number)
    found = study(asked, ["does_nothing", "wrong_labels", "part.share=0.5:1"], seeds=2, out=folder)
    return dict(zip(found.effects["factor"], found.effects["verdict"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--part",
        nargs="+",
        choices=("simulated", "identical", "planted"),
        default=["simulated", "identical", "planted"],
    )
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    arguments = parser.parse_args()
    if arguments.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = dict(record.earlier("study_truth"))
    context = multiprocessing.get_context("spawn")
    if "simulated" in arguments.part:
        with ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
            results["simulated"] = list(pool.map(_covered, SETTINGS))
            results["wrong_ways"] = list(pool.map(_mutant, MUTANTS))
        for row in (*results["simulated"], *results["wrong_ways"]):
            print(row)
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
    record.write("study_truth", question, results, ())


SETTINGS = [
    simulated_studies.Setting(design, seeds, noise, together, by_seed)
    for design in ("screen", "ablate", "add", "factorial")
    for seeds in (3, 5, 10)
    for noise in ("small", "large")
    for together, by_seed in ((0.0, 0.0), (0.1, 0.0), (0.0, 0.5))
]
MUTANTS = [
    (name, simulated_studies.Setting("add", seeds, noise))
    for name in simulated_studies.MUTANTS
    for seeds in (3, 10)
    for noise in ("small", "large")
]


def _covered(setting: simulated_studies.Setting) -> dict[str, Any]:
    share, width = simulated_studies.coverage(setting, STUDIES)
    return _row(setting, share, width)


def _mutant(asked: tuple[str, simulated_studies.Setting]) -> dict[str, Any]:
    name, setting = asked
    return {"way": name, **_row(setting, *simulated_studies.coverage(setting, 300, simulated_studies.MUTANTS[name]))}


def _row(setting: simulated_studies.Setting, share: float, width: float) -> dict[str, Any]:
    return {
        "design": setting.design, "seeds": setting.seeds, "run_luck": setting.noise, "together": setting.together,
        "by_seed": setting.by_seed, "covered": share, "width": width,
    }  # fmt: skip


if __name__ == "__main__":
    main()
