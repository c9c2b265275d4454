import pytest
import torch

from whet.tasks.heads.mask_losses import dice_loss, iou_of, projection_loss


def test_dice_loss_by_hand():
    prob, target = torch.tensor([[0.5, 1.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    assert dice_loss(prob, target).tolist() == pytest.approx([1 - 2 * 1.5 / (1.25 + 2)])
    assert dice_loss(target, target).tolist() == pytest.approx([0.0])


def test_dice_loss_of_shares_is_the_least_at_the_shares():
    target = torch.tensor([[0.25, 1.0, 0.5]])
    prob = target.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(dice_loss(prob, target).sum(), prob)
    assert gradient.abs().max() < 1e-6


def test_projection_loss_by_hand():
    """The greatest of each column is (0.8, 0.4), of each row (0.8, 0.2); the box covers the first column and both rows."""
    prob = torch.tensor([[[0.8, 0.4], [0.2, 0.1]]])
    box = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    columns, rows = 1 - 2 * 0.8 / (0.8 + 1), 1 - 2 * 1.0 / (0.68 + 2)
    assert projection_loss(prob, box).tolist() == pytest.approx([columns + rows])


def test_a_mask_that_touches_all_sides_of_its_box_has_no_projection_loss():
    mask = torch.zeros(1, 5, 5)
    mask[0, 2, 1:4] = mask[0, 1:4, 2] = 1
    box = torch.zeros(1, 5, 5)
    box[0, 1:4, 1:4] = 1
    assert projection_loss(mask, box).item() == pytest.approx(0.0, abs=1e-6)


def test_iou_of_cells():
    prob, target = torch.tensor([[0.9, 0.6, 0.4, 0.0]]), torch.tensor([[1.0, 0.2, 0.8, 0.0]])
    assert iou_of(prob, target).tolist() == pytest.approx([1 / 3])
    assert iou_of(torch.tensor([[0.3, 0.1]]), torch.tensor([[0.3, 0.0]])).tolist() == pytest.approx([0.75])
