"""Pseudo-labels of masks, texts and audio clips, in runs from start to end."""

import csv
import signal

import numpy as np
import pytest
from tests.end_to_end import test_segmentation
from tests.end_to_end.test_audio_runs import write_audio
from tests.end_to_end.test_texts import write_texts

from whet.core.masks import IGNORE
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.data.read import read_data
from whet.methods import PseudoLabel
from whet.training.job import resume_run, train_run
from whet.training.log import Observer
from whet.training.pseudo_labels import with_pseudo_labels
from whet.training.signals import Interrupted


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    root = tmp_path_factory.mktemp("masks")
    data = test_segmentation.make_pairs(root / "data")
    more = test_segmentation.make_pairs(root / "more", count=12, size=(44, 40)) / "images"
    method = {"pseudo_label": {"rounds": 1, "threshold": 0.6, "share": 0.8}}
    found = test_segmentation.recipe(data, method, budget="4ep")
    return found.replace(data=found.data.replace(unlabelled=str(more)))


@pytest.fixture(scope="module")
def mask_run(masks, tmp_path_factory):
    return train_run(masks, tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.slow
@pytest.mark.sample
def test_sure_pixels_are_labelled_and_others_ignored(masks, mask_run):
    record = mask_run.read_json(mask_run.metrics)["pseudo_labels"]
    table = with_pseudo_labels(mask_run, read_data(masks.data))
    train = table.part("train").frame
    made = train[train["id"].str.startswith("unlabelled/")]
    assert len(made) == record["chosen"] <= 12 and 0 < record["labelled"] <= 0.85  # a share of 0.8, in steps
    known, right = 0, 0
    for row in made.itertuples():
        map_HW = row.masks.class_map()
        number = int(row.path.rpartition("/")[2].removesuffix(".png"))
        real_HW = test_segmentation.Image.open(row.path.replace("/images/", "/masks/"))
        real_HW = np.asarray(real_HW)
        assert map_HW.shape == (44, 40) and number < 12
        compared = (map_HW != IGNORE) & (real_HW != IGNORE)
        known, right = known + compared.sum(), right + (map_HW == real_HW)[compared].sum()
    assert right / known > 0.9
    assert sum(sum(counts.values()) for counts in mask_run.read_json(mask_run.data)["counts"].values()) > 0
    for split in ("val", "test"):
        assert not table.part(split).frame["id"].str.startswith("unlabelled/").any()


@pytest.mark.slow
def test_a_resumed_run_trains_on_the_labels_of_its_folder(masks, mask_run, tmp_path, monkeypatch):
    class Stopper(Observer):
        phases: list[str] = []

        def phase(self, text):
            self.phases.append(text)

        def step(self, record):
            if record["step"] == 8 and "training the main model" in self.phases:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        train_run(masks, tmp_path / "cut", observer=Stopper())
    monkeypatch.setattr(PseudoLabel, "least_confidences", lambda *given: pytest.fail("they are labelled again"))
    resume_run(tmp_path / "cut")
    same = [(run.model / "whet.safetensors").read_bytes() for run in (RunFolder(tmp_path / "cut"), mask_run)]
    assert same[0] == same[1]


@pytest.mark.slow
def test_texts_with_a_noisy_student(tmp_path):
    data = write_texts(tmp_path / "texts.csv")
    with (tmp_path / "more.csv").open("w", newline="", encoding="utf-8") as handle:
        rows = [
            [f"Here we have {word} {number} again, do we not?"] for number in range(9) for word in ("a jar", "a can")
        ]
        csv.writer(handle).writerows([["text"], *rows])
    run = train_run(
        Recipe.from_dict(
            {
                "task": "text-classification",
                "data": {"path": str(data), "unlabelled": str(tmp_path / "more.csv")},
                "model": {"architecture": "fast_text", "weights": "none"},
                "train": {"budget": "3ep", "batch_size": 8, "precision": "fp32", "torch_threads": 1},
                "methods": [{"adamw": {"lr": 0.01}}, {"noisy_student": {"threshold": 0.4}}, "temperature_scaling"],
            }
        ),
        tmp_path / "run",
    )  # fmt: skip
    record = run.read_json(run.metrics)["pseudo_labels"]
    assert 0 < record["chosen"] <= 18 and record["temperature"] > 0


@pytest.mark.slow
def test_audio_clips_with_label_spreading(tmp_path):
    data, more = write_audio(tmp_path / "data", 12), write_audio(tmp_path / "more", 14)
    run = train_run(
        Recipe.from_dict(
            {
                "task": "audio-classification",
                "data": {"path": str(data), "unlabelled": str(more)},
                "model": {"architecture": "audio_cnn", "weights": "none"},
                "train": {"budget": "1ep", "batch_size": 8, "precision": "fp32", "torch_threads": 1},
                "methods": ["label_spreading"],
            }
        ),
        tmp_path / "run",
    )  # fmt: skip
    notes = run.read_json(run.metrics)["notes"]
    assert not any("label_spreading has no effect" in note or "are not used" in note for note in notes)
