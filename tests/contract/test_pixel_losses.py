"""Every method that changes the loss of masks, held to what a loss of pixels means."""

import numpy as np
import pytest
import torch

from whet.core.batch import Batch, Context, Outcome, Progress
from whet.core.mask_targets import MaskTargets
from whet.core.masks import IGNORE
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.stages import Changes, WrapsLoss
from whet.tasks import SEMANTIC_SEGMENTATION as TASK
from whet.training.plan import task_loss

CLASSES = ("ground", "can", "glass")
LOSSES = [
    cls
    for cls in registry()
    if issubclass(cls, WrapsLoss) and not issubclass(cls, Changes) and TASK.name in cls.tasks and cls.family != "optimize"
    and cls.name not in ("l1", "l2", "l2_sp", "elastic_net", "orthogonal")  # penalties on weights
    and cls.name != "color_pairs"  # its loss is that of pixels without a label
]  # fmt: skip


def loss_of(cls):
    context = Context(TASK, CLASSES, np.array([9, 5, 2]), lambda: None, pixel_counts=lambda: np.array([900, 80, 20]))
    return cls().wrap_loss(task_loss, None, context)


def asked(logits, targets):
    B = len(targets)
    batch = Batch(torch.zeros(B, 1), targets, np.arange(B), torch.ones(B))
    return Outcome(logits, batch, None, None, Progress(95, 100, 10))


def some_logits(B=3, seed=0, size=(8, 10)):
    return torch.from_numpy(3 * Rng(seed).batch("logits", 0, np.arange(B)).normal((3, *size))).requires_grad_()


def some_targets(B=3, seed=1, size=(8, 10)):
    """Blocks of pixels; a row and a corner are ignored."""
    label = torch.zeros((B, *size), dtype=torch.uint8)
    for i in range(B):
        label[i, 1 : 4 + i, 2:6] = 1
        label[i, 5:, 4 + (i + seed) % 3 :] = 2
    label[:, :, -2:] = IGNORE
    label[0, :3, :3] = IGNORE
    return MaskTargets.of(label, TASK, 3)


def test_all_of_them_are_seen():
    names = {cls.name for cls in LOSSES}
    assert names >= {
        "dice", "tversky", "lovasz", "boundary_loss", "ohem", "focal", "class_weight", "label_smoothing"
    }  # fmt: skip


@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_ignored_pixels_have_no_influence_on_value_or_gradient(cls):
    loss, targets = loss_of(cls), some_targets()
    logits = some_logits()
    loss_B = loss(asked(logits, targets))
    assert loss_B.shape == (3,)
    (gradient,) = torch.autograd.grad(loss_B.sum(), logits)
    ignored = (targets.label_MBHW[0] == IGNORE)[:, None].expand_as(gradient)
    assert (gradient[ignored] == 0).all()
    assert (gradient[~ignored] != 0).any()
    other = torch.where(ignored, -50.0, logits)
    assert torch.allclose(loss(asked(other, targets)), loss_B, rtol=1e-12)


@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_a_mixed_target_costs_the_mean_of_what_its_layers_cost(cls):
    loss, logits, own = loss_of(cls), some_logits(), some_targets()
    partner, weight = torch.tensor([1, 2, 0]), torch.tensor([0.7, 0.2, 1.0])
    parts = [loss(asked(logits, targets)) for targets in (own, own[partner])]
    mixed = loss(asked(logits, own.mix(partner, weight)))
    assert torch.allclose(mixed, weight * parts[0] + (1 - weight) * parts[1], rtol=1e-6)


@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_the_loss_of_an_image_does_not_depend_on_its_neighbours(cls):
    loss, given = loss_of(cls), asked(some_logits(), some_targets())
    assert torch.allclose(loss(given)[:2], loss(given.rows(2)), rtol=1e-12)


@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_certain_outputs_and_images_without_labels_keep_finite_values_and_gradients(cls):
    targets = some_targets()
    label = targets.label_MBHW[0].clone()
    label[1] = IGNORE
    label[2] = 1
    for certain in (0, 1, 2):
        logits = torch.full((3, 3, 8, 10), -100.0)
        logits[:, certain] = 100.0
        logits.requires_grad_()
        loss_B = loss_of(cls)(asked(logits, MaskTargets.of(label, TASK, 3)))
        loss_B.sum().backward()
        assert torch.isfinite(loss_B).all()
        assert torch.isfinite(logits.grad).all()
        assert loss_B[1] == 0


@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_coarser_outputs_are_resized_to_the_masks(cls):
    logits, targets = some_logits(size=(4, 5)), some_targets()
    loss = loss_of(cls)
    whole = loss(asked(targets.aligned(logits), targets))
    assert torch.allclose(loss(asked(logits, targets)), whole)


@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_the_right_answer_costs_less_than_a_wrong_one(cls):
    targets = some_targets()
    label = targets.label_MBHW[0].long()
    shown = torch.where(label == IGNORE, 0, label)
    right, wrong = (
        8 * torch.nn.functional.one_hot(one, 3).permute(0, 3, 1, 2).double() for one in (shown, (shown + 1) % 3)
    )
    loss = loss_of(cls)
    assert (loss(asked(right, targets)) < loss(asked(wrong, targets))).all()
