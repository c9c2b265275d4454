"""A whole study on small images: what it trains, what it says, what it writes, and that it goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.conftest import FAST, write_images
from tests.made_evidence import evidence

import whet
from whet import recipes
from whet.core import strict_json
from whet.core.errors import NoEffectError, RecipeError, RunError
from whet.core.method import Method
from whet.core.recipe import Recipe, parse_method
from whet.core.registry import registry
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.core.stages import Mixes
from whet.evaluate.difference import Difference
from whet.evaluate.evidence import write_evidence
from whet.studies import confirmation
from whet.studies import screening as screening_module
from whet.studies import study as study_module
from whet.studies.clock import Clock, TooLittleTime
from whet.studies.confirmation import MOST_SEEDS, Confirmation
from whet.studies.evidence import Effect, Findings
from whet.studies.executor import InProcess, PlannedRun, refuse_other
from whet.studies.factor import LevelFactor, MethodFactor, parse_factors
from whet.studies.plan import make_plan
from whet.studies.runner import Runner
from whet.studies.screening import Screening, decide_length
from whet.studies.study import Change, proposed
from whet.training.log import Observer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_images(
        tmp_path_factory.mktemp("data") / "images", {"glass": 60, "metal": 50, "paper": 40}, size=(16, 20)
    )


@pytest.fixture
def base(data):
    asked = Recipe(
        data=DataSpec(path=str(data)),
        model=ModelSpec(architecture="resnet9_slim", weights="none"),
        methods=tuple(parse_method(name) for name in ({"sgd": {"lr": 0.02}}, "horizontal_flip")),
    )
    return recipes.change(asked, settings=(*FAST, "train.image_size=16", "train.batch_size=16", "train.budget=4ep"))


@pytest.mark.slow
def test_a_study_finds_what_is_planted_and_confirms_it(base, tmp_path):
    """A rate at which nothing is learnt against one at which all is; and a mirror, which does nothing to noise. What an untrained
    network has right differs much from seed to seed: three seeds would leave it undecided."""
    told = []

    class Watch(Observer):
        def note(self, text):
            told.append(text)

    out = tmp_path / "study"
    factors = ["sgd.lr=0.000001:0.02", "horizontal_flip"]
    found = whet.study(base, factors, design="factorial", budget="4ep", seeds=5, out=out, observer=Watch())
    rows = found.effects.set_index("factor")
    rate = rows.loc["sgd.lr 0.000001 → 0.02"]
    assert rate["verdict"] == "helps"
    assert rate["effect"] > 0.4
    assert rows.loc["horizontal_flip", "verdict"] == "undecided"
    assert found.recommended == base  # it has that rate already
    assert found.confirmed is None
    assert len(list((out / "runs").iterdir())) == 20
    assert sum(text.startswith("run ") for text in told) == 20
    story = json.loads((out / "study.json").read_text())
    assert [pair["factors"] for pair in story["interactions"]] == [[f.name for f in parse_factors(factors)]]
    assert "<svg" in found.report.read_text()

    # No run answered the test samples, and none is made again.
    for run in map(RunFolder, (out / "runs").iterdir()):
        assert set(run.read_predictions()["split"]) == {"val"}
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/metrics.json")}
    again = whet.study(base, factors, design="factorial", budget="4ep", seeds=5, out=out)
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/*/metrics.json")} == before
    assert again.effects.equals(found.effects)
    with pytest.raises(
        RunError, match=r"contains a study with different settings(.|\n)*-design: factorial(.|\n)*\+design: add"
    ):
        whet.study(base, factors, design="add", budget="4ep", seeds=5, out=out)


@pytest.mark.slow
@pytest.mark.sample
def test_what_helps_is_recommended_and_confirmed_on_the_test_samples(base, tmp_path):
    worse = recipes.change(base, add=("cosine",), settings=("sgd.lr=0.000001",))
    factors, out = ["sgd.lr=0.000001:0.02"], tmp_path / "study"
    found = whet.study(worse, factors, design="add", budget="4ep", seeds=3, metric="log_loss", out=out)
    assert found.recommended.method("sgd").lr == 0.02
    assert found.recommended.train.budget == worse.train.budget
    assert found.recommended.data.evaluate_test
    assert found.confirmed.verdict == "helps"
    assert found.confirmed.seeds == 3
    story = json.loads((out / "study.json").read_text())
    assert story["confirmed"]["part"] == "test"
    assert {len(runs) for runs in story["confirmed"]["curves"].values()} == {3}
    assert "Confirmation" in found.report.read_text()


@pytest.mark.slow
def test_the_design_is_shown_smaller_images_and_the_confirmation_the_recipe_s_own(base, tmp_path):
    large = recipes.change(base, settings=("train.image_size=64", "train.eval_size=64"))
    options = {"design": "add", "budget": "2st", "seeds": 2, "metric": "accuracy", "smaller": 0.5}
    plan = make_plan(large, ["sgd.lr=0.01:0.05"], jobs=1, **options)
    assert (plan.requested.train.image_size, plan.base.train.image_size, plan.base.train.eval_size) == (64, 32, 32)
    out = tmp_path / "study"
    found = whet.study(large, ["sgd.lr=0.01:0.05"], confirming=False, out=out, **options)
    assert {Recipe.load(run / "recipe.yaml").train.image_size for run in (out / "runs").iterdir()} == {32}
    assert found.recommended.train.image_size == 64
    assert "The images had 50 % of their size." in found.report.read_text()


class Breaks(Method, Mixes, family="mix", tasks={"image-classification"}):
    """Fails at its first batch."""

    def apply(self, batch, rng):
        raise ZeroDivisionError("on purpose")


@pytest.mark.slow
def test_a_method_that_fails_is_told_and_stops_no_other(base, tmp_path, monkeypatch):
    monkeypatch.setitem(registry()._by_name, Breaks.name, Breaks)
    found = whet.study(base, [Breaks(), "horizontal_flip"], budget="4st", seeds=3, out=tmp_path / "study")
    rows = found.effects.set_index("factor")
    assert rows.loc[Breaks.name, "verdict"] == "could not run"
    assert rows.loc["horizontal_flip", "seeds"] == 3
    failure = json.loads(next((tmp_path / "study" / "runs").glob("*/failure.json")).read_text())
    assert "Traceback" in failure["traceback"]
    assert "could not run" in found.report.read_text()


def test_smaller_images_of_texts_are_refused():
    texts = Recipe(task="text-classification", methods=(parse_method("adamw"), parse_method("token_mask")))
    options = {"design": "add", "budget": "2st", "seeds": 1, "metric": "accuracy", "jobs": 1}
    with pytest.raises(RecipeError, match=r"smaller: 0\.5 applies only to images"):
        make_plan(texts, ["token_mask"], smaller=0.5, **options)


# --- what is refused before any training ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("factors", "options", "error", "message"),
    [
        (["horizontal_flip", "horizontal_flip"], {}, RecipeError, "is given twice"),
        (["mixup.alpha=0.2:0.8"], {}, RecipeError, "unknown section or method 'mixup'"),
        (["train.image_size=32"], {}, RecipeError, "KEY=LOW:HIGH"),
        (["horizontal_flip"], {"smaller": 1.5}, RecipeError, "1.5 is not a share of the image size"),
        (["train.image_size=32:32"], {}, RecipeError, "different values"),
        (["sgd.lr=0.1:0.2", "sgd"], {}, RecipeError, "which is also a factor"),
        (["sgd"], {}, RecipeError, "no optimizer"),
        (["adamw", "lion"], {}, RecipeError, "cannot both be on"),
        (["train.seed=0:1"], {}, NoEffectError, "identical at both levels"),
        (["model.architecture=lenet:resnet9:vgg16"], {}, RecipeError, "--design add"),
        (["horizontal_flip"], {"design": "screeen"}, RecipeError, "Did you mean 'screen'"),
        (["horizontal_flip"], {"metric": "f1"}, RunError, "unknown metric 'f1'"),
        ([f"train.batch_size={n}:{n + 1}" for n in range(8, 10)], {}, RecipeError, "more than two levels"),
    ],
)  # fmt: skip
def test_what_cannot_be_studied_is_refused(base, tmp_path, factors, options, error, message):
    with pytest.raises(error, match=message):
        whet.study(base, factors, out=tmp_path / "study", **options)
    assert not (tmp_path / "study").exists()


def test_several_levels_are_each_compared_with_the_first(base):
    plan = make_plan(
        base,
        ["model.architecture=lenet:resnet9:vgg16"],
        design="add",
        budget=None,
        seeds=None,
        metric="accuracy",
        jobs=1,
    )
    assert plan.factors == (
        LevelFactor("model.architecture", "lenet", "resnet9"),
        LevelFactor("model.architecture", "lenet", "vgg16"),
    )
    assert plan.as_it_was == [-1, -1]


def test_without_factors_every_method_but_the_optimizer_is_one(base):
    plan = make_plan(base, [], design="ablate", budget=None, seeds=None, metric="accuracy", jobs=1)
    assert plan.factors == (MethodFactor((base.method("horizontal_flip"),)),)


# --- the race ---------------------------------------------------------------------------------------------------------
def effect_of(name, mean, p):
    found = Difference(mean, mean - 0.01, mean + 0.01, p, 3, 100, "")
    return Effect(name, "accuracy", found, p, {}, {}, None)


@pytest.mark.parametrize(
    ("design", "left"),
    [("screen", {"cutout", "mixup"}), ("add", {"mixup"})],
)
def test_only_what_is_all_but_certain_leaves_the_race(base, tmp_path, design, left):
    """A loser leaves a screen; in one-at-a-time designs a winner has no more to show either; p of 0.01 is not certain."""
    plan = make_plan(
        base, ["cutout", "mixup", "horizontal_flip"], design=design, budget=None, seeds=None, metric="accuracy", jobs=1
    )
    runner = Runner(tmp_path, InProcess(Observer()), Clock(tmp_path / "clock.json", None, 0.0), Observer())
    screening = Screening(plan, runner, base.train.budget)
    found = Findings(
        [effect_of("cutout", 0.1, 1e-6), effect_of("mixup", -0.1, 0.01), effect_of("horizontal_flip", -0.1, 1e-6)], []
    )
    assert not screening._race(found)
    assert {plan.factors[f].name for f in range(3) if f not in screening.fixed} == left
    assert set(screening.fixed.values()) == {-1}
    assert all(row[2] == -1 for row in screening._rows())
    certain = Findings([replace(effect, p_holm=1e-6) for effect in found.effects], [])
    assert screening._race(certain)


# --- what comes of it -------------------------------------------------------------------------------------------------
def found_with(mean, low, high):
    return Difference(mean, low, high, 0.04 if low > 0 or high < 0 else 0.4, 3, 100, "")


def test_what_is_no_more_than_likely_is_tried_where_nothing_is_sure_and_taken_only_where_it_helps(base):
    """horizontal_flip is in the recipe, mixup is not; an interval of its own without zero is no verdict yet."""
    plan = make_plan(
        base, ["horizontal_flip", "mixup"], design="screen", budget="1h", seeds=None, metric="accuracy", jobs=1
    )
    likely_bad = replace(effect_of("horizontal_flip", -0.02, 0.3), difference=found_with(-0.02, -0.03, -0.01))
    unknown = replace(effect_of("mixup", 0.01, 1.0), difference=found_with(0.01, -0.01, 0.03))
    found = Findings([likely_bad, unknown], [])
    assert likely_bad.verdict == "undecided"
    assert proposed(plan, found) == Change([1, -1], sure=True)  # as it was
    tried = proposed(plan, found, likely=True)
    assert tried == Change([-1, -1], sure=False)
    good, none, bad = found_with(0.02, 0.01, 0.03), found_with(0.02, -0.01, 0.05), found_with(-0.02, -0.03, -0.01)
    assert [tried.adopted(found) for found in (good, none, bad, None)] == [True, False, False, False]
    # A verdict needs less: it stands unless full length contradicts it, and then nothing that is only likely is tried beside it.
    proven = Findings([likely_bad, replace(effect_of("mixup", 0.02, 1e-6))], [])
    sure = proposed(plan, proven, likely=True)
    assert sure == Change([1, 1], sure=True)
    assert [sure.adopted(found) for found in (good, none, bad, None)] == [True, True, False, True]


@pytest.mark.parametrize(("left", "seeds"), [((100, 55, 30), 3), ((100,) * 20, MOST_SEEDS), ((30,), 1)])
def test_more_fresh_seeds_are_taken_while_their_time_is_left(base, tmp_path, monkeypatch, left, seeds):
    """A pair of runs takes 50 s; the clock says what is left before each."""
    times = iter(left)
    runner = Runner(tmp_path, InProcess(Observer()), Clock(tmp_path / "clock.json", None, 0.0), Observer())
    monkeypatch.setattr(runner.clock, "left", lambda share=1.0: next(times))
    plan = make_plan(base, ["horizontal_flip"], design="add", budget="1h", seeds=None, metric="accuracy", jobs=1)
    made = []

    class Pairs(Confirmation):
        seconds = property(lambda self: 50.0 * len(self.before))

    def afresh(before, after, length, count, runner, metric, after_seeds=0):
        made.extend(range(after_seeds, after_seeds + count))
        return Pairs(metric, [None] * count, [None] * count, "test")

    monkeypatch.setattr(confirmation, "compare_afresh", afresh)
    monkeypatch.setattr(confirmation, "_length", lambda *given: (base.train.budget, 1))
    found = confirmation.confirm(plan, runner, [-1], base.train.budget, [])
    assert made == list(range(seeds))
    assert len(found.before) == len(found.after) == seeds
    # Called again, with no time left, it does the same.
    monkeypatch.setattr(runner.clock, "left", lambda share=1.0: 0.0)
    made.clear()
    runner = replace(runner)
    again = confirmation.confirm(plan, runner, [-1], base.train.budget, [])
    assert (made, len(again.before)) == (list(range(seeds)), seeds)


# --- time ---------------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_study_without_time_is_left_out_of_improve(base, data, tmp_path):
    told = []

    class Watch(Observer):
        def note(self, text):
            told.append(text)

    strong = base.with_methods(
        *(parse_method(name) for name in ("cutout", "mixup", "ema", "rotate", "label_smoothing", "warmup"))
    )
    found = whet.improve(
        data, plain=base, strong=strong, budget="12s", studying=True, out=tmp_path / "out", observer=Watch()
    )
    assert found.study is None
    assert any(text.startswith("no study of groups: ") for text in told)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"plain-s0", "strong-s0"}


# --- called again -----------------------------------------------------------------------------------------------------
class Fake:
    """An executor that writes finished runs: of 40 validation samples most are right, more with horizontal_flip. Ends with
    KeyboardInterrupt after `most` runs, as a study that is killed."""

    jobs = 1

    def __init__(self, seconds=100.0, most=None, leave_out=()):
        self.seconds, self.most, self.leave_out, self.made = seconds, most, leave_out, []

    def run(self, tasks):
        for task in map(refuse_other, tasks):
            run = RunFolder(task.path)
            if not run.finished:
                if self.most is not None and len(self.made) == self.most:
                    raise KeyboardInterrupt
                self.made.append(run.name)
                self._write(task, run, len(self.made) in self.leave_out)
            yield task

    def _write(self, task, run, short):
        run.path.mkdir(parents=True)
        run.requested.write_text(task.recipe.to_yaml())
        strict_json.write(run.data, {"fingerprint": task.data})
        good = 34 if "horizontal_flip" in task.recipe else 30
        luck = task.recipe.train.seed % 3
        wrong_N = np.arange(40) >= good + luck
        probs_NK = np.where(wrong_N[:, None], [0.2, 0.8], [0.8, 0.2])
        write_evidence(run, {"val": evidence(probs_NK, np.zeros(40, dtype=np.int64)).rows(np.arange(short, 40))})
        cost = {"total_seconds": self.seconds, "train_seconds": 0.9 * self.seconds, "epochs": 2, "steps": 4,
                "peak_memory_mib": 1.0, "seconds_per_sample": 0.1}  # fmt: skip
        strict_json.write(run.metrics, {"cost": cost, "val": {"accuracy": 0.8}, "task": "single-label"})
        run.done.write_text("")


def timed(base, folder, fake, passed, monkeypatch):
    """The evidence of a study of an hour after so many seconds of earlier work."""
    plan = make_plan(
        base, ["horizontal_flip", "cutout"], design="add", budget="1h", seeds=None, metric="accuracy", jobs=1
    )
    clock = Clock(folder / "clock.json", plan.seconds, 0.0)
    monkeypatch.setattr(clock, "spent", lambda: passed + fake.seconds * len(fake.made))
    runner = Runner(folder, fake, clock, Observer(), "the data")
    return Screening(plan, runner, base.train.budget).run()


class Paced(Fake):
    """A machine on which a run takes two seconds, and four for each epoch."""

    spent = 0.0

    def _write(self, task, run, short):
        self.seconds = self._take(task.recipe)
        super()._write(task, run, short)

    def probe(self, recipe, path, observer):
        run = RunFolder(path)
        run.path.mkdir(parents=True)
        total = self._take(recipe)
        strict_json.write(
            run.metrics, {"cost": {"total_seconds": total, "train_seconds": total - 2, "epochs": (total - 2) / 4}}
        )
        return run

    def _take(self, recipe):
        self.spent += 2 + 4 * recipe.train.budget.value
        return 2 + 4 * recipe.train.budget.value


def paced(base, folder, budget, machine, monkeypatch, share=0.97):
    """The evidence of a study by that machine's clock."""
    plan = make_plan(
        base, ["horizontal_flip", "cutout"], design="add", budget=budget, seeds=None, metric="accuracy", jobs=1
    )
    clock = Clock(folder / "clock.json", plan.seconds, 0.0)
    monkeypatch.setattr(clock, "spent", lambda: machine.spent)
    monkeypatch.setattr(screening_module, "resume_or_train", machine.probe)
    runner = Runner(folder, machine, clock, Observer(), "the data")
    return Screening(plan, runner, decide_length(plan, runner, share), share).run()


def test_a_budget_in_minutes_is_kept(base, tmp_path, monkeypatch):
    evidence = paced(base, tmp_path, "10m", machine := Paced(), monkeypatch)
    assert min(effect.row()["seeds"] for effect in evidence.effects) >= 5
    assert 0.85 * 600 <= machine.spent <= 0.97 * 600


def test_too_little_time_is_refused_with_what_it_takes(base, tmp_path, monkeypatch):
    """Nine runs of six seconds and the first run, which is to be 97 % of the time."""
    with pytest.raises(
        TooLittleTime, match=r"takes 3 runs with each of 3 seeds, with one epoch each about 1 minutes in total"
    ):
        paced(base, tmp_path, "30s", machine := Paced(), monkeypatch)
    assert machine.made == []


def table(evidence):
    return [effect.row() for effect in evidence.effects]


def test_a_timed_study_called_again_tells_the_same(base, tmp_path, monkeypatch):
    """The time is used up by the first call; the second makes no run and loses none."""
    first = timed(base, tmp_path, fake := Fake(), 0.0, monkeypatch)
    assert len(fake.made) == 21  # an eighth seed of three runs would be beyond 65 % of the hour
    again = timed(base, tmp_path, fake := Fake(), 3600.0, monkeypatch)
    assert fake.made == []
    assert table(again) == table(first)


def test_a_timed_study_that_was_killed_goes_on_to_the_same_table(base, tmp_path, monkeypatch):
    whole = timed(base, tmp_path / "whole", Fake(), 0.0, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        timed(base, tmp_path / "killed", Fake(most=10), 0.0, monkeypatch)
    again = timed(base, tmp_path / "killed", fake := Fake(), 1000.0, monkeypatch)
    assert len(fake.made) == 21 - 10
    assert table(again) == table(whole)


def test_a_sample_that_one_run_did_not_read_is_left_out_of_all(base, tmp_path, monkeypatch):
    told = timed(base, tmp_path, Fake(leave_out={5}), 0.0, monkeypatch)
    assert (told.samples, told.left_out) == (39, 1)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda one: replace(one, recipe=one.recipe.without("horizontal_flip")), "recipe"),
        (lambda one: replace(one, recipe=one.recipe.setting(seed=7)), "seed"),
        (lambda one: replace(one, data="other data"), "data"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_a_run_of_something_else_is_neither_reused_nor_gone_on_with(base, tmp_path, change, what, finished):
    task = PlannedRun(base, tmp_path / "run", data="the data")
    list(Fake().run([task]))
    if not finished:
        RunFolder(task.path).done.unlink()
    assert list(InProcess(Observer()).run([task] if finished else [])) == ([task] if finished else [])
    with pytest.raises(RunError, match=f"contains a run of another {what}; choose another --out"):
        list(InProcess(Observer()).run([change(task)]))


def test_a_study_whose_factors_never_ran_says_so(base, tmp_path):
    """All runs with the only factor fail: nothing is left to vary, and the table says what happened."""
    plan = make_plan(base, ["cutout"], design="screen", budget="2st", seeds=3, metric="accuracy", jobs=1)

    class Failing(Fake):
        def run(self, tasks):
            for task in tasks:
                if "cutout" in task.recipe:
                    task.path.mkdir(parents=True, exist_ok=True)
                    strict_json.write(task.failure, {"reason": "on purpose"})
                    yield task
                else:
                    yield from super().run([task])

    runner = Runner(tmp_path, Failing(), Clock(tmp_path / "clock.json", None, 0.0), Observer())
    (effect,) = Screening(plan, runner, base.train.budget).run().effects
    assert effect.sentence() == "cutout could not run: on purpose."


def test_the_test_samples_choose_nothing(base, tmp_path, monkeypatch):
    """The same validation answers, a test part that says the opposite: the recommended recipe is the same."""
    help_, hurt = found_with(0.02, 0.01, 0.03), found_with(-0.02, -0.03, -0.01)

    class Told(Confirmation):
        def on(self, part):
            return {"val": help_, "test": hurt}[part]

        def to_dict(self):
            return {}

    monkeypatch.setattr(study_module, "confirm", lambda *given: Told("accuracy", [], [], "test"))
    monkeypatch.setattr(study_module, "proposed", lambda *given, **options: Change([1], sure=False))
    monkeypatch.setattr(study_module, "build_study", lambda path: path / "report.html")
    found = whet.study(base, ["cutout"], design="add", budget="2st", seeds=1, out=tmp_path / "study")
    assert "cutout" in found.recommended
    assert found.confirmed == hurt
