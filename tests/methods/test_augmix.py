import numpy as np
import pytest

from whet.core.rng import Rng
from whet.core.view import Blend, ImageView
from whet.methods import AugMix
from whet.methods.augment_image.rotate import rotated


def test_weights_leave_a_uniform_share_to_the_image_itself(draw):
    view = draw(AugMix(), B=4000)
    weight_WB = np.stack([blend.weight_B for blend in view.blends])
    kept = 1 - weight_WB.sum(axis=0)
    assert ((kept >= 0) & (kept <= 1)).all()
    assert kept.mean() == pytest.approx(0.5, abs=0.02)  # Beta(1, 1)
    assert kept.var() == pytest.approx(1 / 12, abs=0.01)
    assert (weight_WB / weight_WB.sum(axis=0)).mean(axis=1) == pytest.approx(1 / 3, abs=0.02)  # Dirichlet


def test_a_blend_is_the_weighted_mean_of_what_is_rendered(render, one, photo):
    turned = rotated(one(photo), np.array([20.0]))
    out = render(one(photo).blended(Blend(turned, np.array([0.3]))), photo)
    expected = 0.7 * photo.astype(float) + 0.3 * render(turned, photo)
    assert np.abs(out - expected).max() <= 0.51


def test_chains_are_one_to_depth_long(draw):
    """At depth one each chain is one operation: five of thirteen move the image."""
    view = draw(AugMix(width=1, depth=1, severity=10), B=6000)
    moved = (view.blends[0].view.warp_B33 != np.eye(3)).any(axis=(1, 2)).mean()
    assert moved == pytest.approx(5 / 13, abs=0.03)


def test_no_operation_does_nothing():
    """The neutral strength of none is drawn, at whatever severity."""
    from whet.methods.augment_image.augmix import NAMES, strength
    from whet.methods.augment_image.policy import OPERATIONS

    level_B = np.linspace(0.1, 10, 400) / 10
    for name in NAMES:
        for sign in (-1.0, 1.0):
            found_B = strength(name, level_B, np.full(400, sign))
            same = found_B == OPERATIONS[name].neutral
            assert not same.any(), name


def test_strengths_are_those_of_the_authors_code():
    """int_parameter(level, maxval) = int(level * maxval / 10) and float_parameter without the int, at levels of 0.1 … severity."""
    from whet.methods.augment_image.augmix import strength

    for level in (0.1, 1.0, 2.4, 2.6, 3.0, 9.9):
        one, plus = np.array([level / 10]), np.ones(1)
        found = {
            name: strength(name, one, plus)[0]
            for name in ("posterize", "solarize", "rotate", "shear_x", "brightness", "sharpen")
        }
        assert found["posterize"] == 4 - int(level * 4 / 10)
        assert found["solarize"] == pytest.approx(256 - level * 256 / 10, abs=1)
        assert int(found["rotate"] + 1e-9) == int(level * 30 / 10)
        assert found["shear_x"] == pytest.approx(level * 0.3 / 10)
        assert found["brightness"] == pytest.approx(level * 1.8 / 10 + 0.1)
        assert found["sharpen"] == pytest.approx(level * 1.8 / 10 + 0.1 - 1)
    assert set(strength("posterize", np.linspace(0.01, 0.3, 50), np.ones(50))) == {3.0, 4.0}  # severity 3


def test_with_copies_the_first_is_clean_and_the_others_differ():
    index, copies = np.tile(np.arange(50), 3), np.repeat(np.arange(3), 50)
    view = ImageView.whole([(32, 32)] * 150, (32, 32))
    drawn = AugMix().draw(view, Rng(0).batch("augmix", 0, index, copies))
    total = np.sum([blend.weight_B for blend in drawn.blends], axis=0)
    assert (total[:50] == 0).all()
    assert (total[50:] > 0).all()
    assert (total[50:100] != total[100:]).all()
    alone = AugMix().draw(ImageView.whole([(32, 32)] * 50, (32, 32)), Rng(0).batch("augmix", 0, np.arange(50)))
    assert (np.sum([blend.weight_B for blend in alone.blends], axis=0) > 0).all()
