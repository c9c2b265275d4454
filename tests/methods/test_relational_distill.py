import numpy as np
import pytest
import torch

from whet.core.batch import Outcome
from whet.core.errors import NoEffectError
from whet.core.rng import Rng
from whet.methods import LinearProbe, RelationalDistill
from whet.methods.distill.relational_distill import relational
from whet.methods.distill.teacher import Teacher
from whet.testing.bench import make_bench, train_steps
from whet.training.plan import task_loss

B = 6


def features(D, seed):
    return torch.from_numpy(Rng(seed).batch("features", 0, np.arange(B)).normal((D,)))


def huber(x):
    return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5


def test_it_is_the_paper_s_formula_pair_by_pair_and_triple_by_triple():
    """Equations 4 to 9; the mean over pairs and triples is that of the authors' code, a sample with itself included."""
    learnt, taught = features(4, 0).numpy(), 3 * features(9, 1).numpy()

    def distances(x):
        d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
        return d / d[d > 0].mean()

    def angle(x, i, j, k):
        a, b = x[j] - x[i], x[k] - x[i]
        size = np.linalg.norm(a) * np.linalg.norm(b)
        return a @ b / size if size else 0.0

    distance_B, angle_B = relational(torch.from_numpy(learnt), torch.from_numpy(taught))
    apart = distances(learnt) - distances(taught)
    for i in range(B):
        assert float(distance_B[i]) == pytest.approx(np.mean([huber(x) for x in apart[i]]))
        triples = [huber(angle(learnt, i, j, k) - angle(taught, i, j, k)) for j in range(B) for k in range(B)]
        assert float(angle_B[i]) == pytest.approx(np.mean(triples))


def test_features_turned_scaled_and_moved_have_the_same_relations():
    taught = features(5, 2)
    turn = torch.linalg.qr(torch.from_numpy(Rng(3).batch("q", 0, np.arange(5)).normal((5,)))).Q
    wider = torch.cat([7.0 * taught @ turn + 100.0, torch.full((B, 2), 4.0, dtype=torch.float64)], dim=1)
    for part in relational(wider, taught):
        assert part.abs().max() < 1e-20
    bent = taught.clone()
    bent[0] *= 2
    assert all(part[0] > 1e-3 for part in relational(bent, taught))


def test_samples_at_one_place_keep_finite_gradients():
    learnt = torch.zeros((B, 3), requires_grad=True)
    moved = learnt + torch.tensor([0.0, 0, 0, 1, 2, 3])[:, None]
    for given in (learnt, moved):
        learnt.grad = None
        sum(part.sum() for part in relational(given, features(4, 1).float())).backward()
        assert torch.isfinite(learnt.grad).all()
        assert learnt.grad.abs().max() < 100


def test_weights_of_both_parts_reach_the_loss(teacher_run):
    run = teacher_run(classes=("cat", "dog"))  # other classes will do
    bench = make_bench((RelationalDistill(teacher=run, distance=2.0, angle=3.0),), strict=True)
    plan, batch = bench.plan, bench.batch(0)
    plan.net.eval()
    with plan.net.keeping_features() as seen:
        logits = plan.net(batch.x)
    given = Outcome(logits, batch, plan.net, seen[0])
    taught = Teacher("relational_distill", run, plan.net).features(batch)
    distance, angle = relational(plan.net.backbone(batch.x), taught)
    assert torch.allclose(plan.loss(given), task_loss(given) + 2 * distance + 3 * angle, atol=1e-5)


def test_it_trains_and_resumes_with_a_real_teacher(teacher_run):
    method = RelationalDistill(teacher=teacher_run())
    whole = train_steps(make_bench((method,)), 4)
    first, second = make_bench((method,)), make_bench((method,))
    train_steps(first, 2)
    second.load(first.state())
    assert train_steps(second, 2, start=2) == whole
    assert train_steps(make_bench(()), 4) != whole


def test_a_frozen_backbone_and_no_teacher_are_told(teacher_run):
    with pytest.raises(NoEffectError, match="features cannot change"):
        make_bench((RelationalDistill(teacher=teacher_run()), LinearProbe()), strict=True)
    with pytest.raises(NoEffectError, match="no teacher is set"):
        make_bench((RelationalDistill(),), strict=True)
