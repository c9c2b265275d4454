import cv2
import numpy as np
from scipy import stats

from whet.methods import Perspective
from whet.methods.augment_image.perspective import homography


def test_homography_is_opencv_s():
    corners = np.array([[0, 0], [100, 0], [100, 60], [0, 60]], dtype=float)
    moved = corners + np.array([[[3, -4], [5, 6], [-7, 2], [1, 9]], [[0, 0], [10, -3], [4, 4], [-2, 5]]], dtype=float)
    for found, target in zip(homography(corners, moved), moved):
        assert np.allclose(
            found, cv2.getPerspectiveTransform(corners.astype(np.float32), target.astype(np.float32)), atol=1e-4
        )


def test_corners_move_uniformly_within_reach(draw):
    warp = draw(Perspective(max_shift=0.2)).warp_B33
    corner = warp @ np.array([128, 0, 1.0])
    place = corner[:, :2] / corner[:, 2:]
    assert stats.kstest((place[:, 0] - 128) / 128, stats.uniform(-0.2, 0.4).cdf).pvalue > 0.001
    assert stats.kstest(place[:, 1] / 96, stats.uniform(-0.2, 0.4).cdf).pvalue > 0.001


def test_parity_with_opencv_s_perspective_warp(draw, render, photo):
    view = draw(Perspective(max_shift=0.1), B=1, seed=5)
    # OpenCV counts pixels at their corner, whet at their centre.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = np.linalg.inv(half) @ view.warp_B33[0] @ half
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    reference = cv2.warpPerspective(photo, matrix, (128, 96), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    assert (render(view, photo) == reference).all()
