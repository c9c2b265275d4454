from dataclasses import replace

import numpy as np
import pytest
import torch

from whet.core.batch import Batch, Context, Outcome, Progress
from whet.core.errors import NoEffectError
from whet.core.instance_targets import InstanceTargets
from whet.core.masks import IdMap
from whet.methods import ColorPairs
from whet.models.front import ImageFront
from whet.tasks import INSTANCE_SEGMENTATION

CLASSES = ("background", "can")
TASK = INSTANCE_SEGMENTATION.with_head("cond_inst")


class Fronted(torch.nn.Module):
    front = ImageFront((0.5,) * 3, (0.25,) * 3)


def outcome_of(x_BCHW, done=1.0):
    ids = np.zeros(x_BCHW.shape[2:], np.uint16)
    ids[4:12, 4:12] = 1
    target = replace(IdMap(ids, np.array([1])), boxed=frozenset({1}))
    targets = InstanceTargets.of([target], TASK, len(CLASSES))
    batch = Batch(x_BCHW, targets, np.zeros(1, np.int64), torch.ones(1), 0)
    cells = (x_BCHW.shape[2] // 4, x_BCHW.shape[3] // 4)
    logits = torch.zeros(1, TASK.outputs(len(CLASSES)), *cells)
    return Outcome(logits, batch, Fronted(), progress=Progress(round(100 * done), 100, 10))


def seen_by(method, outcome):
    """The targets that the loss of the head gets."""
    seen = []

    def loss(outcome):
        seen.append(outcome.batch.targets)
        return torch.zeros(1)

    context = Context(TASK, CLASSES, np.zeros(2, np.int64), lambda: None)
    method.wrap_loss(loss, Fronted(), context)(outcome)
    return seen[0]


def test_an_object_of_which_the_box_is_known_gets_the_pairs_of_its_image():
    """Left half black, right half white, in cells of 4 x 4 pixels: no pairs across the middle and beyond the border."""
    x = torch.full((1, 3, 16, 32), -2.0)
    x[..., 16:] = 2.0
    pairs = seen_by(ColorPairs(weight=0.7), outcome_of(x)).pairs
    assert pairs.weight == pytest.approx(0.7)
    left, right = pairs.alike_B8hw[0, 3], pairs.alike_B8hw[0, 4]  # neighbours two cells to the left and to the right
    assert left[0].tolist() == [False, False, True, True, False, False, True, True]
    assert right[0].tolist() == [True, True, False, False, True, True, False, False]


def test_the_weight_rises():
    weights = [
        seen_by(ColorPairs(warmup=0.5), outcome_of(torch.zeros(1, 3, 16, 16), done)).pairs.weight
        for done in (0, 0.25, 1)
    ]
    assert weights == pytest.approx([0.0, 0.5, 1.0])


def test_a_head_that_takes_no_boxes_has_no_use_for_it():
    context = Context(INSTANCE_SEGMENTATION, CLASSES, np.zeros(2, np.int64), lambda: None)
    with pytest.raises(NoEffectError, match="use cond_inst"):
        ColorPairs().wrap_loss(lambda outcome: torch.zeros(1), Fronted(), context)
