import cv2
import numpy as np
import pytest

from whet.methods import Elastic
from whet.methods.augment_image.elastic import refined
from whet.render.image_cpu import flow_field


def test_the_image_is_looked_up_where_the_flow_says(draw, render, photo):
    """The same map rendered by OpenCV's remap, and not the image itself."""
    view = draw(Elastic(strength=0.03), B=1)
    flow = flow_field(view, 0)
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    reference = cv2.remap(
        photo, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    out = render(view, photo)
    assert (out == reference).all()
    assert np.abs(out.astype(int) - photo).mean() > 2


def test_displacements_have_the_asked_size(draw):
    """At the nodes drawn they are normal; in between, interpolation makes them a little smaller."""
    flow = draw(Elastic(strength=0.02, nodes=16), B=500).flow_BNN2
    assert flow[..., 0].std() == pytest.approx(0.02 * 128, rel=0.05)
    assert flow[..., 1].std() == pytest.approx(0.02 * 96, rel=0.05)
    assert abs(flow.mean()) < 0.05


def test_few_nodes_make_wide_waves(draw):
    def roughness(nodes):
        flow = draw(Elastic(strength=0.02, nodes=nodes), B=200).flow_BNN2
        return np.diff(flow, axis=1).std() / flow.std()

    assert roughness(3) < 0.5 * roughness(12)


def test_a_constant_grid_stays_constant():
    assert np.allclose(refined(np.full((1, 5, 5, 2), 3.0)), 3.0)
