import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from whet.core.errors import NoEffectError
from whet.methods import ClassWeight
from whet.methods.balance.class_weight import class_weights
from whet.training.plan import task_loss

COUNTS = np.array([50, 30, 20])


def test_inverse_is_scikit_learn_s_balanced():
    labels = np.repeat(np.arange(3), COUNTS)
    reference = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert np.allclose(class_weights(COUNTS, "inverse", 0.9), reference)


@pytest.mark.parametrize("scheme", ["inverse", "sqrt", "effective_number"])
def test_the_mean_weight_over_the_training_samples_is_one(scheme):
    assert (class_weights(COUNTS, scheme, 0.99) * COUNTS).sum() == pytest.approx(COUNTS.sum())


def test_effective_number_is_the_paper_s_and_tends_to_inverse():
    beta = 0.97
    raw = (1 - beta) / (1 - beta**COUNTS)
    assert np.allclose(
        class_weights(COUNTS, "effective_number", beta) / raw,
        (class_weights(COUNTS, "effective_number", beta) / raw)[0],
    )
    assert np.allclose(
        class_weights(COUNTS, "effective_number", 1 - 1e-7), class_weights(COUNTS, "inverse", 0), rtol=1e-3
    )


def test_the_loss_is_torch_s_weighted_cross_entropy(outcome, context):
    logits, labels = (
        torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double(),
        torch.tensor([0, 1, 2, 0, 2, 1]),
    )
    loss = ClassWeight(scheme="inverse").wrap_loss(task_loss, None, context(COUNTS))(outcome(logits, labels))
    weights = torch.tensor(class_weights(COUNTS, "inverse", 0)).double()
    reference = torch.nn.functional.cross_entropy(logits, labels, weight=weights, reduction="none")
    assert torch.allclose(loss.double(), reference, rtol=1e-5)


def test_even_classes_are_told(context):
    with pytest.raises(NoEffectError):
        ClassWeight().wrap_loss(task_loss, None, context((5, 5)))


def test_pixels_are_weighted_by_the_pixels_of_their_class(masked, pixels, context):
    from dataclasses import replace

    logits, label = pixels()
    counts = np.array([600, 300, 100])
    given = replace(context((1, 1, 1)), pixel_counts=lambda: counts)
    loss = ClassWeight(scheme="sqrt").wrap_loss(task_loss, None, given)(masked(logits, label))
    weights = torch.tensor(class_weights(counts, "sqrt", 0))
    every = torch.nn.functional.cross_entropy(logits, label, weight=weights, ignore_index=255, reduction="none")
    assert torch.allclose(loss, every.sum(dim=(1, 2)) / 40)


def test_weights_that_are_all_equal_are_told(context):
    """The effective number of very many pixels is the same for every class."""
    with pytest.raises(NoEffectError, match="same weight"):
        ClassWeight(scheme="effective_number", beta=0.99).wrap_loss(task_loss, None, context((10**6, 10**5)))
