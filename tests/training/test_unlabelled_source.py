"""Unlabelled samples in training, with a small method that wants equal predictions for two views of them."""

import shutil

import numpy as np
import pytest
import torch
from tests.conftest import write_images

from whet.core.errors import NoEffectError, OutputError, RunError
from whet.core.method import Method, Unlabelled
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.stages import WrapsLoss
from whet.methods import SGD, Brightness
from whet.training import loop
from whet.training.data_record import recorded_samples
from whet.training.job import resume_run, train_run

SEEN = []  # the unlabelled batches that the loss received


class Agreement(Method, WrapsLoss, family="semi", tasks={"image-classification"}):
    """Train towards equal predictions for two views of an unlabelled sample.

    Use when: testing.  Do not use when: training.
    Source: Sohn et al. 2020, arXiv:2001.07685.
    """

    ratio: float = 1.5

    def unlabelled(self, problem):
        return Unlabelled(self.ratio, {"weak": (), "strong": (Brightness(max_change=0.5),)})

    def wrap_loss(self, loss, net, context):
        def agreeing(outcome):
            more = outcome.batch.unlabelled
            if more is None:
                return loss(outcome)
            SEEN.append(more)
            with torch.no_grad():
                wanted_BK = outcome.forward(more.views["weak"]).softmax(dim=1)
            strong_BK = outcome.forward(more.views["strong"]).log_softmax(dim=1)
            return loss(outcome) - (wanted_BK * strong_BK).sum(dim=1).mean()

        return agreeing


@pytest.fixture(autouse=True)
def agreement(monkeypatch):
    monkeypatch.setitem(registry()._by_name, "agreement", Agreement)
    SEEN.clear()


@pytest.fixture
def more(tmp_path):
    """25 images without labels."""
    return write_images(tmp_path / "more", {"any": 25}, seed=7)


def recipe(images, more, *methods, **train):
    return Recipe.from_dict(
        {
            "data": {"path": str(images), **({} if more is None else {"unlabelled": str(more)})},
            "model": {"architecture": "resnet9_slim", "weights": "none"},
            "train": {
                "budget": "2ep", "batch_size": 8, "image_size": 32, "precision": "fp32", "torch_threads": 1, "seed": 5, **train,
            },
            "methods": [{"sgd": {"lr": 0.01}}, "horizontal_flip", *methods],
        }
    )  # fmt: skip


def weights_of(run):
    return {path.name: path.read_bytes() for path in sorted(run.model.glob("*.safetensors"))}


def test_two_epochs_on_views_of_the_same_samples(images, more, tmp_path):
    run = train_run(recipe(images, more, "agreement"), tmp_path / "run")
    steps = [record["step"] for record in run.log_records() if record["event"] == "step"]
    assert len(SEEN) == len(steps) == 10
    for batch in SEEN:
        assert len(batch) == 12 and list(batch.views) == ["weak", "strong"]
        assert batch.views["weak"].shape == batch.views["strong"].shape == (12, 3, 32, 32)
        assert torch.equal(batch.x, batch.views["weak"]) and not torch.equal(batch.views["weak"], batch.views["strong"])
        assert batch.targets.known_B is not None and not batch.targets.known_B.any()
        assert torch.allclose(batch.targets.probs_BK, torch.full((12, 3), 1 / 3))
    numbers = np.concatenate([batch.index_B for batch in SEEN])
    for start in range(0, 100, 25):  # one pass after the other
        assert sorted(numbers[start : start + 25]) == list(range(25))
    data = run.read_json(run.data)
    assert data["unlabelled"] == 25 and sum(sum(counts.values()) for counts in data["counts"].values()) == 60
    assert len(recorded_samples(run)) == 60  # what compare, evaluate and improve read
    assert "25 unlabelled images" in " ".join(run.read_json(run.metrics)["notes"])


@pytest.mark.slow
@pytest.mark.sample
def test_resumed_and_with_any_number_of_threads_it_ends_the_same(images, more, tmp_path, monkeypatch):
    """With a teacher, whose weights belong to the state."""
    asked = recipe(images, more, "mean_teacher", loader_threads=1, checkpoint_every="3st")
    whole = train_run(asked, tmp_path / "whole")
    threads = train_run(
        recipe(images, more, "mean_teacher", loader_threads=3, checkpoint_every="3st"), tmp_path / "threads"
    )
    assert weights_of(threads) == weights_of(whole)
    real, taken = loop.stepped, []

    def killed(*given):
        taken.append(1)
        if len(taken) == 8:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(loop, "stepped", killed)
    with pytest.raises(KeyboardInterrupt):
        train_run(asked, tmp_path / "killed")
    monkeypatch.setattr(loop, "stepped", real)
    assert weights_of(resume_run(tmp_path / "killed")) == weights_of(whole)


def test_an_unlabelled_image_is_decoded_for_all_views_and_passes(images, more, tmp_path, monkeypatch):
    from whet.data import store

    real, opened = store.ImageSample, []

    def counting(content):
        opened.append(content)
        return real(content)

    monkeypatch.setattr(store, "ImageSample", counting)
    contents = {path.read_bytes() for path in more.rglob("*.*")}
    train_run(recipe(images, more, "agreement", loader_threads=1), tmp_path / "run")
    count = sum(content in contents for content in opened)
    assert 0 < count <= 2 * len(contents)  # without a cache 240; two threads may decode the same image at once


def views_of(images, more, tmp_path, method, name):
    from whet.training import session

    found = []
    real = session.RenderedSource

    class Noting(real):
        def batches(self, progress, settings, first):
            for batch in real.batches(self, progress, settings, first):
                found.append(batch)
                yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "RenderedSource", Noting)
        train_run(recipe(images, more, method, budget="3st"), tmp_path / name)
    return found


@pytest.mark.slow
@pytest.mark.sample
def test_another_view_leaves_all_other_draws_unchanged(images, more, tmp_path, monkeypatch):
    two = views_of(images, more, tmp_path, "agreement", "two")
    views = {"weak": (), "other": (), "strong": (Brightness(max_change=0.5),)}
    monkeypatch.setattr(Agreement, "unlabelled", lambda self, problem: Unlabelled(self.ratio, views))
    three = views_of(images, more, tmp_path, "agreement", "three")
    for a, b in zip(two, three, strict=True):
        assert torch.equal(a.x, b.x)
        assert all(torch.equal(a.unlabelled.views[name], b.unlabelled.views[name]) for name in ("weak", "strong"))
    assert any(not torch.equal(b.unlabelled.views["weak"], b.unlabelled.views["other"]) for b in three)


def test_labelled_batches_do_not_depend_on_unlabelled_samples(images, more, tmp_path):
    with_them = views_of(images, more, tmp_path, "agreement", "with")
    without = views_of(images, None, tmp_path, "agreement", "without")
    assert all(b.unlabelled is None for b in without)
    assert all(
        torch.equal(a.x, b.x) and (a.index_B == b.index_B).all() for a, b in zip(with_them, without, strict=True)
    )


def test_parts_of_a_batch_share_its_unlabelled_samples():
    from whet.core.batch import Batch
    from whet.tasks import SINGLE_LABEL
    from whet.testing.bench import make_bench

    bench = make_bench((SGD(),))
    bench.plan._divides = [type("Half", (), {"parts": lambda self, samples: 2})()]
    views = {"weak": torch.arange(10.0)}
    targets = SINGLE_LABEL.targets(torch.zeros(10, dtype=torch.long), 3).unknown()
    unlabelled = Batch(views["weak"], targets, np.arange(10), torch.ones(10), views=views)
    parts = bench.plan.parts(bench.batch(0).replace(unlabelled=unlabelled))
    assert [part.unlabelled.views["weak"].tolist() for part in parts] == [list(range(5)), list(range(5, 10))]


def test_unused_unlabelled_samples_are_reported(images, more, tmp_path):
    run = train_run(recipe(images, more, budget="1st"), tmp_path / "run")
    assert any("25 unlabelled samples are not used" in note for note in run.read_json(run.metrics)["notes"])


def test_a_method_without_unlabelled_samples_has_no_effect(images, tmp_path):
    with pytest.raises(NoEffectError, match="no unlabelled samples are given"):
        train_run(recipe(images, None, "agreement"), tmp_path / "strict", strict=True)
    run = train_run(recipe(images, None, "agreement", budget="1st"), tmp_path / "run")
    assert any("agreement has no effect here: no unlabelled" in note for note in run.read_json(run.metrics)["notes"])


def test_changed_unlabelled_samples_are_noticed_on_resume(images, more, tmp_path, monkeypatch):
    real = loop.stepped

    def killed(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "stepped", killed)
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe(images, more, "agreement"), tmp_path / "run")
    monkeypatch.setattr(loop, "stepped", real)
    shutil.copy(more / "any" / "002.png", more / "any" / "000.png")
    with pytest.raises(RunError, match=r"unlabelled/any/000\.png: its content changed"):
        resume_run(tmp_path / "run")


def test_run_folders_are_not_written_into_unlabelled_data(images, more):
    with pytest.raises(OutputError):
        train_run(recipe(images, more), more / "run")


def test_two_requests_for_the_same_view_must_agree():
    from whet.core.errors import RecipeError
    from whet.methods import HorizontalFlip
    from whet.training.unlabelled_views import requested_views

    strong = Unlabelled(1.0, {"weak": (), "strong": (Brightness(max_change=0.5),)})
    found = requested_views(
        {"a": strong, "b": Unlabelled(3.0, {"weak": ()})}, [HorizontalFlip(), Brightness(max_change=0.1)]
    )
    assert found["weak"] == (HorizontalFlip(), Brightness(max_change=0.1))
    assert found["strong"] == (HorizontalFlip(), Brightness(max_change=0.5))  # in place of the recipe's own
    with pytest.raises(RecipeError, match="method 'b' needs another view 'strong'"):
        requested_views({"a": strong, "b": Unlabelled(1.0, {"strong": ()})}, [])
