import numpy as np

from whet.core.batch import Settings
from whet.core.rng import Rng
from whet.methods import BatchRamp
from whet.training.source import _cut


def test_the_batch_grows_evenly_on_a_log_scale_to_so_many_times_the_recipe_s(progress):
    method = BatchRamp(times=8, full_at=0.5)
    found = [method.settings(progress(epoch, 12, 1), Settings(64)).batches for epoch in range(12)]
    assert found[0] == 1
    assert found == sorted(found)
    assert set(found[6:]) == {8}
    assert found[2] == round(8 ** (2 / 6))


def test_an_epoch_of_larger_batches_shows_the_same_samples_in_the_same_order():
    order = Rng(0).shuffled("order", 0, 103)
    plain, ramped = _cut(order, 10, 1, 0), _cut(order, 10, 4, 0)
    assert np.array_equal(np.concatenate(plain), np.concatenate(ramped))
    assert [len(batch) for batch in ramped] == [40, 40, 20]
    assert np.array_equal(np.concatenate(_cut(order, 10, 4, 4)), np.concatenate(ramped[1:]))
