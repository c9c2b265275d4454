import colorsys

import numpy as np
import pytest

from whet.methods import Hue
from whet.methods.augment_image.hue import hue_shifted


def test_brightness_is_kept_and_grey_does_not_move(render, one, photo):
    pale = (photo // 3 + 85).astype(np.uint8)  # far from the edges of the colour cube, so that nothing is clipped
    out = render(hue_shifted(one(pale), np.array([0.13])), pale)
    grey = [0.299, 0.587, 0.114]
    assert (out @ grey) == pytest.approx(pale @ grey, abs=1.5)
    flat = np.full_like(pale, 120)
    assert np.abs(render(hue_shifted(one(flat), np.array([0.3])), flat).astype(int) - 120).max() <= 1


def test_shifts_add_and_a_full_turn_is_none(one, photo):
    twice = hue_shifted(hue_shifted(one(photo), np.array([0.2])), np.array([0.3])).colour_B37[0, :, :3]
    assert np.allclose(twice, hue_shifted(one(photo), np.array([0.5])).colour_B37[0, :, :3])
    assert np.allclose(hue_shifted(one(photo), np.array([1.0])).colour_B37[0, :, :3], np.eye(3))


def test_it_turns_the_way_hsv_does(one, photo):
    """Near to HSV for small shifts of pale colours: the hue moves in the same direction by about the same share."""
    matrix = hue_shifted(one(photo), np.array([0.05])).colour_B37[0, :, :3]
    for colour in ([150, 110, 110], [110, 150, 110], [110, 110, 150]):
        before = colorsys.rgb_to_hsv(*np.array(colour) / 255)[0]
        after = colorsys.rgb_to_hsv(*(matrix @ colour) / 255)[0]
        moved = (after - before + 0.5) % 1 - 0.5
        assert abs(moved) == pytest.approx(0.05, abs=0.03)


def test_direction_is_one(one, photo):
    matrix = hue_shifted(one(photo), np.array([0.05])).colour_B37[0, :, :3]
    hues = [colorsys.rgb_to_hsv(*(matrix @ c) / 255)[0] - colorsys.rgb_to_hsv(*np.array(c) / 255)[0]
            for c in ([150, 120, 110], [110, 150, 120], [120, 110, 150])]  # fmt: skip
    assert len({np.sign((h + 0.5) % 1 - 0.5) for h in hues}) == 1


def test_none_at_zero(draw):
    assert draw(Hue(max_shift=0.0), B=3).colour_B37 is None
