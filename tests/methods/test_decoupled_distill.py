import numpy as np
import pytest
import torch

from whet.core.errors import NoEffectError
from whet.core.targets import ClassTargets
from whet.methods import DecoupledDistill, Distill
from whet.methods.distill import decoupled_distill
from whet.methods.distill.decoupled_distill import decoupled
from whet.methods.distill.distill import kl
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench, train_steps
from whet.training.plan import task_loss

STUDENT = torch.linspace(-3, 3, 20, dtype=torch.float64).sin().mul(4).view(4, 5)
TAUGHT = torch.linspace(1, 9, 20, dtype=torch.float64).cos().mul(4).view(4, 5)
LABELS = torch.tensor([0, 2, 1, 4])


def test_the_parts_are_those_of_the_paper():
    binary, rest = decoupled(STUDENT, TAUGHT, LABELS)
    for row, y in enumerate(LABELS.tolist()):
        p, q = STUDENT[row].softmax(dim=0).numpy(), TAUGHT[row].softmax(dim=0).numpy()
        b, c = np.array([p[y], 1 - p[y]]), np.array([q[y], 1 - q[y]])
        assert float(binary[row]) == pytest.approx((c * np.log(c / b)).sum(), rel=1e-9)
        p, q = np.delete(p, y) / (1 - p[y]), np.delete(q, y) / (1 - q[y])
        assert float(rest[row]) == pytest.approx((q * np.log(q / p)).sum(), rel=1e-9)


def test_the_paper_s_identity():
    """Equation 7: KL = target part + (1 - the teacher's probability of the target) * other part."""
    binary, rest = decoupled(STUDENT, TAUGHT, LABELS)
    right = TAUGHT.softmax(dim=1)[torch.arange(4), LABELS]
    assert torch.allclose(binary + (1 - right) * rest, kl(STUDENT, TAUGHT), rtol=1e-10)


class _Fixed:
    """A teacher with one answer to every batch."""

    def __init__(self, logits):
        self._logits = logits

    def __call__(self, name, run, student, size):
        return self

    def for_classes(self, classes):
        return self

    def logits(self, batch):
        return self._logits


def losses(monkeypatch, outcome, context, given, taught, **settings):
    """(decoupled_distill's loss, distill's) with this teacher."""
    from whet.methods.distill import distill

    monkeypatch.setattr(decoupled_distill, "Teacher", _Fixed(taught))
    monkeypatch.setattr(distill, "Teacher", _Fixed(taught))
    five = context((1, 1, 1, 1, 1))
    ours = DecoupledDistill(teacher="x", **settings).wrap_loss(task_loss, None, five)(given)
    return ours, Distill(teacher="x", weight=1.0, temperature=3.0).wrap_loss(task_loss, None, five)(given)


def test_it_is_distill_where_its_weights_are_set_so(monkeypatch, outcome, context):
    """With one and the same certainty of the teacher, q, for all samples, the weights 1 and 1 - q make it distill."""
    taught = torch.stack([TAUGHT[0].roll(int(k)) for k in LABELS])  # its first number always stands at the label
    q = float((TAUGHT[0] / 3.0).softmax(dim=0)[0])
    given = outcome(STUDENT, LABELS)
    ours, plain = losses(monkeypatch, outcome, context, given, taught, temperature=3.0, target=1.0, others=1 - q)
    assert torch.allclose(ours - task_loss(given), plain, rtol=1e-9)


def test_a_mixed_image_costs_what_its_classes_cost_by_their_shares(monkeypatch, outcome, context):
    first, second = outcome(STUDENT, LABELS), outcome(STUDENT, LABELS.roll(1))
    share = torch.tensor([0.5, 0.7, 0.9, 1.0])
    mixed = first.with_targets(
        ClassTargets(
            share[:, None] * first.batch.targets.probs_BK + (1 - share[:, None]) * second.batch.targets.probs_BK,
            SINGLE_LABEL,
        )
    )
    one, two, both = (losses(monkeypatch, outcome, context, o, TAUGHT)[0] for o in (first, second, mixed))
    assert torch.allclose(both, share * one + (1 - share) * two, rtol=1e-6)


def test_certain_answers_keep_finite_gradients():
    student = torch.tensor([[100.0, -100.0, 0.0], [-100.0, 100.0, 100.0]], requires_grad=True)
    taught = torch.tensor([[-100.0, 100.0, 0.0], [100.0, -100.0, -100.0]])
    binary, rest = decoupled(student, taught, torch.tensor([0, 0]))
    (binary + rest).sum().backward()
    assert torch.isfinite(binary).all() and torch.isfinite(rest).all()
    assert torch.isfinite(student.grad).all()


def test_two_classes_leave_nothing_to_compare():
    _, rest = decoupled(STUDENT[:, :2], TAUGHT[:, :2], torch.tensor([0, 1, 0, 1]))
    assert (rest == 0).all()


def test_it_trains_and_resumes_with_a_real_teacher(teacher_run):
    method = DecoupledDistill(teacher=teacher_run())
    whole = train_steps(make_bench((method,)), 4)
    first, second = make_bench((method,)), make_bench((method,))
    train_steps(first, 2)
    second.load(first.state())
    assert train_steps(second, 2, start=2) == whole


def test_no_teacher_is_told(context):
    with pytest.raises(NoEffectError, match="no teacher is set"):
        DecoupledDistill().wrap_loss(task_loss, None, context())
