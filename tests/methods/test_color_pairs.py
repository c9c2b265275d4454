import math

import numpy as np
import pytest
import torch

from whet.core.batch import Context
from whet.core.colour_pairs import colour_similarity, lab, pairwise_loss
from whet.methods import ColorPairs
from whet.tasks import SEMANTIC_SEGMENTATION
from whet.training.plan import task_loss

CONTEXT = Context(SEMANTIC_SEGMENTATION, ("background", "can", "glass"), np.zeros(3, np.int64), lambda: None)


class Front(torch.nn.Module):
    mean, std = torch.full((1, 3, 1, 1), 0.5), torch.full((1, 3, 1, 1), 0.25)


class Net(torch.nn.Module):
    front = Front()


def test_it_is_the_loss_plus_the_pairwise_loss_at_the_stride_of_the_head(mask_outcome):
    outcome = mask_outcome((16, 16), head=(8, 8))
    found = ColorPairs(weight=0.7, warmup=0.0).wrap_loss(task_loss, Net(), CONTEXT)(outcome)
    rgb = (outcome.batch.x * 0.25 + 0.5).clamp(0, 1)
    small = rgb.view(*rgb.shape[:2], 8, 2, 8, 2).mean(dim=(3, 5))
    expected = pairwise_loss(outcome.logits_BK.log_softmax(dim=1), colour_similarity(lab(small)) >= 0.3)
    assert torch.allclose(found, task_loss(outcome) + 0.7 * expected, atol=1e-5)
    assert (expected > 0).all()


def test_the_weight_rises_during_the_warmup(mask_outcome):
    from dataclasses import replace

    from whet.core.batch import Progress

    outcome = mask_outcome((16, 16), head=(8, 8))
    method = ColorPairs(weight=1.0, warmup=0.5)
    plain = task_loss(outcome)

    def extra(step):
        return method.wrap_loss(task_loss, Net(), CONTEXT)(replace(outcome, progress=Progress(step, 100, 10))) - plain

    assert extra(0).abs().max() == 0
    assert torch.allclose(2 * extra(25), extra(50), atol=1e-5) and torch.allclose(extra(50), extra(90), atol=1e-6)


@pytest.fixture
def mask_outcome():
    from whet.core.batch import Batch, Outcome
    from whet.core.mask_targets import MaskTargets
    from whet.tasks import SEMANTIC_SEGMENTATION

    def made(size, head, batch=2, classes=3):
        torch.manual_seed(0)
        x = torch.nn.functional.interpolate(torch.randn(batch, 3, 2, 2), size)  # areas of one colour
        label = torch.full((batch, *size), 255, dtype=torch.uint8)
        label[:, 3, 4], label[:, 12, 9] = 1, 0
        targets = MaskTargets.of(label, SEMANTIC_SEGMENTATION, classes)
        return Outcome(
            torch.randn(batch, classes, *head), Batch(x, targets, torch.arange(batch).numpy(), torch.ones(batch)), Net()
        )

    return made


def test_it_costs_nothing_where_neighbours_agree(mask_outcome):
    from dataclasses import replace

    outcome = mask_outcome((16, 16), head=(8, 8))
    sure = torch.zeros(2, 3, 8, 8)
    sure[:, 1] = 40
    outcome = replace(outcome, logits_BK=sure)
    found = ColorPairs(warmup=0.0).wrap_loss(task_loss, Net(), CONTEXT)(outcome)
    assert math.isclose(float((found - task_loss(outcome)).abs().max()), 0, abs_tol=1e-5)
