import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.core.rng import Rng
from whet.methods import LabelSmoothing, MixUp
from whet.tasks import SINGLE_LABEL
from whet.training.plan import task_loss


@given(st.floats(0, 0.9))
def test_it_is_torch_s(epsilon):
    from whet.core.batch import Batch, Outcome

    logits, labels = torch.tensor([[0.1, 2.0, -1.0], [1.0, 1.0, 0.0]], dtype=torch.float64), torch.tensor([1, 2])
    given_batch = Batch(torch.zeros(2, 1), SINGLE_LABEL.targets(labels, 3), np.arange(2), torch.ones(2))
    loss = LabelSmoothing(epsilon=epsilon).wrap_loss(task_loss, None, None)(Outcome(logits, given_batch, None))
    reference = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=epsilon, reduction="none")
    assert torch.allclose(loss, reference, atol=1e-6)


def test_the_order_with_mixing_does_not_matter(batch):
    mixed = MixUp(alpha=1.0).apply(batch(), Rng(0).batch("mixup", 0, np.arange(8)))
    smooth_first = MixUp(alpha=1.0).apply(
        batch().replace(targets=batch().targets.smooth(0.2)), Rng(0).batch("mixup", 0, np.arange(8))
    )
    assert torch.allclose(mixed.targets.smooth(0.2).probs_BK, smooth_first.targets.probs_BK)


@given(st.floats(0, 0.9))
def test_of_masks_it_is_torch_s_for_every_pixel(epsilon):
    from whet.core.batch import Batch, Outcome
    from whet.core.mask_targets import MaskTargets
    from whet.tasks import SEMANTIC_SEGMENTATION

    logits = torch.linspace(-3, 3, 48, dtype=torch.float64).sin().mul(3).view(1, 3, 4, 4)
    label = (torch.arange(16) % 3).view(1, 4, 4)
    label[0, 0] = 255
    targets = MaskTargets.of(label.to(torch.uint8), SEMANTIC_SEGMENTATION, 3)
    outcome = Outcome(logits, Batch(torch.zeros(1, 1), targets, np.arange(1), torch.ones(1)), None)
    loss = LabelSmoothing(epsilon=epsilon).wrap_loss(task_loss, None, None)(outcome)
    reference = torch.nn.functional.cross_entropy(logits, label, label_smoothing=epsilon, ignore_index=255)
    assert torch.allclose(loss, reference)
