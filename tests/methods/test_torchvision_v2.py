import sys
import types

import pytest
import torch

from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.methods import TorchvisionV2


def rng(B=4, epoch=0):
    return Rng(0).batch("torchvision_v2", epoch, range(B))


@pytest.fixture
def images(photo):
    return torch.from_numpy(photo).permute(2, 0, 1).repeat(4, 1, 1, 1)


@pytest.fixture
def stand_in(monkeypatch):
    """torchvision's manner: transforms are callables of a class Transform, and draw from torch's one generator."""

    class Transform:
        def __init__(self, p=0.5):
            self.p = p

        def __call__(self, image):
            return self.change(image) if torch.rand(()) < self.p else image

    class RandomHorizontalFlip(Transform):
        def change(self, image):
            return image.flip(-1)

    class CenterCrop(Transform):
        def change(self, image):
            return image[:, 4:-4, 4:-4]

    module = types.ModuleType("torchvision.transforms.v2")
    module.Transform, module.RandomHorizontalFlip, module.CenterCrop = Transform, RandomHorizontalFlip, CenterCrop
    for name in ("torchvision", "torchvision.transforms"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", module)


def test_a_sample_gets_the_same_in_any_company_and_torch_s_own_draws_stay(stand_in, images):
    method = TorchvisionV2(transforms=["RandomHorizontalFlip"])
    many = images.repeat(8, 1, 1, 1)
    torch.manual_seed(7)
    first = method.transform_batch(many, rng(32))
    after = torch.rand(3)
    flipped = (first == many.flip(-1)).flatten(1).all(dim=1)
    assert 8 <= flipped.sum() <= 24
    alone = method.transform_batch(many[:2], Rng(0).batch("torchvision_v2", 0, [9, 20]))
    assert (alone == first[[9, 20]]).all()
    assert (method.transform_batch(many, rng(32, epoch=1)) != first).any()
    torch.manual_seed(7)
    assert (torch.rand(3) == after).all()


def test_what_cannot_be_is_refused(stand_in, images):
    with pytest.raises(RecipeError, match="Did you mean 'RandomHorizontalFlip'"):
        TorchvisionV2(transforms=["RandomHorizontalFlop"]).transform_batch(images, rng())
    with pytest.raises(RecipeError, match="keep size"):
        TorchvisionV2(transforms=[{"CenterCrop": {"p": 1.0}}]).transform_batch(images, rng())


def test_absent_it_says_what_to_install(monkeypatch, images):
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", None)
    with pytest.raises(RecipeError, match=r"pip install whet\[torchvision\]"):
        TorchvisionV2(transforms=["RandomInvert"]).transform_batch(images, rng())


def test_the_library_itself(images):
    try:
        from torchvision.transforms import v2
    except Exception as error:  # noqa: BLE001 (built for another torch it fails in several ways)
        pytest.skip(f"torchvision cannot be imported here: {type(error).__name__}")
    out = TorchvisionV2(transforms=[{"RandomInvert": {"p": 1.0}}]).transform_batch(images, rng())
    assert (out == v2.functional.invert(images)).all()
