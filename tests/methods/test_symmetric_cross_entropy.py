import torch
import torch.nn.functional as F

from whet.core.targets import ClassTargets
from whet.methods import SymmetricCrossEntropy
from whet.tasks import MULTI_LABEL
from whet.training.plan import task_loss

LOGITS = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
LABELS = [0, 2, 1, 1]


def loss_of(given, context, alpha, beta):
    return SymmetricCrossEntropy(alpha=alpha, beta=beta).wrap_loss(task_loss, None, context())(given)


def test_it_is_both_cross_entropies_with_the_target_cut_off_at_1e_4(outcome, context):
    one_hot = F.one_hot(torch.tensor(LABELS), 3).double()
    reverse = -(LOGITS.softmax(dim=1) * one_hot.clamp(1e-4, 1).log()).sum(dim=1)
    expected = 0.3 * F.cross_entropy(LOGITS, torch.tensor(LABELS), reduction="none") + 0.8 * reverse
    assert torch.allclose(loss_of(outcome(LOGITS, LABELS), context, 0.3, 0.8), expected, rtol=1e-12)


def test_one_and_nothing_is_cross_entropy(outcome, context):
    nothing = SymmetricCrossEntropy(alpha=1, beta=0)
    assert nothing.wrap_loss(task_loss, None, context()) is task_loss


def test_of_the_exchanged_one_all_labels_together_cost_the_same_whatever_the_answer(outcome, context):
    """Why it tolerates wrong labels: exchanging them evenly adds a constant."""
    total = sum(loss_of(outcome(LOGITS, [k] * 4), context, 0, 1) for k in range(3))
    assert torch.allclose(total, total[:1].expand(4))


def test_labels_one_by_one_where_several_may_be_true(outcome, context):
    """Each label is a question with two answers, p and 1 - p."""
    t = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 1]], dtype=torch.float64)
    given = outcome(LOGITS, LABELS).with_targets(ClassTargets(t, MULTI_LABEL))
    p = LOGITS.sigmoid()
    reverse = -(p * t.clamp(1e-4, 1).log() + (1 - p) * (1 - t).clamp(1e-4, 1).log()).sum(dim=1)
    assert torch.allclose(loss_of(given, context, 0.1, 1), 0.1 * task_loss(given) + reverse, rtol=1e-12)
