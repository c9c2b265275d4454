import numpy as np

from whet.train.source import showings


def test_every_further_showing_of_a_sample_has_a_number_of_its_own():
    assert showings(np.array([3, 1, 3, 0, 3, 1]), 4).tolist() == [3, 1, 7, 0, 11, 5]


def test_samples_shown_once_keep_their_numbers():
    order = np.array([2, 0, 3, 1])
    assert showings(order, 4).tolist() == order.tolist()


def test_a_sample_shown_twice_in_an_epoch_is_not_painted_alike(pictures):
    from whet.core.rng import Rng
    from whet.data.image_loader import ImageLoader
    from whet.methods import RandomResizedCrop
    from whet.train.augmentation import Augmentation

    paths = sorted(str(path) for path in pictures.rglob("*.png"))
    draw = Augmentation([RandomResizedCrop()], Rng(0)).draw(0)
    (batch,) = ImageLoader(paths, 1).batches([showings(np.array([5, 5, 6]), len(paths))], 16, draw)
    assert not np.array_equal(batch.content[0], batch.content[1])
    (again,) = ImageLoader(paths, 1).batches([np.array([5])], 16, draw)
    assert np.array_equal(again.content[0], batch.content[0])
