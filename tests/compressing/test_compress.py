"""Smaller models in place of a run's: what is tried, which one is taken, what is told."""

import csv
import json

import pytest
from onnx import TensorProto, load
from tests.conftest import whet
from tests.end_to_end.test_segmentation import make_pairs
from tests.end_to_end.test_segmentation import recipe as of_masks
from tests.end_to_end.test_texts import write_texts

import whet as package
from whet.bundle import Bundle
from whet.compressing import compress as engine
from whet.compressing.candidates import plans
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
    found = {one.name: one for one in plans(recipe, "RUN", (0.3,), ("resnet9", "some/net@96"), "3ep")}
    assert list(found) == [
        "run",
        "one-view",
        "low-rank-0.95",
        "rounded",
        "pruned-30",
        "student-resnet9",
        "student-net-96",
    ]
    assert found["run"].leave_out == () and all(one.leave_out == ("tta",) for one in list(found.values())[1:])
    rounded = found["rounded"].recipe
    assert rounded.method("from_run").run == "RUN" and rounded.method("quantize_aware").share == 1
    assert "rounded" not in [
        one.name for one in plans(recipe, "RUN", (0.3,), (), None)
    ]  # only with a budget of its own
    pruned, student = found["pruned-30"].recipe, found["student-net-96"].recipe
    assert pruned.method("prune_structured").run == "RUN" and pruned.method("distill").teacher == "RUN"
    assert "freeze" not in pruned and str(pruned.train.budget) == "3ep"
    assert student.model.architecture == "some/net" and student.train.image_size == 96
    with pytest.raises(RecipeError, match="PIXELS"):
        list(plans(recipe, "RUN", (), ("net@big",), None))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("image-classification", ["run", "low-rank-0.95", "pruned-30", "pruned-50", "pruned-70"]),
        ("text-classification", ["run", "low-rank-0.95"]),
        ("semantic-segmentation", ["run", "low-rank-0.95", "pruned-30", "pruned-50", "pruned-70"]),
        ("instance-segmentation", ["run", "low-rank-0.95"]),
    ],
)
def test_only_what_applies_to_the_task_is_tried(task, expected):
    found = list(plans(Recipe(task=task, methods=parse_methods(["adamw"])), "RUN", None, ("some/net",), None))
    assert [one.name for one in found] == [*expected, "student-net"]
    assert ("distill" in found[-1].recipe) == task.endswith("classification")
    if task == "text-classification":
        with pytest.raises(RecipeError, match="prune_structured"):
            list(plans(Recipe(task=task, methods=parse_methods(["adamw"])), "RUN", (0.3,), (), None))


def test_an_unknown_student_is_refused_before_anything_is_trained():
    with pytest.raises(RecipeError, match="unknown architecture 'mobilenet_v9'"):
        list(plans(Recipe(methods=parse_methods(["adamw"])), "RUN", (), ("mobilenet_v9@96",), None))


def model(name: str, cost: float, milliseconds: float, size: int) -> engine.Model:
    return engine.Model(
        name, Sentence(name), 1 - cost, cost, cost, cost, milliseconds, size, Candidate(Sentence(""), b""), None, None
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
    assert {"run", "run-int8", "rounded-int8", "student-lenet"} <= rows.keys()
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


def in_int8(bundle) -> bool:
    return any(one.data_type == TensorProto.INT8 for one in load(bundle / "model.onnx").graph.initializer)


@pytest.mark.slow
@pytest.mark.sample
def test_of_a_text_run_the_model_in_int8_is_handed_over_in_int8(tmp_path):
    data = write_texts(tmp_path / "waste.csv")
    run = package.train(data, architecture="text_transformer", budget="1ep", out=tmp_path / "run")
    size = (package.export(run, tmp_path / "float").path / "model.onnx").stat().st_size
    found = package.compress(run, tmp_path / "out", target=f"size={0.7 * size / 1e3:.0f}kB")
    assert found.chosen in ("run-int8", "run-int8-2")
    assert in_int8(found.bundle) and not in_int8(tmp_path / "float")
    row = next(row for row in found.rows if row["name"] == found.chosen)
    assert (found.bundle / "model.onnx").stat().st_size == row["bytes"]


@pytest.mark.slow
def test_a_run_of_masks(tmp_path):
    data = make_pairs(tmp_path / "masks")
    run = package.train(data, recipe=of_masks(data, budget="2ep"), out=tmp_path / "run")
    found = package.compress(run, tmp_path / "out", target="latency=9s", shares=())
    names = {row["name"] for row in found.rows}
    assert {"run", "run-int8"} <= names and found.chosen in names
    assert all(row["milliseconds"] > 0 for row in found.rows)


@pytest.mark.slow
def test_a_run_of_another_budget_is_not_taken_for_this_one(finished_run, tmp_path):
    words = ("--prune", "none", "--student", "lenet")
    assert whet("compress", finished_run, "--out", tmp_path / "out", *words, "--budget", "1ep").returncode == 0
    (tmp_path / "out" / "compress.json").unlink()  # as if it had been stopped
    done = whet("compress", finished_run, "--out", tmp_path / "out", *words, "--budget", "2ep")
    assert done.returncode != 0 and "contains a run of another recipe" in done.stderr
