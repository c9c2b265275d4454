import numpy as np
import pytest

from whet.core.rng import Rng
from whet.core.view import ImageView
from whet.methods import TrivialAugment
from whet.methods.augment_image.policy import applied
from whet.methods.augment_image.rotate import rotated
from whet.methods.augment_image.trivial_augment import NAMES, wide


def strengths(level, sign):
    """Of every operation in turn."""
    return np.array([wide(name, np.array([level]), np.array([sign]))[0] for name in NAMES])


def test_every_operation_comes_up_equally_often():
    rng = Rng(0).batch("trivial_augment", 0, np.arange(14_000))
    rng.uniform()
    share = np.bincount(rng.integers(len(NAMES)), minlength=14) / 14_000
    assert share == pytest.approx(1 / 14, abs=0.01)
    assert len(NAMES) == 14


def test_a_sample_gets_one_operation_and_is_otherwise_left_alone(photo):
    """Each operation alone changes its own field of the view and nothing of the samples that did not draw it."""
    empty = ImageView.whole([photo.shape[:2]] * 14, (96, 128))
    view = applied(empty, NAMES, np.arange(14), strengths(0.8, 1.0))
    warped = (view.warp_B33 != empty.warp_B33).any(axis=(1, 2))
    coloured = ~np.isclose(view.colour_B37[:, :, :3], np.eye(3)).all(axis=(1, 2))
    toned = np.stack([tone.where_B for tone in view.tones]).sum(axis=0)
    sharpened = view.filters[0].strength_B != 0
    acts = {name: (warped[i], coloured[i], toned[i], sharpened[i]) for i, name in enumerate(NAMES)}
    for name, (w, c, t, s) in acts.items():
        expected = {
            "identity": (0, 0, 0, 0), "sharpen": (0, 0, 0, 1),
            **dict.fromkeys(("rotate", "shear_x", "shear_y", "translate_x", "translate_y"), (1, 0, 0, 0)),
            **dict.fromkeys(("brightness", "contrast", "saturation"), (0, 1, 0, 0)),
            **dict.fromkeys(("autocontrast", "equalize", "posterize", "solarize"), (0, 0, 1, 0)),
        }[name]  # fmt: skip
        assert (w, c, t, s) == expected, name


def test_the_paper_s_strongest_settings(photo):
    empty = ImageView.whole([photo.shape[:2]] * 14, (224, 224))
    view = applied(empty, NAMES, np.arange(14), strengths(1.0, -1.0))
    index = NAMES.index
    turned = rotated(ImageView.whole([photo.shape[:2]], (224, 224)), np.array([-135.0]))
    assert np.allclose(view.warp_B33[index("rotate")], turned.warp_B33[0])
    left = view.warp_B33[index("translate_x"), 0, 2] / view.warp_B33[index("translate_x"), 0, 0]
    assert left == pytest.approx(32)  # output pixels
    assert view.colour_B37[index("brightness"), 0, 0] == pytest.approx(0.01)
    posterize = next(t for t in view.tones if t.where_B[index("posterize")])
    assert len(np.unique(posterize.table_BC256[index("posterize"), 0])) == 4  # two bits
    solarize = next(t for t in view.tones if t.where_B[index("solarize")])
    assert (solarize.table_BC256[index("solarize"), 0] == 255 - np.arange(256)).all()


def test_share_of_images(draw):
    method = TrivialAugment(prob=0.5)
    view = draw(method, B=6000)
    untouched = (view.warp_B33 == np.eye(3)).all(axis=(1, 2)) & np.isclose(view.colour_B37[:, :, :3], np.eye(3)).all(
        axis=(1, 2)
    )
    for tone in view.tones:
        untouched &= ~tone.where_B
    untouched &= view.filters[0].strength_B == 0
    assert untouched.mean() > 0.5
    assert untouched.mean() < 0.6  # half, and those whose strength came out at nothing
