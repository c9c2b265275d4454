"""A run exported, and what the gate refuses."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import whet

import whet as package
from whet.bundle import Bundle, predict
from whet.core.errors import DataError, OutputError, ParityError, RunError
from whet.exporting import export as exporting
from whet.exporting.graph import onnx_model
from whet.exporting.operations import resized_with_antialias, triangle_weights

# Blocks what a bundle must not need; the rest is that of a new process.
ALONE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"whet", "torch", "cv2", "scipy", "pandas", "simplejpeg", "soxr", "transformers"}:
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
import os, runpy
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))  # as `python FILE` does
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def exported(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "bundle"
    done = whet("export", finished_run, "--out", out, "--golden", "3", "--unsure", "0.9", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bundle"] == str(out)
    assert told["parity"]["largest_difference"] < 1e-4
    assert told["exported"]["accuracy"] == told["recorded"]["accuracy"]
    return out


def samples(run: Path) -> list[Path]:
    return sorted((run.parent / "images").rglob("*.*"))


def test_it_predicts_what_the_run_predicts(exported, finished_run):
    files = samples(finished_run)[::5]
    expected = package.load(finished_run).predict(files)
    bundle = Bundle.read(exported)
    found = bundle.predict(path.read_bytes() for path in files)
    assert [one["predicted"] for one in found] == expected["predicted"].tolist()
    assert np.allclose([one["confidence"] for one in found], expected["confidence"], atol=0.02)  # other JPEG colours
    assert [one["unsure"] for one in found] == [one["confidence"] < 0.9 for one in found]
    assert bundle.check_golden() == []


def test_a_batch_predicts_as_its_samples_do_alone(exported, finished_run):
    bundle = Bundle.read(exported)
    prepared = [bundle.prepare(path.read_bytes()) for path in samples(finished_run)[:3]]
    together, probabilities = bundle.run(prepared)
    alone = np.concatenate([bundle.run([one])[0] for one in prepared])
    assert np.abs(together - alone).max() < 1e-5
    assert np.allclose(probabilities, np.exp(together) / np.exp(together).sum(axis=1, keepdims=True), atol=1e-6)


def test_one_file_with_named_axes(exported):
    import onnx

    assert {path.name for path in exported.iterdir()} == {
        ".whet.json", "README.md", "bundle.json", "golden", "model.onnx", "predict.py", "samples.py",
    }  # fmt: skip
    graph = onnx.load(exported / "model.onnx").graph
    assert [dim.dim_param for dim in graph.input[0].type.tensor_type.shape.dim] == ["batch", "", "", ""]
    assert [one.name for one in (*graph.input, *graph.output)] == ["samples", "scores", "probabilities"]


def test_the_script_needs_neither_whet_nor_torch(exported, finished_run, tmp_path):
    moved = shutil.copytree(exported, tmp_path / "moved")
    for name in ("predict.py", "samples.py"):
        assert (moved / name).read_text() == Path(predict.__file__).with_name(name).read_text()
    files = samples(finished_run)[:3]
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    words = [
        sys.executable,
        "-c",
        ALONE,
        str(moved / "predict.py"),
        *map(str, files),
        str(tmp_path / "bad.jpg"),
        "--json",
    ]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    expected = Bundle.read(exported).predict(path.read_bytes() for path in files)
    assert [one["probabilities"] for one in told[:3]] == [one["probabilities"] for one in expected]
    assert told[3]["error"] and "predicted" not in told[3]


@pytest.mark.parametrize("name", ["model.onnx", "samples.py", "README.md", "golden/1.png", "bundle.json"])
def test_a_flipped_bit_is_refused_by_name(exported, tmp_path, name):
    copy = shutil.copytree(exported, tmp_path / "copy")
    file = next(copy.glob(name.replace("1.png", "1.*")))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(RunError, match=file.name):
        Bundle.read(copy)
    file.unlink()
    with pytest.raises(RunError, match=file.name):
        Bundle.read(copy)


def test_a_golden_sample_with_other_scores_is_told(exported):
    bundle = Bundle.read(exported)
    bundle.info["golden"][1]["scores"][0] += 0.1
    assert "golden/1" in bundle.check_golden()[0] and "equal tensors" in bundle.check_golden()[0]


def test_moved_data_are_found_where_they_are(exported, finished_run, tmp_path, monkeypatch):
    """By their content: a renamed file is the same sample, a changed one is none."""
    monkeypatch.setattr(exporting, "onnx_model", as_exported(exported))
    run = shutil.copytree(finished_run, tmp_path / "run")
    there = shutil.copytree(finished_run.parent / "images", tmp_path / "there")
    for name in ("recipe.yaml", "requested.yaml"):
        text = (run / name).read_text()
        assert str(finished_run.parent / "images") in text
        (run / name).write_text(text.replace(str(finished_run.parent / "images"), str(tmp_path / "gone")))
    with pytest.raises(DataError, match="gone"):
        package.export(run, tmp_path / "bundle")
    splits = package.load(run).folder.read_predictions()
    tested = splits["id"][splits["split"] == "test"].tolist()
    (there / tested[0]).rename((there / tested[0]).with_stem("renamed"))
    done = whet("export", run, "--out", tmp_path / "bundle", "--data", there, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parity"]["samples"] == len(tested)
    with pytest.raises(OutputError, match="inside the data"):
        package.export(run, there / "bundle", data=there)
    for path in there.rglob("*.*"):
        path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match="no longer contain the test samples"):
        package.export(run, tmp_path / "other", data=there)


# --- the gate ---------------------------------------------------------------------------------------------------------
def refused(run: Path, folder: Path) -> str:
    """The message; nothing is left in the folder."""
    with pytest.raises(ParityError) as error:
        package.export(run, folder / "bundle")
    assert list(folder.iterdir()) == []
    return str(error.value)


def as_exported(exported: Path):
    """In place of an export, which takes seconds."""
    return lambda *given: (exported / "model.onnx").read_bytes()


def test_colours_in_another_order_are_refused(exported, finished_run, tmp_path, monkeypatch):
    read = predict.read_image

    def turned(*given):
        found = read(*given)
        return replace(found, tensor=found.tensor[..., ::-1])

    monkeypatch.setattr(predict, "read_image", turned)
    monkeypatch.setattr(exporting, "onnx_model", as_exported(exported))
    assert "prepares" in (told := refused(finished_run, tmp_path)) and "/0" in told


def test_a_shifted_mean_is_refused(exported, finished_run, tmp_path, monkeypatch):
    import onnx

    model = onnx.load(exported / "model.onnx")
    (shift,) = [one for one in model.graph.initializer if one.name == "front.shift"]
    shift.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(shift) - np.float32(0.08), shift.name))
    monkeypatch.setattr(exporting, "onnx_model", lambda *given: model.SerializeToString())
    told = refused(finished_run, tmp_path)
    assert "scores of the exported model differ" in told and "/0" in told


def test_a_network_left_in_training_mode_is_refused(finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "onnx_model", lambda model, *given: onnx_model(model.train(), *given))
    assert "scores of the exported model differ" in refused(finished_run, tmp_path)


def test_a_folder_in_use_is_not_written(exported, finished_run, tmp_path):
    with pytest.raises(OutputError, match="already holds a bundle"):
        package.export(finished_run, exported)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        package.export(finished_run, tmp_path)
    with pytest.raises(OutputError, match="inside the data"):
        package.export(finished_run, finished_run.parent / "images" / "bundle")


# --- operations -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("side", "size"), [(37, 16), (16, 37), (40, 20), (23, 23)])
def test_anti_aliased_resizing_is_two_matrices(side, size):
    x = torch.linspace(-1, 1, 2 * 3 * side * 19).view(2, 3, side, 19)
    expected = torch.nn.functional.interpolate(x, size=(size, 12), mode="bilinear", antialias=True)
    assert torch.allclose(resized_with_antialias(x, (size, 12), False), expected, atol=1e-6)
    assert torch.allclose(triangle_weights(side, size).sum(dim=1), torch.ones(size))
