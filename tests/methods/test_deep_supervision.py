import pytest
import torch

from whet.core.mask_targets import MaskTargets
from whet.methods import ClassWeight, DeepSupervision
from whet.tasks import SEMANTIC_SEGMENTATION
from whet.testing.bench import make_bench, train_steps
from whet.training.loop import closure_for
from whet.training.plan import task_loss


def test_it_adds_the_mean_loss_of_the_coarse_classifiers():
    bench = make_bench((DeepSupervision(weight=0.5, levels=2),))
    net, batch = bench.plan.net.eval(), bench.batch(0)
    assert [classifier.in_channels for classifier in net.coarse_classifiers] == [4, 6]
    maps = net.maps(net.backbone, batch.x)
    label = batch.targets.label_MBHW[0]
    expected = SEMANTIC_SEGMENTATION.loss(net(batch.x), batch.targets)
    for classifier, given, stride in zip(net.coarse_classifiers, maps[1:], (4, 8)):
        centres = MaskTargets.of(label[:, stride // 2 :: stride, stride // 2 :: stride], SEMANTIC_SEGMENTATION, 3)
        assert given.shape[2:] == centres.label_MBHW.shape[2:]
        expected = expected + 0.25 * SEMANTIC_SEGMENTATION.loss(classifier(given), centres)
    from whet.core.batch import Progress

    found = closure_for(bench.plan, bench.fabric, net, bench.plan.optimizer, batch, Progress(0, 12, 6))()
    assert found.item() == pytest.approx(expected.mean().item(), rel=1e-5)


def test_the_classifiers_learn_and_have_no_part_in_prediction():
    bench = make_bench((DeepSupervision(),))
    before = bench.plan.net.coarse_classifiers[0].weight.detach().clone()
    train_steps(bench, 1)
    assert not torch.equal(bench.plan.net.coarse_classifiers[0].weight, before)
    outputs = bench.plan.net.eval()(bench.batch(0).x)
    del bench.plan.net.coarse_classifiers
    assert torch.equal(bench.plan.net(bench.batch(0).x), outputs)


def test_other_losses_act_on_the_coarse_classifiers_too():
    assert DeepSupervision.order > ClassWeight.order
    given = []

    def loss(outcome):
        given.append(outcome.logits_BK.shape[2:])
        return task_loss(outcome)

    bench = make_bench((DeepSupervision(),))
    from whet.core.batch import Outcome

    net, batch = bench.plan.net.eval(), bench.batch(0)
    maps = tuple(net.maps(net.backbone, batch.x))
    DeepSupervision().wrap_loss(loss, net, None)(Outcome(net(batch.x), batch, net, maps=maps))
    assert given == [(4, 4), (4, 4), (2, 2)]
