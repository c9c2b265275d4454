import numpy as np
import pytest
import torch

from whet.core.errors import NoEffectError
from whet.methods import SGD, LRFinder
from whet.methods.schedule.lr_finder import smoothed
from whet.testing.bench import make_bench


def quadratic(base, start=10.0, curvature=2.0):
    """Noisy gradient descent on curvature / 2 * w^2, which diverges where the rate exceeds 2 / curvature."""

    def trial(factors):
        w = start
        for step, factor in enumerate(factors):
            loss = curvature / 2 * w * w
            if not np.isfinite(loss):
                return
            yield base * factor, loss
            w -= base * factor * curvature * (w + 0.1 * (-1) ** step)

    return trial


@pytest.mark.parametrize("base", [0.01, 1.0])
def test_the_rate_lies_below_the_one_that_diverges_whatever_the_recipe_s_own_is(base):
    found = LRFinder(lowest=1e-4 / base, highest=100 / base, share=0.3).trial_steps(quadratic(base))
    assert 0.02 < found.chosen < 1.0
    assert found.schedule.factor(None) * base == pytest.approx(found.chosen)
    assert found.lr_T[0] == pytest.approx(1e-4)
    assert len(found.lr_T) == len(found.loss_T) < 100  # it stops where the loss has run away


def test_a_known_rate_is_not_looked_for():
    assert LRFinder(times=0.5).trial_steps(None) is None
    assert LRFinder(times=0.5).factor(None) == 0.5


def test_a_loss_that_never_falls_says_so():
    with pytest.raises(NoEffectError, match="lowered the loss"):
        LRFinder().trial_steps(lambda factors: ((f, 1.0) for f in factors))


def test_smoothing_is_free_of_bias():
    assert smoothed([3.0] * 5) == pytest.approx([3.0] * 5)
    assert smoothed([1.0, 2.0]) == pytest.approx([1.0, (0.09 + 0.2) / 0.19])


def test_the_plan_takes_up_what_was_found_and_its_recipe_says_so(progress):
    plan = make_bench((SGD(lr=0.1), LRFinder())).plan
    (found,) = plan.trial_steps(quadratic(0.1))
    assert plan.recipe.method("lr_finder").times == pytest.approx(found.chosen / 0.1)
    assert plan.set_lr(progress(0)) == pytest.approx(found.chosen)


@pytest.mark.slow
@pytest.mark.sample
def test_a_trial_leaves_the_network_as_it_was(images, tmp_path):
    """A real training: the log holds the curve, the recipe the factor, and the report the image."""
    import whet

    run = whet.train(
        images, architecture="resnet9_slim", weights="none", budget="1ep", methods=[SGD(lr=0.1), LRFinder(steps=30)],
        out=tmp_path / "run",
    )  # fmt: skip
    (test,) = [r for r in run.folder.log_records() if r["event"] == "range_test"]
    assert run.recipe.method("lr_finder").times * 0.1 == pytest.approx(test["chosen"])
    assert "Learning rate range test" in run.folder.report.read_text()
    first = next(r for r in run.folder.log_records() if r["event"] == "step")
    assert first["lr"] == pytest.approx(test["chosen"])
    assert torch.isfinite(torch.tensor(first["loss"]))
