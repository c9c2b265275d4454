from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.methods.unlabelled_outcomes import context, logits, outcome

from whet.core.errors import RecipeError
from whet.core.mask_targets import MaskTargets
from whet.core.recipe import Recipe, parse_method
from whet.methods import Cutout, FixMatch, RandAugment
from whet.tasks import MULTI_LABEL, SEMANTIC_SEGMENTATION
from whet.training.plan import task_loss


def added(method, given, step=0):
    """What the method adds to the loss of every labelled sample."""
    task = given.batch.targets.task
    both = method.wrap_loss(task_loss, None, context(task))(given)
    return both - task_loss(given)


def test_the_formula_of_the_paper():
    weak, strong = logits(8, "weak", scale=3.0), logits(8, "strong")
    p, q = weak.softmax(dim=1), strong.softmax(dim=1)
    sure = [i for i in range(8) if p[i].max() >= 0.9]
    assert 0 < len(sure) < 8
    expected = sum(-torch.log(q[i, p[i].argmax()]) for i in sure) / 8
    found = added(FixMatch(threshold=0.9, weight=0.5), outcome(logits(4, "labelled"), weak, strong))
    assert torch.allclose(found, 0.5 * expected.expand(4))


def test_no_gradient_passes_through_the_weak_view_or_an_unsure_target():
    weak = torch.tensor([[9.0, 0.0, 0.0], [0.1, 0.0, 0.0]], requires_grad=True)
    strong = torch.zeros((2, 3), requires_grad=True)
    added(FixMatch(), outcome(logits(3, "labelled").float(), weak, strong)).sum().backward()
    assert weak.grad is None
    assert strong.grad[0].abs().min() > 0 and (strong.grad[1] == 0).all()


def test_a_threshold_of_zero_is_plain_pseudo_labelling():
    weak, strong = logits(8, "weak"), logits(8, "strong")
    found = added(FixMatch(threshold=0), outcome(logits(4, "labelled"), weak, strong))
    assert torch.allclose(found[0], torch.nn.functional.cross_entropy(strong, weak.argmax(dim=1)))


def test_each_label_is_a_decision_of_its_own():
    weak, strong = logits(6, "weak", scale=3.0), logits(6, "strong")
    p = weak.sigmoid()
    mask = torch.maximum(p, 1 - p) >= 0.9
    bce = torch.nn.functional.binary_cross_entropy_with_logits(strong, (p > 0.5).double(), reduction="none")
    targets = MULTI_LABEL.targets(np.eye(3, dtype=bool), 3)
    given = outcome(logits(3, "labelled"), weak, strong, targets=targets, task=MULTI_LABEL)
    assert torch.allclose(added(FixMatch(threshold=0.9), given)[0], (mask * bce).sum(dim=1).mean().float())


def test_each_pixel_is_a_decision_of_its_own(pixels):
    labelled, label = pixels()
    weak, strong = logits(2, "weak", (3, 4, 5), 3.0), logits(2, "strong", (3, 4, 5))
    targets = MaskTargets.of(label.to(torch.uint8), SEMANTIC_SEGMENTATION, 3)
    given = outcome(labelled, weak, strong, targets=targets, task=SEMANTIC_SEGMENTATION)
    confidence, chosen = weak.softmax(dim=1).max(dim=1)
    pixel = torch.nn.functional.cross_entropy(strong, chosen, reduction="none") * (confidence >= 0.9)
    assert torch.allclose(added(FixMatch(threshold=0.9), given), pixel.mean().expand(2))


def test_without_unlabelled_samples_the_loss_is_unchanged():
    assert (added(FixMatch(), outcome(logits(4, "labelled"))) == 0).all()


def test_the_strong_view_is_a_setting():
    assert FixMatch().unlabelled("image-classification").views == {"weak": (), "strong": (RandAugment(), Cutout())}
    names = lambda problem: [method.name for method in FixMatch().unlabelled(problem).views["strong"]]  # noqa: E731
    assert names("text-classification") == ["random_deletion", "random_swap", "token_mask"]
    assert names("audio-classification") == ["spec_augment", "time_shift"]
    assert names("semantic-segmentation") == ["color_jitter", "gaussian_blur", "grayscale"]
    own = parse_method({"fixmatch": {"strong": ["hue", {"cutout": {"side": 0.5}}]}})
    assert own.unlabelled("image-classification").views["strong"][1] == Cutout(side=0.5)
    recipe = Recipe(methods=(own,))
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe and recipe.hash != Recipe(methods=(FixMatch(),)).hash
    assert own.replace(weight=2.0).strong == own.strong


@pytest.mark.parametrize(
    ("strong", "message"),
    [
        ("cutout", "fixmatch.strong = 'cutout': .*a list of methods is needed"),
        (["cutuot"], "unknown method 'cutuot'. Did you mean 'cutout'"),
        (["mixup"], "'mixup' does not change single samples"),
    ],
)
def test_a_wrong_strong_view_is_refused(strong, message):
    with pytest.raises(RecipeError, match=message):
        FixMatch(strong=strong)


def test_a_strong_view_for_another_task_is_refused():
    with pytest.raises(RecipeError, match="strong: method 'token_mask' is for text-classification, not for image"):
        FixMatch(strong=["token_mask"]).unlabelled("image-classification")


def test_the_share_of_accepted_targets_is_recorded():
    weak, strong = logits(8, "weak", scale=3.0), logits(8, "strong")
    found = {}
    given = replace(outcome(logits(4, "labelled"), weak, strong), record=found.__setitem__)
    added(FixMatch(threshold=0.9), given)
    assert found["accepted"] == (weak.softmax(dim=1).max(dim=1).values >= 0.9).double().mean()
