import pytest
import torch

from whet.core.errors import RecipeError
from whet.core.task import Task
from whet.methods import TTA
from whet.tasks import SEMANTIC_SEGMENTATION, SINGLE_LABEL


def predictor(x):
    """Answers by the brightness of the left and of the right half."""
    left, right = x[..., : x.shape[-1] // 2].mean(dim=(1, 2, 3)), x[..., x.shape[-1] // 2 :].mean(dim=(1, 2, 3))
    return torch.stack([left, right], dim=1) * 5


def images():
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_mean_of_the_probabilities_of_both_sides():
    x = images()
    expected = (predictor(x).softmax(dim=1) + predictor(x.flip(-1)).softmax(dim=1)) / 2
    assert torch.allclose(TTA().wrap_predictor(predictor, {}, SINGLE_LABEL)(x).softmax(dim=1), expected, atol=1e-6)


def test_a_mirrored_image_gets_the_same_answer():
    answer = TTA().wrap_predictor(predictor, {}, SINGLE_LABEL)
    assert torch.allclose(answer(images()), answer(images().flip(-1)))


def test_zooms_show_the_middle_at_the_same_size():
    shapes = []

    def looking(x):
        shapes.append((tuple(x.shape), float(x[0, 0, 0, 0])))
        return predictor(x)

    x = torch.arange(64.0).view(1, 1, 8, 8).expand(1, 3, 8, 8).contiguous()
    TTA(flip=False, zooms=(2.0,)).wrap_predictor(looking, {}, SINGLE_LABEL)(x)
    assert [shape for shape, _ in shapes] == [(1, 3, 8, 8)] * 2
    assert shapes[1][1] == 18.0  # row 2, column 2: the corner of the middle half


def test_nothing_at_identity():
    assert TTA(flip=False).wrap_predictor(predictor, {}, SINGLE_LABEL) is predictor


def test_a_image_upside_down_gets_the_same_answer():
    """The four ways to lie are answered alike."""

    def corner(x):
        return torch.stack([x[..., :4, :4].mean(dim=(1, 2, 3)), x.mean(dim=(1, 2, 3))], dim=1) * 5

    answer = TTA(vertical_flip=True).wrap_predictor(corner, {}, SINGLE_LABEL)
    assert torch.allclose(answer(images()), answer(images().flip(-2)), atol=1e-6)
    assert torch.allclose(answer(images()), answer(images().flip(-1, -2)), atol=1e-6)
    assert not torch.allclose(TTA().wrap_predictor(corner, {}, SINGLE_LABEL)(images()), answer(images()), atol=1e-3)


def test_a_zoomed_view_of_masks_is_mapped_back():
    """A network that copies its pixels, on a ramp that enlarging keeps a ramp: every view agrees with the whole image."""
    ramp = torch.linspace(-2, 2, 32)
    x = (ramp[:, None] + 0.5 * ramp).expand(2, 3, 32, 32).contiguous()

    def copying(x):
        shrunk = torch.nn.functional.avg_pool2d(x[:, :1], 2)
        return torch.cat([shrunk, -shrunk], dim=1)

    answer = TTA(vertical_flip=True, zooms=(1.5, 2.0)).wrap_predictor(copying, {}, SEMANTIC_SEGMENTATION)(x)
    plain = copying(x).log_softmax(dim=1)
    assert torch.allclose(answer[..., 6:10, 6:10], plain[..., 6:10, 6:10], atol=1e-4)  # all views
    assert torch.allclose(answer[..., :2, :], plain[..., :2, :], atol=1e-4)  # outside the centre, the whole image
    assert torch.allclose(answer, plain, atol=0.15)


def test_a_task_that_cannot_map_zooms_back_says_so():
    with pytest.raises(RecipeError, match=r"tta\.zooms"):
        Task.unzoom(SEMANTIC_SEGMENTATION, torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4), (0.25, 0.25, 0.5, 0.5))
    with pytest.raises(RecipeError, match="zooms"):
        TTA(zooms=(0.8,))  # there is nothing around an image
