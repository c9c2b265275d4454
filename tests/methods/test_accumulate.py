import torch

from whet.core.batch import Progress
from whet.methods import SGD, Accumulate, AugMix, JsdConsistency
from whet.testing.bench import make_bench
from whet.training.loop import closure_for


def _gradients(methods):
    bench = make_bench(methods)
    plan = bench.plan
    plan.net.eval()  # BatchNorm would see the parts alone
    batch = bench.batch(0)
    loss = closure_for(plan, bench.fabric, plan.net, plan.optimizer, batch, Progress(0, 9, 3))()
    return float(loss), {name: p.grad.clone() for name, p in plan.net.named_parameters()}


def test_the_gradient_of_the_parts_is_that_of_the_batch():
    loss, whole = _gradients((SGD(),))
    loss_in_parts, parts = _gradients((SGD(), Accumulate(micro_batch=3)))
    assert abs(loss - loss_in_parts) < 1e-6
    assert all(torch.allclose(parts[name], whole[name], rtol=1e-4, atol=1e-7) for name in whole)


def test_parts_have_nearly_one_size_and_hold_every_sample_once():
    bench = make_bench((SGD(), Accumulate(micro_batch=3)))
    batch = bench.batch(0)
    parts = bench.plan.parts(batch)
    assert sorted(len(part) for part in parts) == [2, 3, 3]
    assert torch.equal(torch.cat([part.x for part in parts]), batch.x)
    assert [*batch.index_B] == [index for part in parts for index in part.index_B]


def test_the_copies_of_a_sample_stay_together():
    bench = make_bench((SGD(), Accumulate(micro_batch=6), AugMix(), JsdConsistency()))
    copies = bench.plan.augmentation.copies
    assert copies == 3
    for part in bench.plan.parts(bench.batch(0)):
        first, *others = part.index_B.reshape(copies, -1)
        assert all((other == first).all() for other in others)
