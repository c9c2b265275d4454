import math

import numpy as np
import torch
from tests.methods.unlabelled_outcomes import context, logits, outcome

from whet.core.batch import Progress
from whet.core.stages import Stage
from whet.core.task import refuse_foreign
from whet.methods import MeanTeacher
from whet.methods.semi.mean_teacher import squared_distance
from whet.tasks import MULTI_LABEL, SEMANTIC_SEGMENTATION, SINGLE_LABEL
from whet.training.plan import task_loss


def linear(seed=0):
    net = torch.nn.Linear(3, 3, bias=False).double()
    with torch.no_grad():
        net.weight.copy_(torch.eye(3) + 0.1 * seed)
    return net


def test_the_distance_to_the_teacher_and_its_weight(progress):
    """Mean squared difference of the probabilities; weight * exp(-5 (1 - t)^2) until ramp_up."""
    net, method = linear(), MeanTeacher(weight=20, ramp_up=0.5, decay=0.9)
    runtime = method.start(net, context())
    with torch.no_grad():
        net.weight.mul_(3)
    runtime.after_step(progress(1))  # keeps 2 / 11 of the first weights
    teacher = (torch.eye(3, dtype=torch.float64) * (2 / 11 + 3 * 9 / 11)).T
    weak, strong, labelled = logits(6, "weak"), logits(6, "strong"), logits(4, "labelled")
    for step, weight in ((0, 20 * math.exp(-5)), (25, 20 * math.exp(-5 * 0.25)), (50, 20.0), (90, 20.0)):
        given = outcome(labelled, weak, strong, step=step)
        found = runtime.wrap_loss(task_loss, net, context())(given) - task_loss(given)
        expected = (strong.softmax(dim=1) - (weak @ teacher).softmax(dim=1)).square().mean()
        assert torch.allclose(found, weight * expected.expand(4))


def test_the_teacher_has_no_gradient_and_predicts():
    net, method = linear(), MeanTeacher()
    runtime = method.start(net, context())
    strong = logits(6, "strong").requires_grad_()
    given = outcome(logits(4, "labelled"), logits(6, "weak"), strong, step=60)
    runtime.wrap_loss(task_loss, net, context())(given).sum().backward()
    assert net.weight.grad is None and strong.grad.abs().sum() > 0
    chosen = method.weights(dict(net.state_dict()), runtime, final=True)
    assert chosen is runtime.average and torch.equal(chosen["weight"], torch.eye(3))
    runtime.average["weight"].fill_(0)  # the teacher is the average itself
    more = outcome(logits(4, "labelled"), logits(6, "weak"), strong, step=60)
    added = runtime.wrap_loss(task_loss, net, context())(more) - task_loss(more)
    assert torch.allclose(added[0], 50 * (strong.softmax(dim=1) - 1 / 3).square().mean())


def test_labels_are_summed_and_pixels_averaged():
    student, teacher = logits(6, "a"), logits(6, "b")
    found = squared_distance(student, teacher, MULTI_LABEL)
    assert torch.allclose(found, (student.sigmoid() - teacher.sigmoid()).square().sum(dim=1))
    student, teacher = logits(2, "a", (3, 4, 5)), logits(2, "b", (3, 4, 5))
    found = squared_distance(student, teacher, SEMANTIC_SEGMENTATION)
    assert torch.allclose(found, (student.softmax(1) - teacher.softmax(1)).square().mean(dim=(1, 2, 3)))


def test_without_unlabelled_samples_the_last_weights_predict():
    net, method = linear(), MeanTeacher()
    weights = dict(net.state_dict())
    assert method.weights(weights, method.start(net, context(unlabelled=0)), final=True) is weights


def test_it_is_refused_for_objects():
    """Their outputs are no probabilities of classes."""
    from whet.tasks import instance_segmentation

    assert Stage.LOSS in MeanTeacher.stages()
    assert not instance_segmentation.InstanceSegmentation().allows("instance-segmentation", MeanTeacher())
    refuse_foreign((MeanTeacher(),), "image-classification", SINGLE_LABEL)


def test_an_empty_strong_view_is_another_draw_of_the_weak_one():
    request = MeanTeacher(strong=()).unlabelled("image-classification")
    assert request.views == {"weak": (), "strong": ()} and request.trained == ("strong",) and request.predicted == ()
    assert MeanTeacher(weight=0).unlabelled("image-classification") is None
    assert np.isclose(MeanTeacher(weight=1, ramp_up=1).grown(Progress(100, 100, 10)), 1)
