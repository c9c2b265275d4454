"""A training step does not wait for the device, and a loss that is not finite still stops the run before anything is saved."""

import re
from pathlib import Path

import pytest
import torch

import whet
from whet.core.errors import NonFiniteError
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.testing.waits import Waits
from whet.training import loop, session
from whet.training.checkpoint import checkpoints
from whet.training.job import train_run
from whet.training.unread import Figures, Unread


@pytest.fixture
def device_is_far(monkeypatch):
    """Losses are read every five steps, as if the device were not the CPU."""
    monkeypatch.setattr(session, "steps_between_reads", lambda plan, device: 5)


def recipe(images, *methods):
    return Recipe.from_dict(
        {
            "data": {"path": str(images)},
            "model": {"architecture": "resnet9_slim", "weights": "none"},
            "train": {
                "budget": "12st",
                "batch_size": 8,
                "image_size": 32,
                "precision": "fp32",
                "validate_every": "12st",
            },
            "methods": [{"sgd": {"lr": 0.01}}, *methods],
        }
    )


def steps_of(folder):
    return [record for record in RunFolder.open(folder).log_records() if record["event"] == "step"]


def test_a_step_that_is_not_logged_reads_nothing_from_the_device(images, tmp_path, device_is_far, monkeypatch):
    taken, real = [], loop.stepped

    def counted(*given):
        with Waits() as waits:
            loss = real(*given)
        taken.append(sorted(waits.places))
        return loss

    monkeypatch.setattr(loop, "stepped", counted)
    train_run(
        recipe(images, "one_cycle", "ema", "mixup", "clip_norm", {"label_smoothing": {"epsilon": 0.1}}),
        tmp_path / "run",
    )
    assert taken == [[]] * 12


@pytest.mark.slow
@pytest.mark.sample
def test_the_log_is_the_same_however_many_steps_are_read_at_once(images, tmp_path, monkeypatch):
    train_run(recipe(images), tmp_path / "one")
    monkeypatch.setattr(session, "steps_between_reads", lambda plan, device: 5)
    train_run(recipe(images), tmp_path / "five")
    assert steps_of(tmp_path / "one") == steps_of(tmp_path / "five")
    assert [step["step"] for step in steps_of(tmp_path / "five")] == list(range(1, 13))


def test_losses_are_read_together_and_the_rest_before_a_validation():
    """12 steps: after 5, after 10, and the last two at the end."""
    unread, sizes = Unread(5), []
    for step in range(1, 13):
        unread.check(torch.tensor(float(step)), [])
        unread.add(torch.tensor(float(step)), step=step, lr=0.1, loss=None)
        if unread.due:
            sizes.append([record["loss"] for record in unread.read()])
    assert sizes == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    assert [record["step"] for record in unread.read()] == [11, 12] and unread.read() == []


def test_what_a_method_records_is_read_with_the_loss():
    """The mean where a step computes its loss twice; steps may record different figures."""
    unread = Unread(2)
    for step, shares in enumerate([(0.25, 0.75), ()], start=1):
        figures = Figures()
        for share in shares:
            figures.record("accepted", torch.tensor(share))
        unread.add(torch.tensor(float(step)), figures, step=step, loss=None)
    assert unread.read() == [{"step": 1, "loss": 1.0, "accepted": 0.5}, {"step": 2, "loss": 2.0}]


@pytest.mark.parametrize("spoil", ["loss", "gradient"])
def test_the_first_step_that_is_not_finite_is_named_and_nothing_of_it_is_saved(
    images, tmp_path, device_is_far, monkeypatch, spoil
):
    real = loop.closure_for

    def spoiled(plan, fabric, model, optimizer, batch, progress, *figures):
        closure = real(plan, fabric, model, optimizer, batch, progress, *figures)

        def at_step_8():
            loss = closure()
            if progress.step < 7:
                return loss
            if spoil == "gradient":
                plan.net.head.weight.grad.fill_(float("nan"))
                return loss if progress.step == 7 else torch.tensor(0.0)
            return loss * float("inf")

        return at_step_8

    monkeypatch.setattr(loop, "closure_for", spoiled)
    what = "the loss became (-?inf|nan)" if spoil == "loss" else "the gradient is not finite"
    with pytest.raises(NonFiniteError, match=f"step 8: {what}"):
        train_run(recipe(images), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    saved = [int(re.search(r"\d+", path.name)[0]) for path in checkpoints(folder.checkpoints)]
    assert saved and max(saved) < 8


def test_a_method_that_waits_is_read_at_every_step(images):
    from whet.methods import LBFGS, SGD
    from whet.testing.bench import make_bench
    from whet.training.unread import READ_EVERY, steps_between_reads

    far = torch.device("cuda")
    assert steps_between_reads(make_bench((SGD(),)).plan, far) == READ_EVERY > 1
    assert steps_between_reads(make_bench((LBFGS(),)).plan, far) == 1
    assert steps_between_reads(make_bench((SGD(),)).plan, torch.device("cpu")) == 1


def test_draws_go_to_the_device_without_waiting_for_it():
    """A copy of host memory waits for the device unless it is told not to."""
    found = []
    for path in sorted(Path(whet.__file__).parent.glob("methods/*/*.py")):
        if path.parent.name not in ("mix", "augment_text", "augment_audio", "augment_image"):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            copies = re.search(r"from_numpy\(.*\)\.to\(", line) or re.search(r"\.to\((device|[\w.]*\.device)\)", line)
            if copies and "non_blocking" not in line + "".join(lines[number + 1 : number + 2]):
                found.append(f"{path.name}:{number + 1}: {line.strip()}")
    assert not found, found
