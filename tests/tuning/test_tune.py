"""A tuning as a person makes it: trials that fail, one that is stopped, the confirmation, and the page."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import whet
from tests.report.english import english_sentences
from tests.studies import runs

from whet.core.errors import RecipeError, RunError
from whet.core.language import in_language
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.evaluate.difference import crossed_interval
from whet.report import build_tuning
from whet.tuning.space import place
from whet.tuning.tune import tune

ROOT = Path(__file__).resolve().parents[2]
# LeNet fails on images of 8 px.
SEARCHES = ("adamw.lr=0.0001:0.03:log", "model.architecture=lenet,resnet9_slim")
TRIALS = 6

pytestmark = pytest.mark.usefixtures("painted")


def recipe(root):
    """With a learning rate that is far too small."""
    return place(runs.recipe(root / "images"), {"adamw.lr": 1e-4})


def tuned(root, **changes):
    asked = {"budget": "2ep", "trials": TRIALS, "out": root / "tune", **changes}
    searches = asked.pop("searches", SEARCHES)
    return tune(recipe(root), (), searches, **asked)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = tmp_path_factory.mktemp("tune")
    runs.images(root)
    return tuned(root)


def summary(frame):
    """Everything but the times."""
    return frame.drop(columns="seconds")


def right(run, split):
    frame = run.read_predictions()
    frame = frame[frame["split"] == split].sort_values("id")
    return (frame["label"] == frame["predicted"]).to_numpy()


def test_every_trial_has_a_row_and_a_failing_one_stops_no_other(found):
    assert found.trials["trial"].tolist() == list(range(TRIALS))
    first = found.trials.iloc[0]
    assert (first["adamw.lr"], first["model.architecture"], first["state"]) == (1e-4, "resnet9_slim", "finished")
    failed = found.trials[found.trials["state"] == "failed"]
    assert 0 < len(failed) < TRIALS
    assert set(failed["model.architecture"]) == {"lenet"}
    story = json.loads((found.path / "tuning.json").read_text())
    assert all("ernel size" in story["failures"][name] for name in failed["run"])
    assert len(pd.read_csv(found.path / "trials.csv")) == TRIALS


def test_scores_are_those_of_the_validation_samples_and_no_trial_sees_a_test_sample(found):
    for row in found.trials[found.trials["state"] == "finished"].to_dict("records"):
        run = RunFolder(found.path / "runs" / row["run"])
        assert row["score"] == pytest.approx(right(run, "val").mean())
        assert set(run.read_predictions()["split"]) == {"val"}
        assert Recipe.load(run.recipe).method("adamw").lr == row["adamw.lr"]
        assert Recipe.load(run.recipe).train.seed == 0


def test_the_winner_is_confirmed_with_three_fresh_seeds_and_the_test_chooses_nothing(found):
    assert found.tuned.method("adamw").lr > 1e-4
    best = found.trials[found.trials["state"] == "finished"].sort_values("score").iloc[-1]
    assert found.trials.loc[found.trials["adamw.lr"] == found.tuned.method("adamw").lr, "score"].max() == best["score"]
    made = [RunFolder(path.parent) for path in (found.path / "runs").glob("*-s100?/DONE")]
    sides = {False: {}, True: {}}
    for run in made:
        recipe = Recipe.load(run.requested)
        sides[recipe.method("adamw").lr == found.tuned.method("adamw").lr][recipe.train.seed] = run
    assert all(set(side) == {1000, 1001, 1002} for side in sides.values())
    difference = {
        part: np.stack([right(sides[True][s], part).astype(float) - right(sides[False][s], part) for s in (1000, 1001, 1002)])
        for part in ("val", "test")
    }  # fmt: skip
    by_hand = crossed_interval(difference["test"])
    assert (found.confirmed.mean, found.confirmed.low) == pytest.approx((by_hand.mean, by_hand.low))
    assert (found.recommended == found.tuned) == (difference["val"].mean() > 0)
    assert Recipe.load(found.path / "recommended.yaml") == found.recommended
    assert Recipe.load(found.path / "tuned.yaml") == found.tuned


def test_the_page_tells_it_all(found):
    page = found.report.read_text()
    for text in (
        "Confirmation",
        "Importance of the settings",
        "adamw.lr",
        "best so far",
        "new seeds",
        "kernel size",
        "lenet",
        "adamw:",
    ):
        assert text.lower() in page.lower(), text
    before = page
    found.report.unlink()
    assert build_tuning(found.path).read_text() == before


def test_the_page_in_chinese(found):
    with in_language("zh"):
        page = build_tuning(found.path).read_text(encoding="utf-8")
    build_tuning(found.path)
    assert "设置的重要性" in page
    assert english_sentences(page, "ernel size") == []  # the reasons of the runs that failed


def test_what_a_notebook_shows_of_it(found):
    html = found._repr_html_()
    assert "adamw.lr" in html and "best trial" in html
    assert repr(found) == f"Tuning({str(found.path)!r}, {len(found.trials)} trials)"
    assert len(found.plot_trials().axes[0].lines) >= 2
    with pytest.raises(RunError, match="too few trials"):
        found.plot_importances()
    with in_language("zh"):
        assert english_sentences(found._repr_html_()) == []


def test_called_again_nothing_is_made_again_and_other_values_are_refused(found):
    kept = {path: path.stat().st_mtime_ns for path in found.path.glob("runs/*/DONE")}
    again = tuned(found.path.parent)
    assert kept == {path: path.stat().st_mtime_ns for path in found.path.glob("runs/*/DONE")}
    pd.testing.assert_frame_equal(again.trials, found.trials)
    assert again.confirmed == found.confirmed
    with pytest.raises(
        RunError,
        match=r"contains a tuning with different settings(.|\n)*-  adamw.lr: 0.0001 … 0.03, log"
        r"(.|\n)*\+  adamw.lr: 0.0001 … 0.03\n?",
    ):
        tuned(found.path.parent, searches=("adamw.lr=0.01:0.03", SEARCHES[1]))
    with pytest.raises(RunError, match=r"-each: 2ep(.|\n)*\+each: 3ep"):
        tuned(found.path.parent, budget="3ep")


def test_trials_of_data_that_changed_since_are_not_taken_for_trials_of_these(tmp_path):
    runs.images(tmp_path)
    asked = {"searches": SEARCHES[:1], "trials": 1, "budget": "1ep"}
    tuned(tmp_path, **asked)
    first, second, *_ = sorted((tmp_path / "images" / "glass").iterdir())
    first.write_bytes(second.read_bytes())
    with pytest.raises(RunError, match=r"contains a tuning with different settings(.|\n)*-data: (.|\n)*\+data: "):
        tuned(tmp_path, **asked)


def test_a_second_process_is_refused(found):
    with RunFolder(found.path).lock(), pytest.raises(RunError, match="is in use by process"):
        tuned(found.path.parent)


def test_mistakes_are_told_before_anything_is_trained(tmp_path):
    runs.images(tmp_path)
    with pytest.raises(RunError, match="Did you mean 'macro_f1'"):
        tuned(tmp_path, metric="macro_f")
    with pytest.raises(RecipeError, match="unknown method 'mixup' in this recipe"):
        tune(runs.recipe(tmp_path / "images"), ["mixup"], out=tmp_path / "tune")
    assert not (tmp_path / "tune").exists()


@pytest.mark.slow
def test_two_at_a_time_by_the_command_line_within_a_time(tmp_path):
    runs.images(tmp_path)
    (tmp_path / "recipe.yaml").write_text(recipe(tmp_path).to_yaml())
    words = ["tune", tmp_path / "images", "--recipe", tmp_path / "recipe.yaml", "--search", SEARCHES[0], "--jobs", 2]
    done = whet(*words, "--trials", 6, "--budget", "90s", "--out", tmp_path / "tune", "--json")
    assert done.returncode == 0, done.stderr
    plain = json.loads(done.stdout)
    assert [trial["trial"] for trial in plain["trials"]] == list(range(len(plain["trials"])))
    assert "finished" in plain["trials"][0]["state"]
    assert (tmp_path / "tune" / "report.html").is_file()


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/tuning")
import test_tune
test_tune.tuned(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_it_had_not_been(found, tmp_path):
    """After so many lines of log more as were drawn once and for all. The journal, the runs and what is confirmed outlive the
    driver."""
    runs.images(tmp_path)
    words = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    for lines in 1 + Rng(3).batch("moments", 0, np.arange(10)).integers(20):
        with subprocess.Popen(words, cwd=ROOT) as driver:
            runs.kill_when_logged(driver, tmp_path / "tune" / "runs", lines)
    again = tuned(tmp_path)
    pd.testing.assert_frame_equal(summary(again.trials), summary(found.trials))
    assert again.recommended.methods == found.recommended.methods
    assert again.confirmed == found.confirmed
