import numpy as np
import pytest

from whet.core.view import ImageView
from whet.methods import RandAugment
from whet.methods.augment_image.policy import OPERATIONS, applied, strength
from whet.methods.augment_image.rand_augment import NAMES


def test_torchvision_s_strengths_at_magnitude_9_of_30():
    """As torchvision.transforms.RandAugment(magnitude=9, num_magnitude_bins=31) has them."""
    level, sign = np.array([9 / 30]), np.array([1.0])
    expected = {
        "shear_x": 0.09, "translate_x": 150 / 331 * 0.3, "rotate": 9.0, "brightness": 1.27, "contrast": 1.27,
        "saturation": 1.27, "sharpen": 0.27, "posterize": 7.0, "solarize": 178.5,
    }  # fmt: skip
    for name, value in expected.items():
        assert strength(name, level, sign)[0] == pytest.approx(value), name
    assert strength("rotate", level, -sign)[0] == pytest.approx(-9)


def test_two_operations_make_the_same_as_applying_them_in_turn(photo):
    empty = ImageView.whole([photo.shape[:2]], (64, 64))
    level, sign = np.array([0.3]), np.array([1.0])
    view = empty
    for name in ("rotate", "brightness"):
        view = applied(view, NAMES, np.array([NAMES.index(name)]), strength(name, level, sign))
    by_hand = OPERATIONS["brightness"].draw(OPERATIONS["rotate"].draw(empty, np.array([9.0])), np.array([1.27]))
    assert np.allclose(view.warp_B33, by_hand.warp_B33)
    assert np.allclose(view.colour_B37, by_hand.colour_B37)


def test_more_operations_change_more(draw):
    def untouched(operations):
        view = draw(RandAugment(operations=operations), B=4000)
        return (view.warp_B33 == np.eye(3)).all(axis=(1, 2)).mean()

    # Of fourteen operations five move the image.
    assert untouched(1) == pytest.approx(9 / 14, abs=0.03)
    assert untouched(2) == pytest.approx((9 / 14) ** 2, abs=0.03)
