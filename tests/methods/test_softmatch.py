from dataclasses import replace

import pytest
import torch
from tests.methods.unlabelled_outcomes import context, logits, outcome

from whet.core.errors import RecipeError
from whet.core.task import refuse_foreign
from whet.methods import SoftMatch
from whet.tasks import MULTI_LABEL
from whet.training.plan import task_loss


class Device(torch.nn.Module):
    device = torch.device("cpu")


def started(method):
    runtime = method.start(Device(), context())
    return runtime, runtime.wrap_loss(task_loss, Device(), context())


@pytest.mark.parametrize("n_sigma", [1.0, 2.0])
def test_the_truncated_gaussian_of_the_uniformly_aligned_confidence(progress, n_sigma):
    """Two steps by the formulas of the paper; the targets are those before the alignment."""
    runtime, loss = started(SoftMatch(momentum=0.5, n_sigma=n_sigma, weight=1.5))
    predicted, mu, var = torch.full((3,), 1 / 3, dtype=torch.float64), 1 / 3, 1.0
    for step, keep in ((0, 2 / 11), (1, 3 / 12)):
        labelled, weak, strong = (logits(count, f"{name} {step}") for count, name in ((4, "x"), (8, "w"), (8, "s")))
        p = weak.softmax(dim=1)
        predicted = keep * predicted + (1 - keep) * p.mean(dim=0)
        aligned = p / (1e-6 + predicted)
        c = (aligned / aligned.sum(dim=1, keepdim=True)).max(dim=1).values
        mu, var = keep * mu + (1 - keep) * c.mean(), keep * var + (1 - keep) * c.var()
        weight = torch.where(c < mu, torch.exp(-((c - mu) ** 2) / (2 * var / n_sigma**2)), torch.ones(8))
        assert 0 < (weight < 1).sum() < 8
        ce = torch.nn.functional.cross_entropy(strong, p.argmax(dim=1), reduction="none")
        found = {}
        given = replace(outcome(labelled, weak, strong, step=step), record=found.__setitem__)
        assert torch.allclose(loss(given), task_loss(given) + 1.5 * (weight * ce).mean(), rtol=1e-6)
        assert torch.allclose(found["accepted"], weight.mean(), rtol=1e-6)
        runtime.after_step(progress(step + 1))


def test_equal_confidence_has_the_full_weight():
    _, loss = started(SoftMatch(momentum=0.0))
    weak, strong = torch.eye(3, dtype=torch.float64) * 2, logits(3, "s")
    given = outcome(logits(4, "x"), weak, strong)
    assert torch.allclose(loss(given), task_loss(given) + torch.nn.functional.cross_entropy(strong, torch.arange(3)))


def test_one_unlabelled_sample_keeps_a_finite_loss():
    _, loss = started(SoftMatch(momentum=0.0))
    assert torch.isfinite(loss(outcome(logits(4, "x"), logits(1, "w"), logits(1, "s")))).all()


def test_several_labels_are_refused():
    with pytest.raises(RecipeError, match="'softmatch' does not apply to samples with any number of labels"):
        refuse_foreign((SoftMatch(),), "image-classification", MULTI_LABEL)
