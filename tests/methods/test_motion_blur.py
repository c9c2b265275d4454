import numpy as np
import pytest
from scipy import stats

from whet.core.view import Filter
from whet.methods import MotionBlur
from whet.render.kernels import motion_kernel


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 135.0])
def test_the_kernel_is_a_line_of_that_length_and_direction(degrees):
    kernel = motion_kernel(9.0, degrees, 13).astype(float)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    y, x = np.mgrid[6:-7:-1, -6:7].astype(float)
    along = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    across = -x * np.sin(np.radians(degrees)) + y * np.cos(np.radians(degrees))
    assert (kernel * along).sum() == pytest.approx(0, abs=1e-3)
    assert (kernel * along**2).sum() == pytest.approx(9**2 / 12, rel=0.1)  # that of a uniform line
    assert (kernel * across**2).sum() < 0.35


def test_a_dot_becomes_a_line(render, one):
    pixels = np.zeros((31, 31, 3), dtype=np.uint8)
    pixels[15, 15] = 255
    out = render(one(pixels).filtered(Filter("motion", np.array([8.0]), np.array([0.0]))), pixels)[..., 0]
    assert (out[15] > 10).sum() in (8, 9)
    assert out[14].sum() + out[16].sum() == 0


def test_share_lengths_and_angles(draw):
    filter_ = draw(MotionBlur(prob=0.5, max_length=0.11), size=(100, 100)).filters[0]
    chosen = filter_.strength_B > 0
    assert chosen.mean() == pytest.approx(0.5, abs=0.03)
    assert stats.kstest(filter_.strength_B[chosen], stats.uniform(1, 10).cdf).pvalue > 0.001
    assert stats.kstest(filter_.angle_B, stats.uniform(0, 180).cdf).pvalue > 0.001
