import numpy as np
from scipy import stats

from whet.methods import Shear
from whet.methods.augment_image.shear import sheared


def test_the_angle_is_the_slant_of_a_line(one):
    """A point a quarter of the height below the centre moves sideways by tan(angle) of that."""
    view = sheared(one(np.zeros((80, 80, 3))), np.array([20.0]), np.array([0.0]))
    x, _, _ = view.warp_B33[0] @ [40, 60, 1]
    assert np.isclose(x - 40, 20 * np.tan(np.radians(20)))


def test_angles_are_uniform(draw):
    slant = np.degrees(np.arctan(draw(Shear(max_degrees=10), source=(64, 64), size=(64, 64)).warp_B33[:, 0, 1]))
    assert stats.kstest(slant, stats.uniform(-10, 20).cdf).pvalue > 0.001
