"""Runs of every medium and task, exported. Each is trained for a moment only: what counts is that both sides predict the same."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import train_small, write_images
from tests.end_to_end.test_audio_runs import write_audio
from tests.end_to_end.test_multi_label import on_squares, write_squares
from tests.end_to_end.test_segmentation import make_pairs
from tests.end_to_end.test_segmentation import recipe as of_masks
from tests.end_to_end.test_texts import write_texts

import whet
from whet.bundle import Bundle, Unreadable
from whet.core.recipe import Recipe, parse_methods

pytestmark = pytest.mark.slow


def exported(run: whet.Run, folder: Path) -> Bundle:
    """The bundle, whose parity is far inside the tolerance."""
    bundle = whet.export(run, folder / "bundle")
    parity = bundle.info["parity"]
    assert parity["largest_difference"] < 1e-4 * (1 + parity["largest_score"])
    assert parity["to_torch"]["difference"] == pytest.approx(0, abs=0.02)
    assert bundle.check_golden() == []
    return bundle


def close(found: list[dict], expected: pd.DataFrame) -> bool:
    """Whether the probabilities are those of the run, which may have used bfloat16."""
    ours = [list(one["probabilities"].values()) for one in found[: len(expected)]]
    return np.allclose(ours, expected.filter(like="p:"), atol=0.02)


@pytest.mark.sample
@pytest.mark.parametrize("architecture", ["fast_text", "tf_idf", "text_cnn", "text_transformer"])
def test_texts(tmp_path, architecture):
    run = whet.train(write_texts(tmp_path / "waste.csv"), architecture=architecture, budget="1ep", out=tmp_path / "run")
    bundle = exported(run, tmp_path)
    texts = ["a plastic bottle", "塑料瓶", "x " * 3000, "old\r\npaper"]
    assert close(bundle.predict([*texts, ""]), run.predict(texts))
    assert bundle.predict([b"\xff\xfe\xfa"])[0]["error"].startswith("not UTF-8")


@pytest.mark.sample
def test_audio_clips(tmp_path):
    run = whet.train(write_audio(tmp_path / "tones"), budget="2ep", out=tmp_path / "run")
    bundle = exported(run, tmp_path)
    files = sorted((tmp_path / "tones").rglob("*.*"))[::4]
    expected = run.predict(files)
    found = bundle.predict(path.read_bytes() for path in files)
    assert close(found, expected)
    with pytest.raises(Unreadable):
        bundle.prepare(b"no audio")


@pytest.mark.sample
def test_several_labels_views_and_a_temperature(tmp_path):
    data = write_squares(tmp_path / "squares", count=60)
    methods = ("horizontal_flip", {"tta": {"zooms": [1.15]}}, "temperature_scaling")
    run = whet.train(data, recipe=on_squares(data, budget="1ep", methods=methods), out=tmp_path / "run")
    bundle = exported(run, tmp_path)
    sample = bundle.prepare((bundle.path / bundle.info["golden"][0]["file"]).read_bytes())
    scores, probabilities = bundle.run([sample])
    assert np.allclose(probabilities, 1 / (1 + np.exp(-scores)), atol=1e-6)
    decided = bundle.decide(sample, probabilities[0])
    assert decided["predicted"] == [name for name, p in decided["probabilities"].items() if p > 0.5]


@pytest.mark.sample
def test_an_ensemble_of_architectures_and_sizes(tmp_path):
    """The second network is shown the images of the first, resized with anti-aliasing inside the graph."""
    data = write_images(tmp_path / "images", {"glass": 30, "metal": 24, "paper": 20})
    for name, words in (("a", ()), ("b", ("--architecture", "lenet", "--set", "train.image_size=20"))):
        done = train_small(data, tmp_path / name, *words, "--json", budget="1ep")
        assert done.returncode == 0, done.stderr
    bundle = exported(whet.ensemble(tmp_path / "a", tmp_path / "b", out=tmp_path / "both"), tmp_path)
    assert bundle.info["parameters"] > max(
        sum(one.numel() for one in _net(tmp_path / name).parameters()) for name in ("a", "b")
    )


def _net(run: Path):
    from whet.models.build import load_net

    return load_net(run / "model")


@pytest.mark.sample
def test_masks_of_classes(tmp_path):
    data = make_pairs(tmp_path / "masks")
    run = whet.train(data, recipe=of_masks(data, budget="2ep"), out=tmp_path / "run")
    bundle = exported(run, tmp_path)
    files = sorted((tmp_path / "masks" / "images").iterdir())[:4]
    found = bundle.predict(path.read_bytes() for path in files)
    for one, expected in zip(found, run.segment(files)):
        assert one["mask"].shape == expected.found.map_HW.shape
        assert (one["mask"] == expected.found.map_HW).mean() > 0.99
        assert sum(one["shares"].values()) == pytest.approx(1)


def test_what_cannot_be_exported_is_refused(tmp_path):
    data = write_images(tmp_path / "images", {"a": 12, "b": 12})
    recipe = Recipe(task="image-pretraining", methods=parse_methods(["sgd", "simclr"])).setting(
        image_size=32, batch_size=8
    )
    run = whet.pretrain(
        data, recipe=recipe, architecture="resnet9_slim", weights="none", budget="2st", out=tmp_path / "run"
    )
    with pytest.raises(whet.WhetError, match="pre-training"):
        whet.export(run, tmp_path / "bundle")


def test_a_run_in_bfloat16_is_compared_in_single_precision(tmp_path):
    """Its record is that of bfloat16; the bundle tells both accuracies and their types."""
    data = write_images(tmp_path / "images", {"glass": 30, "metal": 24})
    done = train_small(data, tmp_path / "run", "--set", "train.precision=bf16", budget="2ep")
    assert done.returncode == 0, done.stderr
    bundle = exported(whet.load(tmp_path / "run"), tmp_path)
    metrics = bundle.info["metrics"]
    assert (metrics["recorded"]["dtype"], metrics["exported"]["dtype"]) == ("bf16", "fp32")
    card = (bundle.path / "README.md").read_text()
    assert "this file (fp32)" in card and "recorded by the run (bf16)" in card
    assert all(0 <= metrics[key]["accuracy"] <= 1 for key in ("recorded", "exported"))
