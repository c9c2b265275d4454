"""The benchmark of methods places every method, makes its data by the stated rules, and draws the right conclusions from runs."""

import base64
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whet.core.measured import Measured
from whet.core.registry import registry
from whet.core.stages import Stage

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import method_placements  # noqa: E402
import method_results  # noqa: E402
import method_settings  # noqa: E402
from method_runs import Run, Runs  # noqa: E402

PLAIN = {name: setting.plain(Path("table.csv")) for name, setting in method_settings.SETTINGS.items()}


# --- placements -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cls", list(registry()), ids=lambda cls: cls.name)
def test_every_method_is_placed_and_its_recipes_can_be_made(cls):
    placement = method_placements.place(cls)
    not_placed = (
        *method_placements.MODELS_NEEDED,
        *method_placements.UNLABELLED_NEEDED,
        *method_placements.COMPRESSING,
    )
    if not cls.tasks & set(method_placements.BY_TASK) or cls.name in not_placed:
        assert placement.settings == ()
        return
    assert len(placement.settings) >= 2
    for name in placement.settings:
        helpers = {helper: f"runs/{helper}" for helper in method_settings.SETTINGS[name].helpers}
        found = method_placements.candidates(cls, placement, PLAIN[name], helpers)
        other = method_placements.without(cls, placement, PLAIN[name])
        for recipe in found:
            assert cls.name in recipe
            assert cls.name not in other or recipe.method(cls.name) != other.method(cls.name)
            assert sum(method.stage is Stage.OPTIMIZER for method in recipe.methods) == 1
        assert len({recipe.hash for recipe in found}) == len(found)


def test_a_method_without_a_rule_is_an_error():
    class Unheard(registry().get("mixup"), family="semi", tasks={"image-classification"}):
        pass

    class Idle(registry().get("mixup"), family="mix", tasks={"image-classification"}):
        alpha: float = 0.0

    with pytest.raises(method_placements.NoRule, match="no rule for the family 'semi'"):
        method_placements.place(Unheard)
    with pytest.raises(method_placements.NoRule, match="its defaults change nothing"):
        method_placements.place(Idle)


def test_an_optimizer_has_three_rates_to_choose_from_and_a_second_order_one_its_own():
    rates = {}
    for name in ("adamw", "sgd", "lbfgs"):
        cls = registry().get(name)
        found = method_placements.candidates(cls, method_placements.place(cls), PLAIN["digits"], {})
        rates[name] = [recipe.method(name).settings_dict()["lr"] for recipe in found]
    assert rates == {"adamw": [1e-3, 3e-3, 1e-2], "sgd": [0.1, 0.3, 1.0], "lbfgs": [1.0]}


@pytest.mark.parametrize("name, there", [("jsd_consistency", "augmix"), ("swa", "constant"), ("cosine", "sgd")])
def test_the_other_side_differs_by_the_method_alone(name, there):
    cls = registry().get(name)
    placement = method_placements.place(cls)
    (recipe,) = method_placements.candidates(cls, placement, PLAIN["digits"], {})
    other = method_placements.without(cls, placement, PLAIN["digits"])
    assert set(recipe.methods) == {*other.methods, recipe.method(name)}
    assert there in recipe


def test_a_schedule_takes_the_place_of_the_plain_one():
    cls = registry().get("linear")
    (recipe,) = method_placements.candidates(cls, method_placements.place(cls), PLAIN["digits"], {})
    assert "cosine" not in recipe


# --- data -------------------------------------------------------------------------------------------------------------
def test_a_long_tail_falls_by_one_factor_from_class_to_class():
    images = method_settings.ImageSamples(train={"c": [], "a": [], "b": []}, val={}, test={})
    assert method_settings.uneven(images, 100) == {"a": 100, "b": 14, "c": 2}


@pytest.fixture
def table(tmp_path):
    rows = []
    for split, count in (("train", 20), ("test", 5)):
        for label in "abc":
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(count):
                path = tmp_path / split / label / f"{i}.png"
                path.write_bytes(f"{split}{label}{i}".encode())
                rows.append({"file": str(path), "label": label, "split": split})
    return pd.DataFrame(rows)


def test_a_fifth_of_the_training_labels_is_wrong_wherever_the_data_lie(table):
    noisy = method_settings.with_wrong_labels(table, 20)
    wrong = noisy["label"] != table["label"]
    assert wrong.sum() == 12
    assert (noisy["split"][wrong] == "train").all()
    assert set(noisy["label"]) == set("abc")
    moved = table.assign(file=["/elsewhere/" + Path(file).name for file in table["file"]])
    assert method_settings.with_wrong_labels(moved, 20)["label"].tolist() == noisy["label"].tolist()


def test_images_filed_twice_have_the_same_content_and_another_class(table, tmp_path):
    twice = method_settings.with_images_filed_twice(table, tmp_path / "copies", 10)
    assert twice.iloc[: len(table)].equals(table)
    added = twice.iloc[len(table) :]
    assert len(added) == 6
    by_content = {Path(file).read_bytes(): label for file, label in zip(table["file"], table["label"])}
    for file, label in zip(added["file"], added["label"]):
        assert by_content[Path(file).read_bytes()] != label
    assert set(added["split"]) == {"train"}


# Shrinking TrashNet takes a while; its tables are made as the others are.
@pytest.mark.parametrize("name", [name for name in sorted(PLAIN) if not name.startswith("trashnet")])
def test_the_settings_keep_their_parts_apart(name, shared, tmp_path, monkeypatch):
    monkeypatch.setattr(method_settings, "FOLDER", tmp_path)
    method_settings.digits.cache_clear()
    table = method_settings.SETTINGS[name].rows()
    content = "text" if "text" in table else "file"
    parts = {split: set(rows[content]) for split, rows in table.groupby("split")}
    assert set(parts) == {"train", "val", "test"}
    learnt, other = parts["train"], parts["val"] | parts["test"]
    assert not learnt & other, "a sample stands in two parts"
    if content == "file":
        assert sum(map(len, parts.values())) == len(table)
    assert table.groupby("split")["label"].nunique().eq(table["label"].nunique()).all()


# --- runs and conclusions ---------------------------------------------------------------------------------------------
def run(key="m", seed=0, right=80, **changes):
    """100 test samples of 10 classes, of which the first `right` are answered rightly."""
    label_N = np.arange(100) % 10
    predicted = np.where(np.arange(100) < right, label_N, (label_N + 1) % 10)
    losses = base64.b64encode(np.full(100, 1 - right / 100, np.float16).tobytes()).decode()
    answers = "".join(map(str, predicted))
    values = {"repeat": 0, "at": 0.0, "answers": answers, "losses": losses, "seconds": 2.0, "image_seconds": 0.001}
    return Run(key=key, seed=seed, **(values | changes))


def test_runs_survive_a_kill_and_are_known_again(tmp_path):
    runs = Runs(tmp_path / "runs.jsonl")
    runs.add(run("a", 0))
    runs.add(run("a", 1))
    runs.add(run("b", 0, refused="it has nothing to change", answers="", losses=""))
    with (tmp_path / "runs.jsonl").open("a") as handle:
        handle.write('{"key": "half')
    again = Runs(tmp_path / "runs.jsonl")
    assert again.seeds("a") == [0, 1]
    assert again.seeds("b") == []
    assert again.refused("b") == "it has nothing to change"
    assert again.get("a", 1) == runs.get("a", 1)
    again.add(run("c", 0))
    again.forget({"a"})
    third = Runs(tmp_path / "runs.jsonl")
    assert third.seeds("a") == []
    assert third.seeds("c") == [0]


def test_the_same_run_that_answers_otherwise_stops_the_comparison(tmp_path):
    runs = Runs(tmp_path / "runs.jsonl")
    runs.add(run("a", 0, right=80))
    runs.add(run("a", 0, right=80, at=9.0))
    with pytest.raises(RuntimeError, match="cannot be paired"):
        runs.add(run("a", 0, right=81))


def test_differences_have_the_sign_of_the_metric_and_its_verdict():
    label_N = np.arange(100) % 10
    a, b = [run(seed=s, right=60 + s) for s in range(3)], [run(seed=s, right=80 + s) for s in range(3)]
    for metric, verdict in (("accuracy", "helps"), ("macro_f1", "helps"), ("log_loss", "helps")):
        assert method_results.difference(metric, a, b, label_N).verdict == verdict
        assert method_results.difference(metric, b, a, label_N).verdict == "hurts"
    assert method_results.difference("accuracy", a, b, label_N).mean == pytest.approx(0.2)
    assert method_results.value("accuracy", a[0], label_N) == pytest.approx(0.6)
    assert method_results.value("log_loss", a[0], label_N) == pytest.approx(0.4, abs=1e-3)


def test_cost_is_told_in_plain_runs_of_the_same_time():
    """The machine is half as fast in the second hour."""
    paces = [run(at=at, seconds=2.0) for at in (0, 1, 2)] + [run(at=at, seconds=4.0) for at in (3600, 3601, 3602)]
    plain, method = [run(at=1.0, seconds=2.0)], [run(at=3601.0, seconds=6.0)]
    assert method_results._ratio(plain, method, paces, "seconds") == pytest.approx(1.5)


def test_holm_lets_stand_what_is_sure_among_all_that_was_tried():
    rows = {"a": [{"p": 0.001, "verdict": "helps"}, {"p": 0.04, "verdict": "hurts"}],
            "b": [{"p": 0.012, "verdict": "helps"}, {"verdict": "cannot act"}]}  # fmt: skip
    method_results._mark_certain(rows)
    assert [row.get("certain") for row in (*rows["a"], *rows["b"])] == [True, True, True, None]
    rows["b"][0]["p"] = 0.03
    method_results._mark_certain(rows)
    assert [row.get("certain") for row in (*rows["a"], *rows["b"])] == [True, False, False, None]


RESULTS = {
    "settings": {
        "digits": {
            "title": "digits", "images": {"train": 250, "val": 200, "test": 1347}, "network": "resnet9_slim",
            "plain": [{"sgd": {"lr": 0.03}}], "budget": "20ep", "batch_size": "32", "image_size": "16", "helpers": {},
        }
    },
    "methods": {
        "ema": [
            {"setting": "digits", "how": "", "verdict": "helps", "metric": "accuracy", "plain": 0.9, "effect": 0.014,
             "low": 0.003, "high": 0.025, "p": 0.0001, "seeds": 3, "time": 1.02, "inference_time": 1.0, "certain": True}
        ],
        "copy_paste": [{"setting": "", "how": "", "verdict": "cannot act", "reason": "for segmentation"}],
    },
}  # fmt: skip


def test_the_section_of_the_log_takes_the_place_of_the_last_one():
    section = method_results.section(RESULTS)
    assert "| ema | helps on 1 | digits **+1.4 (+0.3 … +2.5)** | × 1.02 |" in section
    assert "| copy_paste | cannot act on 1 |  |  |" in section
    log = method_results.with_section("# Log\n\nold text\n", "first")
    again = method_results.with_section(log + "later text\n", section)
    assert again.startswith("# Log\n\nold text\n")
    assert again.rstrip().endswith("later text")
    assert "first" not in again
    assert again.count("## Every method") == 1


def test_a_line_of_measured_json_is_the_row_again():
    import json

    for rows in method_results.measured_rows(RESULTS).values():
        for row in rows:
            assert Measured(**json.loads(method_results._line(row))) == row
