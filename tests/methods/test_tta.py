import torch

from whet.methods import TTA
from whet.tasks import SINGLE_LABEL


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
