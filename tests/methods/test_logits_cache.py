import sqlite3

import pytest
import torch

from whet.methods.distill.logits_cache import LogitsCache
from whet.methods.distill.teacher import Teacher
from whet.testing.bench import make_bench

X = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=torch.channels_last)


class Counted:
    def __init__(self):
        self.batches = 0

    def __call__(self, x):
        self.batches += 1
        return x.flatten(1).sum(dim=1, keepdim=True).repeat(1, 3)


def test_a_view_is_predicted_once_in_this_process_or_the_next(tmp_path):
    path, predict = tmp_path / "logits.sqlite", Counted()
    first = LogitsCache(path).logits(X, predict)
    assert torch.equal(LogitsCache(path).logits(X, predict), first)
    assert torch.equal(LogitsCache(path).logits(X.flip(0), predict), first.flip(0))
    assert predict.batches == 1


def test_a_changed_pixel_makes_another_view_and_the_whole_batch_is_predicted(tmp_path):
    cache, predict = LogitsCache(tmp_path / "logits.sqlite"), Counted()
    cache.logits(X, predict)
    other = X.clone()
    other[2, 0, 0, 0] += 1
    assert torch.allclose(cache.logits(other, predict), Counted()(other))
    assert predict.batches == 2


@pytest.mark.parametrize("content", ["no database at all" * 100, ""])
def test_an_unusable_file_costs_only_time(tmp_path, content):
    path, predict = tmp_path / "logits.sqlite", Counted()
    path.write_text(content)
    cache = LogitsCache(path)
    assert torch.allclose(cache.logits(X, predict), Counted()(X))
    assert torch.allclose(cache.logits(X, predict), Counted()(X))
    assert predict.batches == (2 if content else 1)


def test_an_unwritable_folder_costs_only_time(tmp_path):
    (tmp_path / "file").write_text("in the way")
    predict = Counted()
    assert torch.allclose(LogitsCache(tmp_path / "file" / "logits.sqlite").logits(X, predict), Counted()(X))


def test_a_second_student_of_the_same_views_uses_the_cache(teacher_run, monkeypatch, tmp_path):
    monkeypatch.setenv("WHET_CACHE", str(tmp_path / "cache"))
    plan, batch = make_bench(()).plan, make_bench(()).batch(0)
    run = teacher_run()
    first = Teacher("distill", run, plan.net)
    expected = first.logits(batch)
    second = Teacher("distill", run, plan.net)
    second.net.forward = None  # a forward pass would fail
    assert torch.equal(second.logits(batch), expected)
    (file,) = (tmp_path / "cache" / "teacher_logits").glob("*.sqlite")
    assert sqlite3.connect(file).execute("SELECT count(*) FROM logits").fetchone() == (len(batch),)


def test_each_teacher_has_its_own_cache(teacher_run, monkeypatch, tmp_path):
    monkeypatch.setenv("WHET_CACHE", str(tmp_path / "cache"))
    plan, batch = make_bench(()).plan, make_bench(()).batch(0)
    found = [Teacher("distill", teacher_run(seed=seed, name=f"t{seed}"), plan.net).logits(batch) for seed in (0, 1)]
    assert not torch.allclose(*found)
