"""Runs that predict objects, exported."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from tests.end_to_end.test_instances import make_coco, recipe
from tests.exporting.test_export import ALONE
from tests.exporting.test_export_media import exported
from tests.models.kinds import SEGMENTERS

import whet
from whet.bundle import Bundle
from whet.core.errors import ParityError, RunError
from whet.exporting.gate import _batches
from whet.methods import QuantizeStatic
from whet.tasks.grouping import detection

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("painted")]
KINDS = {
    "centre_offset": {"budget": "12ep"},
    "cond_inst": {"budget": "6ep", "head": "cond_inst"},
    "views": {"budget": "2ep", "head": "cond_inst"},
    "own": {"budget": "1ep", "head": "auto", "image_size": 64},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_coco(tmp_path_factory.mktemp("discs"))


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """The run and the bundle of a kind, made once."""
    found: dict[str, tuple[whet.Run, Bundle]] = {}

    def of(kind: str) -> tuple[whet.Run, Bundle]:
        if kind not in found:
            folder = tmp_path_factory.mktemp(kind)
            asked = recipe(data, *(["tta"] if kind == "views" else []), **KINDS[kind])
            if kind == "own":
                SEGMENTERS["eomt"].save(folder / "weights")
                weights = str(folder / "weights")
                asked = asked.replace(model=asked.model.replace(architecture=weights, weights=weights))
            run = whet.train(data, recipe=asked, out=folder / "run")
            found[kind] = run, exported(run, folder)
        return found[kind]

    return of


def images(data):
    return sorted((data.parent / "images").iterdir())


@pytest.mark.sample
@pytest.mark.parametrize("kind", list(KINDS))
def test_objects_are_those_of_the_run(made, data, kind):
    """Through the bundle's own NumPy: the same metric on the whole test part, the same objects in every image."""
    run, bundle = made(kind)
    parity = bundle.info["parity"]
    assert (parity["metric"], parity["samples"]) == ("mask_ap", 8)
    assert bundle.info["metrics"]["exported"]["dtype"] == "fp32"  # `precision` is that of the objects
    assert parity["to_torch"]["low"] <= parity["to_torch"]["difference"] <= parity["to_torch"]["high"]
    files = images(data)[:6]
    found = bundle.predict(path.read_bytes() for path in files)
    for one, expected in zip(found, run.segment([str(path) for path in files])):
        size = expected.found.map_HW.shape
        assert len(one["objects"]) == len(expected.found.detections)
        for ours, theirs in zip(one["objects"], expected.found.detections):
            assert ours["class"] == bundle.classes[theirs.layer.class_number]
            assert ours["confidence"] == pytest.approx(theirs.score, abs=1e-3)
            assert (coco.decode(ours["segmentation"]) != theirs.layer.whole(size)).sum() <= 3
        assert one["ids"].dtype == np.uint16 and (one["ids"] != expected.found.ids_HW).mean() < 0.01
        assert sum(one["counts"].values()) == len(one["objects"])


@pytest.mark.sample
@pytest.mark.parametrize("kind", ["centre_offset", "cond_inst"])
def test_the_grouping_of_real_outputs_is_that_of_the_task(made, data, kind):
    run, bundle = made(kind)
    prepared = [bundle.prepare(path.read_bytes()) for path in images(data)]
    task, count = run.folder.task.with_head(kind), 0
    for batch in _batches(range(len(prepared))):
        outputs, _ = bundle.run([prepared[row] for row in batch])
        for row, outputs_Chw in zip(batch, outputs):
            ours = [detection(one) for one in bundle.objects(prepared[row], outputs_Chw)]
            theirs = task.head.detections(outputs_Chw, prepared[row].size)
            assert [one.layer.class_number for one in ours] == [one.layer.class_number for one in theirs]
            assert np.allclose([one.score for one in ours], [one.score for one in theirs], atol=1e-4)
            for one, other in zip(ours, theirs):
                assert (one.layer.whole(prepared[row].size) != other.layer.whole(prepared[row].size)).sum() <= 2
            count += len(ours)
    assert count > 30


def test_objects_in_int8(made, tmp_path):
    run, _ = made("centre_offset")
    bundle = whet.export(run, tmp_path / "bundle", methods=[QuantizeStatic()], tolerance=20)
    [entry] = bundle.info["compression"]
    assert "undone" not in entry and entry["metric"] == "mask_ap"
    assert entry["bytes"]["after"] < 0.4 * entry["bytes"]["before"]
    assert bundle.info["metrics"]["exported"]["dtype"] == "int8" and bundle.check_golden() == []


def test_the_script_writes_object_numbers(made, data, tmp_path):
    _, bundle = made("centre_offset")
    assert {"predict.py", "samples.py", "objects.py"} < bundle.info["files"].keys()
    files = images(data)[:2]
    words = [sys.executable, "-c", ALONE, str(bundle.path / "predict.py"), *map(str, files), "--masks", "masks"]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    for told, expected in zip(json.loads(done.stdout), bundle.predict(path.read_bytes() for path in files)):
        assert told["objects"] == expected["objects"] and told["counts"] == expected["counts"]
        written = Image.open(tmp_path / told["ids"])
        assert written.mode.startswith("I") and np.array_equal(np.asarray(written), expected["ids"])
    shown = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False).stdout
    assert shown.splitlines()[0].startswith(f"{files[0]}\t") and any(name in shown for name in ("can", "glass"))


def test_a_grouping_that_finds_less_is_refused(made, data, tmp_path, monkeypatch):
    """The gate scores the objects that the bundle itself finds."""
    run, bundle = made("centre_offset")
    content = (bundle.path / "model.onnx").read_bytes()
    monkeypatch.setattr("whet.exporting.export.onnx_model", lambda *given: content)
    monkeypatch.setattr(Bundle, "objects", lambda *given: [])
    with pytest.raises(ParityError, match=r"worse than torch in single precision: mask AP 0\.0 %"):
        whet.export(run, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_queries_of_several_views_are_refused(data, tmp_path):
    SEGMENTERS["eomt"].save(tmp_path / "weights")
    weights = str(tmp_path / "weights")
    asked = recipe(data, "tta", budget="1st", image_size=64)
    asked = asked.replace(model=asked.model.replace(architecture=weights, weights=weights))
    run = whet.train(data, recipe=asked, out=tmp_path / "run")
    with pytest.raises(RunError, match="queries of several views or networks"):
        whet.export(run, tmp_path / "bundle")
