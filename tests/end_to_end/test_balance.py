"""Methods that touch a whole run: rows chosen before it, a head fitted after it, numbers kept with its model."""

import json
import shutil

import pytest
import yaml
from tests.conftest import train_small, whet, write_images

from whet.core.run_folder import RunFolder


def recipe(path, *methods):
    path.write_text(yaml.safe_dump({"methods": [*methods, {"sgd": {"lr": 0.05}}]}))
    return path


@pytest.fixture
def uneven(tmp_path):
    """Three uneven classes, one image filed under two of them; the split it goes to is reported."""
    data = tmp_path / "data"
    for part, counts in (("train", {"glass": 24, "metal": 12, "paper": 6}), ("val", {"glass": 9, "metal": 6, "paper": 5}),
                         ("test", {"glass": 4, "metal": 4, "paper": 4})):  # fmt: skip
        write_images(data / part, counts, seed=len(part))
    (data / "train" / "metal" / "odd.png").write_bytes((data / "train" / "glass" / "000.png").read_bytes())
    return data


@pytest.mark.slow
@pytest.mark.sample
def test_a_run_with_rows_chosen_noise_weighed_a_new_head_and_thresholds(uneven, tmp_path):
    methods = ("drop_conflicts", "oversample", "confident_learning", "classifier_retraining", "threshold_tuning")
    chosen = recipe(tmp_path / "r.yaml", *methods, "temperature_scaling")
    done = train_small(uneven, tmp_path / "run", "--recipe", chosen)
    assert done.returncode == 0, done.stderr
    run = RunFolder(tmp_path / "run")
    assert run.read_json(run.data)["counts"]["train"] == {"glass": 23, "metal": 23, "paper": 23}
    kinds = {finding["kind"] for finding in run.read_json(run.data)["findings"]}
    assert not kinds & {"exact duplicates", "label conflict"}
    notes = run.read_json(run.metrics)["notes"]
    assert "drop_conflicts: 43 training rows became 41" in notes
    assert "oversample: 41 training rows became 69" in notes
    fitted = json.loads((run.model / "whet.json").read_text())["fitted"]
    assert len(fitted["threshold_tuning"]["offsets"]) == 3
    done = whet("predict", run.path, uneven / "test" / "paper", "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_run_learns_from_another_and_goes_on_only_with_the_same_teacher(uneven, tmp_path):
    assert train_small(uneven, tmp_path / "teacher", "--recipe", recipe(tmp_path / "t.yaml")).returncode == 0
    teacher = {"teacher": str(tmp_path / "teacher")}
    chosen = recipe(tmp_path / "s.yaml", "mixup", {"distill": teacher}, {"feature_distill": teacher})
    done = train_small(uneven, tmp_path / "student", "--recipe", chosen)
    assert done.returncode == 0, done.stderr
    stopped = RunFolder(tmp_path / "student")  # as it lies before its last file is written
    shutil.copytree(stopped.model, stopped.start)
    stopped.done.unlink()
    (tmp_path / "teacher").rename(tmp_path / "elsewhere")
    gone = whet("train", "--resume", tmp_path / "student")
    assert gone.returncode == 1
    assert "no finished run found there" in gone.stderr
    assert (
        train_small(uneven, tmp_path / "teacher", "--recipe", recipe(tmp_path / "t.yaml"), "--seed", "5").returncode
        == 0
    )
    other = whet("train", "--resume", tmp_path / "student")
    assert other.returncode == 1
    assert "not those that this training started with" in other.stderr
