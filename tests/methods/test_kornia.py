import pytest
import torch

from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.methods import Kornia

pytest.importorskip("kornia")


def rng(epoch=0, B=4):
    return Rng(0).batch("kornia", epoch, range(B))


@pytest.fixture
def images(photo):
    return torch.from_numpy(photo).permute(2, 0, 1).repeat(4, 1, 1, 1)


def test_the_augmentations_are_the_library_s(images):
    flipped = Kornia(transforms=[{"RandomHorizontalFlip": {"p": 1.0}}]).transform_batch(images, rng())
    assert (flipped == images.flip(-1)).all()
    inverted = Kornia(transforms=[{"RandomInvert": {"p": 1.0}}]).transform_batch(images, rng())
    assert (inverted == 255 - images).all()


def test_the_same_batch_repeats_itself_and_torch_s_own_draws_stay(images):
    method = Kornia(transforms=[{"RandomGaussianNoise": {"p": 1.0, "std": 0.1}}])
    torch.manual_seed(7)
    first = method.transform_batch(images, rng())
    after = torch.rand(3)
    assert (method.transform_batch(images, rng()) == first).all()
    assert (method.transform_batch(images, rng(1)) != first).any()
    torch.manual_seed(7)
    assert (torch.rand(3) == after).all()


def test_what_cannot_be_is_refused(images):
    with pytest.raises(RecipeError, match="Did you mean"):
        Kornia(transforms=["RandomHorizontalFlips"]).transform_batch(images, rng())
    with pytest.raises(RecipeError, match="keep the size"):
        Kornia(transforms=[{"RandomCrop": {"size": [8, 8], "p": 1.0}}]).transform_batch(images, rng())
    with pytest.raises(RecipeError, match="does not accept"):
        Kornia(transforms=[{"RandomInvert": {"depth": 3}}]).transform_batch(images, rng())
