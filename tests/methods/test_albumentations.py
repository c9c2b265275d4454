import cv2
import numpy as np
import pytest

from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.core.view import ImageView
from whet.methods import Albumentations
from whet.render import CpuRenderer

A = pytest.importorskip("albumentations")


def rendered(method, photo, B=6, epoch=0, index=None):
    view = ImageView.whole([photo.shape[:2]] * B, photo.shape[:2])
    view = method.draw(view, Rng(0).batch("albumentations", epoch, np.arange(B) if index is None else index))
    out = np.empty((B, *photo.shape), dtype=np.uint8)
    renderer = CpuRenderer(view)
    for i in range(B):
        renderer.render(i, photo, out[i])
    return out


def test_the_transforms_are_the_library_s(photo):
    out = rendered(
        Albumentations(transforms=[{"GaussianBlur": {"blur_limit": [5, 5], "sigma_limit": [1, 1], "p": 1}}]), photo
    )
    assert np.abs(out[0].astype(int) - cv2.GaussianBlur(photo, (5, 5), 1)).max() <= 1
    nested = Albumentations(
        transforms=[{"OneOf": {"transforms": ["HorizontalFlip", {"VerticalFlip": {"p": 1}}], "p": 1}}]
    )
    for image in rendered(nested, photo, 12):
        assert (image == photo[:, ::-1]).all() or (image == photo[::-1]).all()


def test_the_same_sample_and_epoch_give_the_same_in_any_company(photo):
    method = Albumentations(transforms=["RandomBrightnessContrast", {"GaussNoise": {"p": 1}}])
    first = rendered(method, photo)
    assert (rendered(method, photo) == first).all()
    assert (rendered(method, photo, 2, index=np.array([3, 5])) == first[[3, 5]]).all()
    assert (rendered(method, photo, epoch=1) != first).any()
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        (["Blurr"], "Did you mean 'Blur'"),
        ([{"Blur": {}, "HorizontalFlip": {}}], "must be one transform"),
        ([{"RandomCrop": {"height": 8, "width": 8, "p": 1}}], "must keep size"),
        ([{"Normalize": {"p": 1}}], "must keep size"),
    ],
)
def test_what_cannot_be_is_refused(photo, transforms, message):
    with pytest.raises(RecipeError, match=message):
        rendered(Albumentations(transforms=transforms), photo, 1)
