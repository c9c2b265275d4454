import pytest
import torch

from whet.methods import Tversky
from whet.training.plan import task_loss


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.7, 0.3), (1.0, 1.0)])
def test_it_is_the_index_of_a_hard_map(masked, alpha, beta):
    """Of class 1: 3 pixels found, 1 missed, 2 wrong; of class 0: 10 found, 2 missed, 1 wrong. With 1 and 1 it is IoU."""
    label, shown = torch.zeros(16, dtype=torch.int64), torch.zeros(16, dtype=torch.int64)
    label[:4] = 1
    shown[1:6] = 1
    logits = 200.0 * torch.nn.functional.one_hot(shown.view(1, 4, 4), 2).permute(0, 3, 1, 2)
    method = Tversky(weight=1.0, alpha=alpha, beta=beta)
    loss = method.wrap_loss(task_loss, None, None)(masked(logits, label.view(1, 4, 4)))
    index = [10 / (10 + alpha * 1 + beta * 2), 3 / (3 + alpha * 2 + beta * 1)]
    assert loss.item() == pytest.approx(1 - sum(index) / 2)
