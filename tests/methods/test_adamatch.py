import math
from dataclasses import replace

import pytest
import torch
from tests.methods.unlabelled_outcomes import context, logits, outcome

from whet.core.errors import RecipeError
from whet.core.task import refuse_foreign
from whet.methods import AdaMatch
from whet.tasks import MULTI_LABEL
from whet.training.plan import task_loss


class Normed(torch.nn.Module):
    """BatchNorm over features that are the logits."""

    device = torch.device("cpu")

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3, affine=False).double()

    def forward(self, x):
        return self.norm(x)


def started(method, net=None):
    net = Normed().eval() if net is None else net
    runtime = method.start(net, context())
    return runtime, runtime.wrap_loss(task_loss, net, context())


def test_aligned_classes_relative_threshold_and_warm_up(progress):
    """Two steps by the formulas of the paper. Without BatchNorm in training there is nothing to interpolate."""
    method = AdaMatch(momentum=0.5, threshold=0.9, weight=2)
    runtime, loss = started(method)
    means = [torch.full((3,), 1 / 3, dtype=torch.float64) for _ in range(2)]
    for step, keep in ((20, min(0.5, 2 / 11)), (40, min(0.5, 3 / 12))):
        labelled, weak, strong = logits(4, f"x {step}"), logits(8, f"w {step}", scale=1.0), logits(8, f"s {step}")
        p_labelled, p_weak = labelled.softmax(dim=1), weak.softmax(dim=1)
        means = [keep * old + (1 - keep) * new.mean(dim=0) for old, new in zip(means, (p_labelled, p_weak))]
        aligned = p_weak * (1e-6 + means[0]) / (1e-6 + means[1])
        aligned = aligned / aligned.sum(dim=1, keepdim=True)
        mask = aligned.max(dim=1).values >= 0.9 * p_labelled.max(dim=1).values.mean()
        assert 0 < mask.sum() < 8
        ce = torch.nn.functional.cross_entropy(strong, aligned.argmax(dim=1), reduction="none")
        weight = 2 * (0.5 - math.cos(min(math.pi, 2 * math.pi * step / 100)) / 2)
        found = {}
        given = replace(outcome(labelled, weak, strong, step=step), record=found.__setitem__)
        assert torch.allclose(loss(given), task_loss(given) + weight * (mask * ce).mean())
        assert found["accepted"] == mask.float().mean()
        runtime.after_step(progress(step))


def test_the_weight_starts_at_zero_and_is_full_from_the_middle(progress):
    method = AdaMatch(weight=3)
    assert [round(method.grown(progress(step)), 6) for step in (0, 25, 50, 100)] == [0.0, 1.5, 3.0, 3.0]


def test_labelled_logits_lie_between_those_of_both_passes():
    net = Normed().train()
    labelled, weak, strong = logits(4, "x"), logits(8, "w"), logits(8, "s")
    together = net(torch.cat([labelled, weak, strong]))
    statistics = {name: buffer.clone() for name, buffer in net.norm.named_buffers()}
    joint, alone = together[:4], torch.nn.functional.batch_norm(labelled, None, None, training=True)
    seen = []
    loss_of = (
        AdaMatch()
        .start(net, context())
        .wrap_loss(lambda one: (seen.append(one.logits_BK), task_loss(one))[1], net, context())
    )
    given = outcome(joint, together[4:12].detach(), together[12:], model=net)
    loss_of(replace(given, batch=given.batch.replace(x=labelled)))
    share = ((seen[0] - joint) / (alone - joint)).detach()
    assert ((share >= 0) & (share <= 1)).all() and share.std() > 0.1
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in net.norm.named_buffers())
    assert net.norm.running_mean is dict(net.norm.named_buffers())["running_mean"]


def test_a_step_that_is_computed_twice_counts_once(progress):
    (one, loss_once), (two, loss_twice) = started(AdaMatch()), started(AdaMatch())
    given = outcome(logits(4, "x"), logits(8, "w"), logits(8, "s"), step=60)
    first = loss_once(given)
    assert torch.equal(loss_twice(given), first) and torch.equal(loss_twice(given), first)
    for runtime in (one, two):
        runtime.after_step(progress(61))
    assert torch.allclose(loss_once(given), loss_twice(given), rtol=1e-12)


def test_several_labels_are_refused():
    with pytest.raises(RecipeError, match="'adamatch' does not apply to samples with any number of labels"):
        refuse_foreign((AdaMatch(),), "image-classification", MULTI_LABEL)
