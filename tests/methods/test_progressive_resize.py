from whet.core.batch import Settings
from whet.methods import ProgressiveResize


def sizes(method, image_size, progress, epochs=10):
    settings = [method.settings(progress(epoch, epochs, 1), Settings(image_size)) for epoch in range(epochs)]
    assert {found.batches for found in settings} == {1}
    return [found.size for found in settings]


def test_it_grows_in_steps_of_32_to_the_full_size(progress):
    found = sizes(ProgressiveResize(start_fraction=0.57, full_at=0.7), 224, progress)
    assert found == sorted(found)
    assert found[0] == 128
    assert set(found[7:]) == {224}
    assert all(size % 32 == 0 for size in found)


def test_small_images_grow_in_steps_of_8(progress):
    assert set(sizes(ProgressiveResize(start_fraction=0.5, full_at=1.0), 32, progress)) <= {16, 24, 32}


def test_never_larger_than_asked(progress):
    assert max(sizes(ProgressiveResize(start_fraction=0.9), 200, progress)) == 200
