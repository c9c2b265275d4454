"""Saved models: that they answer as what was trained, and that a loaded run can be passed on to other processes."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import write_images

import whet
from whet.core.errors import NonFiniteError, RunError
from whet.methods import SGD
from whet.training import saved

FORKED = """
import multiprocessing, sys
import torch
torch.set_num_threads(2)
import whet

run, folder = whet.load(sys.argv[1]), sys.argv[2]
expected = run.predict(folder)["predicted"].tolist()

def work(queue):
    queue.put(run.predict(folder)["predicted"].tolist())

context = multiprocessing.get_context("fork")
queue = context.Queue()
process = context.Process(target=work, args=(queue,), daemon=True)
process.start()
assert queue.get(timeout=600) == expected
"""


def test_a_run_can_be_pickled_after_it_has_predicted(finished_run):
    run, folder = whet.load(finished_run), finished_run.parent / "images"
    expected = run.predict(folder)
    assert pickle.loads(pickle.dumps(run)).predict(folder).equals(expected)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")
@pytest.mark.slow
@pytest.mark.sample
def test_a_forked_worker_predicts_too(finished_run):
    """The parent's pools of threads have no threads there."""
    folder = str(finished_run.parent / "images")
    subprocess.run([sys.executable, "-c", FORKED, str(finished_run), folder], check=True, timeout=900)


def changed_weights(folder, change):
    path = folder / "model" / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def test_weights_that_do_not_fit_are_refused(tmp_path, finished_run):
    """One is missing, one is left over."""
    import shutil

    for number, change in enumerate((lambda t: t.pop("head.bias"), lambda t: t.update(extra=torch.ones(1)))):
        folder = tmp_path / str(number)
        shutil.copytree(finished_run, folder)
        changed_weights(folder, change)
        with pytest.raises(RunError, match="do not fit the network saved there"):
            whet.load(folder).predict(finished_run.parent / "images")


def test_an_answer_that_is_no_number_is_an_error(tmp_path, finished_run):
    import shutil

    shutil.copytree(finished_run, tmp_path / "run")
    changed_weights(tmp_path / "run", lambda tensors: tensors["head.bias"].fill_(np.nan))
    with pytest.raises(NonFiniteError, match="NaN or an infinite number for sample 0"):
        whet.load(tmp_path / "run").predict(finished_run.parent / "images")


def test_a_run_whose_saved_model_answers_otherwise_is_not_finished(tmp_path, monkeypatch):
    """Whatever the cause: the model in the folder is loaded anew and asked before the run counts as done."""
    data = write_images(tmp_path / "images", {"glass": 8, "metal": 8})
    load = saved.load_nets

    def other(folder):
        nets = load(folder)
        with torch.no_grad():
            nets[0].linear.bias += torch.tensor([1.0, -1.0])
        return nets

    monkeypatch.setattr(saved, "load_nets", other)
    with pytest.raises(RunError, match="differs from the trained one"):
        whet.train(
            data,
            methods=[SGD(lr=0.01)],
            architecture="resnet9_slim",
            weights="none",
            budget="1ep",
            out=tmp_path / "run",
        )
    assert not (tmp_path / "run" / "DONE").exists()
