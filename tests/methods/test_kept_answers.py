import sqlite3

import pytest
import torch

from whet.methods.distill.kept_answers import KeptAnswers
from whet.methods.distill.teacher import Teacher
from whet.testing.bench import make_bench

X = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=torch.channels_last)


class Asked:
    def __init__(self):
        self.batches = 0

    def __call__(self, x):
        self.batches += 1
        return x.flatten(1).sum(dim=1, keepdim=True).repeat(1, 3)


def test_a_view_is_asked_about_once_in_this_process_or_the_next(tmp_path):
    path, ask = tmp_path / "answers.sqlite", Asked()
    first = KeptAnswers(path).answers(X, ask)
    assert torch.equal(KeptAnswers(path).answers(X, ask), first)
    assert torch.equal(KeptAnswers(path).answers(X.flip(0), ask), first.flip(0))
    assert ask.batches == 1


def test_one_pixel_more_is_another_view_and_the_batch_is_asked_for_whole(tmp_path):
    kept, ask = KeptAnswers(tmp_path / "answers.sqlite"), Asked()
    kept.answers(X, ask)
    other = X.clone()
    other[2, 0, 0, 0] += 1
    assert torch.allclose(kept.answers(other, ask), Asked()(other))
    assert ask.batches == 2


@pytest.mark.parametrize("spoilt", ["no database at all" * 100, ""])
def test_a_file_that_cannot_be_used_costs_nothing_but_time(tmp_path, spoilt):
    path, ask = tmp_path / "answers.sqlite", Asked()
    path.write_text(spoilt)
    kept = KeptAnswers(path)
    assert torch.allclose(kept.answers(X, ask), Asked()(X))
    assert torch.allclose(kept.answers(X, ask), Asked()(X))
    assert ask.batches == (2 if spoilt else 1)


def test_a_folder_that_cannot_be_written_neither(tmp_path):
    (tmp_path / "file").write_text("in the way")
    ask = Asked()
    assert torch.allclose(KeptAnswers(tmp_path / "file" / "answers.sqlite").answers(X, ask), Asked()(X))


def test_a_second_student_of_the_same_views_finds_them_answered(teacher_run, monkeypatch, tmp_path):
    monkeypatch.setenv("WHET_CACHE", str(tmp_path / "cache"))
    plan, batch = make_bench(()).plan, make_bench(()).batch(0)
    run = teacher_run()
    first = Teacher("distill", run, plan.net)
    expected = first.logits(batch)
    second = Teacher("distill", run, plan.net)
    second.net.forward = None  # would fail if it were asked
    assert torch.equal(second.logits(batch), expected)
    (file,) = (tmp_path / "cache" / "answers").glob("*.sqlite")
    assert sqlite3.connect(file).execute("SELECT count(*) FROM answers").fetchone() == (len(batch),)


def test_another_teacher_has_answers_of_its_own(teacher_run, monkeypatch, tmp_path):
    monkeypatch.setenv("WHET_CACHE", str(tmp_path / "cache"))
    plan, batch = make_bench(()).plan, make_bench(()).batch(0)
    found = [Teacher("distill", teacher_run(seed=seed, name=f"t{seed}"), plan.net).logits(batch) for seed in (0, 1)]
    assert not torch.allclose(*found)
