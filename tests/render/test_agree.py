"""The two renderers render the same images."""

import numpy as np
import pytest
import torch

from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.stages import Draws, Stage
from whet.core.view import ImageView
from whet.render import CpuRenderer, shrink, shrink_factors
from whet.render.image_torch import render_batch, render_masks
from whet.render.masks import warped_mask

TOLERANCE = 1.5  # mean absolute difference, of 255


def both(view, images):
    """(rendered by OpenCV, rendered by torch) from the same reduced sources."""
    factors = shrink_factors(view)
    reduced = [shrink(p, p.shape[:2], f) for p, f in zip(images, factors)]
    renderer, out = CpuRenderer(view), np.empty((len(view), *view.size, 3), dtype=np.uint8)
    for i, pixels in enumerate(reduced):
        renderer.render(i, pixels, out[i])
    return out, render_batch(view, reduced).numpy()


@pytest.fixture(scope="module")
def images(photo):
    """Images of several sizes, one of them much larger than the output."""
    large = np.tile(photo, (5, 4, 1))
    return [
        photo,
        photo[:60, :50],
        photo[::-1, ::-1].copy(),
        large,
        photo[:40],
        photo[:, :33],
        photo.transpose(1, 0, 2).copy(),
        photo,
    ]


SAMPLE_METHODS = [
    cls
    for cls in registry()
    if issubclass(cls, Draws) and cls.stage is Stage.SAMPLE and "image-classification" in cls.tasks
]


@pytest.mark.parametrize("cls", SAMPLE_METHODS, ids=lambda cls: cls.name)
def test_each_method(cls, images):
    strong = {"prob": 1.0} if "prob" in cls.model_fields else {}
    view = ImageView.whole([p.shape[:2] for p in images], (56, 64))
    for epoch in range(3):
        drawn = cls(**strong).draw(view, Rng(1).batch(cls.name, epoch, np.arange(len(images))))
        cpu, gpu = both(drawn, images)
        assert np.abs(cpu.astype(float) - gpu).mean() <= TOLERANCE


def test_all_methods_together(images):
    view = ImageView.whole([p.shape[:2] for p in images], (64, 64))
    for cls in sorted(SAMPLE_METHODS, key=lambda cls: (cls.order, cls.name)):
        view = cls().draw(view, Rng(2).batch(cls.name, 0, np.arange(len(images))))
    cpu, gpu = both(view, images)
    assert np.abs(cpu.astype(float) - gpu).mean() <= TOLERANCE


def test_perspective(photo):
    view = ImageView.whole([photo.shape[:2]], (64, 64)).warped(
        np.array([[[1.0, 0.1, 2], [0, 1, 0], [0.002, 0.001, 1]]])
    )
    cpu, gpu = both(view, [photo])
    assert np.abs(cpu.astype(float) - gpu).mean() <= TOLERANCE


def test_one_pixel_images():
    tiny = [np.full((1, 1, 3), 77, dtype=np.uint8), np.full((1, 400, 3), 12, dtype=np.uint8)]
    view = ImageView.whole([p.shape[:2] for p in tiny], (16, 16)).warped_about_centre(np.eye(3)[None] * [1.1, 1.1, 1])
    cpu, gpu = both(view, tiny)
    assert (cpu[0] == 77).all()
    assert (gpu[0] == 77).all()
    assert (cpu[1] == 12).all()
    assert (gpu[1] == 12).all()


def test_there_are_methods_to_compare():
    assert len(SAMPLE_METHODS) >= 16
    assert all(cls.stage is Stage.SAMPLE for cls in SAMPLE_METHODS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_the_device(photo):
    view = ImageView.whole([photo.shape[:2]], (64, 64))
    assert (render_batch(view, [photo], "cuda").cpu().numpy() == render_batch(view, [photo]).numpy()).mean() > 0.99


@pytest.mark.parametrize("cls", SAMPLE_METHODS, ids=lambda cls: cls.name)
def test_masks(cls, images):
    """Up to a pixel in a thousand, where a point lies between two pixels to the last bit, or a flow is interpolated twice."""
    masks = [(np.indices(p.shape[:2]).sum(axis=0) // 7 % 5).astype(np.uint8) for p in images]
    strong = {"prob": 1.0} if "prob" in cls.model_fields else {}
    view = ImageView.whole([p.shape[:2] for p in images], (56, 64))
    view = cls(**strong).draw(view, Rng(1).batch(cls.name, 0, np.arange(len(images))))
    rendered = render_masks(view, masks, 255).numpy()
    for i, mask in enumerate(masks):
        assert (warped_mask(view, i, mask, 255) == rendered[i]).mean() > (0.999 if view.flow_BNN2 is None else 0.98)


def test_a_mask_of_another_size_is_refused(photo):
    view = ImageView.whole([photo.shape[:2]], (16, 16))
    with pytest.raises(ValueError, match="differ in size"):
        render_masks(view, [np.zeros((5, 5), dtype=np.uint8)], 255)
