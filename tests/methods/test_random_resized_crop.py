import numpy as np
import pytest
from scipy import stats

from whet.methods import RandomResizedCrop


def boxes(view):
    """Width, height, left and top of what each sample shows, in source pixels."""
    height, width = view.size
    w, h = view.warp_B33[:, 0, 0] * width, view.warp_B33[:, 1, 1] * height
    return w, h, view.warp_B33[:, 0, 2], view.warp_B33[:, 1, 2]


def test_areas_and_shapes_follow_their_laws(draw):
    w, h, left, top = boxes(draw(RandomResizedCrop(min_area=0.35, max_aspect=4 / 3), source=(960, 1280), size=(64, 64)))
    area = w * h / (960 * 1280)
    assert stats.kstest(area, stats.uniform(0.35, 0.65).cdf).pvalue > 0.001
    aspect = (w / 1280) / (h / 960)
    assert aspect.min() >= 0.75 - 0.01
    assert aspect.max() <= 4 / 3 + 0.01
    small = area < 0.5  # there the whole range of shapes fits, and the log of the shape is uniform
    assert stats.kstest(np.log(aspect[small]), stats.uniform(np.log(0.75), 2 * np.log(4 / 3)).cdf).pvalue > 0.001
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + w <= 1280).all()
    assert (top + h <= 960).all()


def test_boxes_lie_on_whole_pixels_so_that_no_general_warp_is_paid_for(draw):
    w, h, left, top = boxes(draw(RandomResizedCrop(), B=200))
    for edge in (left, top, left + w, top + h):
        assert np.abs(edge - np.rint(edge)).max() < 1e-9


def test_every_place_is_reached_evenly(draw):
    w, _, left, _ = boxes(draw(RandomResizedCrop(min_area=0.4, max_aspect=1.0), source=(960, 1280)))
    assert stats.kstest(left / (1280 - w + 1), "uniform").pvalue > 0.001


def test_the_whole_image_where_nothing_may_change(draw, render, photo):
    view = draw(RandomResizedCrop(min_area=1.0, max_aspect=1.0), B=3)
    assert (render(view, photo) == photo).all()


def test_shapes_are_relative_to_what_prediction_shows(draw):
    """Where prediction crops a square, training crops are squares on average too."""
    w, h, _, _ = boxes(
        draw(RandomResizedCrop(min_area=0.3, max_aspect=1.2), source=(960, 1280), size=(64, 64), fit="crop")
    )
    small = w * h < 0.5 * 960 * 1280
    assert np.exp(np.log(w / h)[small].mean()) == pytest.approx(1.0, abs=0.02)
