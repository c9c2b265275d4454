"""Smaller models in place of a run's: what is tried, which one is taken, what is told."""

import csv
import json

import pytest
from tests.conftest import whet

from whet.bundle import Bundle
from whet.compressing import compress as engine
from whet.compressing.candidates import altered, trained
from whet.compressing.target import Target
from whet.core.errors import OutputError, RecipeError
from whet.core.language import Sentence
from whet.core.recipe import Recipe, parse_methods
from whet.exporting.trial import Candidate


def test_a_target_has_a_unit():
    assert Target.parse("latency=3ms").limit == 3
    assert Target.parse("latency=500us").limit == 0.5
    assert Target.parse("size=2MB") == Target("size", 2e6, "size=2MB")
    assert Target.parse("size=2MB").reached(99, 2e6) and not Target.parse("latency=3ms").reached(3.1, 1)
    for wrong in ("latency=3", "latency=3MB", "size=2ms", "speed=3ms", "latency=0ms", "3ms"):
        with pytest.raises(RecipeError, match="latency=3ms"):
            Target.parse(wrong)


def test_what_is_tried():
    recipe = Recipe(methods=parse_methods(["adamw", "tta", {"freeze": {"share": 0.5}}]))
    assert [(one.name, one.leave_out) for one in altered(recipe)] == [
        ("run", ()), ("one-view", ("tta",)), ("low-rank-0.95", ("tta",)),
    ]  # fmt: skip
    found = list(trained(recipe, "RUN", (0.3,), ("resnet9", "some/net@96"), "3ep"))
    assert [one.name for one in found] == ["pruned-30", "student-resnet9", "student-net-96"]
    pruned, student = found[0].recipe, found[2].recipe
    assert pruned.method("prune_structured").run == "RUN" and pruned.method("distill").teacher == "RUN"
    assert "freeze" not in pruned and str(pruned.train.budget) == "3ep"
    assert student.model.architecture == "some/net" and student.train.image_size == 96
    with pytest.raises(RecipeError, match="PIXELS"):
        list(trained(recipe, "RUN", (), ("net@big",), None))


def model(name: str, cost: float, milliseconds: float, size: int) -> engine.Model:
    return engine.Model(
        name, Sentence(name), 1 - cost, cost, cost, cost, milliseconds, size, None, Candidate(Sentence(""), b"")
    )


def test_the_best_are_behind_no_other():
    """By comparison with all pairs, on twenty models."""
    made = [model(f"m{k}", (k * 7 % 5) / 10, 1 + k * 11 % 7, 100 + k * 13 % 9) for k in range(20)]
    rows = {row["name"]: row for row in engine._rows(made, Target.parse("latency=3ms"))}
    assert [row["milliseconds"] for row in engine._rows(made, None)] == sorted(one.milliseconds for one in made)
    for one in made:
        behind = [
            other for other in made
            if other.cost <= one.cost and other.milliseconds <= one.milliseconds and other.bytes <= one.bytes
            and (other.cost, other.milliseconds, other.bytes) != (one.cost, one.milliseconds, one.bytes)
        ]  # fmt: skip
        assert rows[one.name]["best"] == (not behind)
        assert rows[one.name]["reached"] == (one.milliseconds <= 3)


@pytest.fixture(scope="module")
def compressed(finished_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("compress") / "out"
    words = ("--target", "size=0.9MB", "--prune", "none", "--student", "lenet", "--budget", "1ep")
    done = whet("compress", finished_run, "--out", out, *words, "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.sample
def test_the_best_model_within_the_target_becomes_a_bundle(compressed):
    out, told = compressed
    rows = {row["name"]: row for row in told["rows"]}
    assert {"run", "run-int8", "student-lenet"} <= rows.keys()
    assert rows["run"]["cost"] == 0
    assert rows["run-int8"]["bytes"] < 0.4 * rows["run"]["bytes"]
    able = [row for row in told["rows"] if row["bytes"] <= 0.9e6]
    assert rows[told["chosen"]]["cost"] == min(row["cost"] for row in able)
    bundle = Bundle.read(out / "bundle")
    assert (out / "bundle" / "model.onnx").stat().st_size <= 0.9e6 and bundle.check_golden() == []
    assert told["test"]["cost"] == pytest.approx(told["test"]["before"] - told["test"]["after"])
    page = (out / "report.html").read_text()
    assert "size=0.9MB" in page and "student-lenet" in page
    with (out / "models.csv").open() as lines:
        assert [row["name"] for row in csv.DictReader(lines)] == [row["name"] for row in told["rows"]]


@pytest.mark.slow
@pytest.mark.sample
def test_a_finished_folder_is_not_written_again(compressed, finished_run):
    out, _ = compressed
    with pytest.raises(OutputError, match="already holds a finished compression"):
        engine.compress(finished_run, out)


@pytest.mark.slow
def test_a_target_out_of_reach_is_told(finished_run, tmp_path):
    done = whet("compress", finished_run, "--out", tmp_path / "out", "--target", "size=1kB", "--prune", "none")
    assert done.returncode == 1
    assert "no model reaches size=1kB" in done.stdout
    assert not (tmp_path / "out" / "bundle").exists()
