"""The contract suite fails for methods that break it: each of these is wrong in one way."""

from typing import Annotated

import numpy as np
import pytest
import torch
from pydantic import Field

from whet.core.errors import NonFiniteError
from whet.core.method import Method, Unlabelled
from whet.core.registry import registry
from whet.core.runtime import Runtime
from whet.core.stages import Draws, Finalizes, Initialises, Mixes, Scales, Watches, WrapsLoss, WrapsPredictor
from whet.testing import CHECKS

DOC = """Do a thing.

Use when: testing.
Do not use when: not testing.
Source: Nobody 2020.
"""
IMAGE = {"image-classification"}


def fails(cls, check):
    registry()._by_name[cls.name] = cls
    try:
        with pytest.raises(AssertionError):
            CHECKS[check](cls)
    finally:
        del registry()._by_name[cls.name]


def test_a_card_without_a_source():
    class NoSource(Method, Scales, family="schedule", tasks=IMAGE):
        """Do a thing.

        Use when: testing.
        Do not use when: not testing.
        Source: nobody knows.
        """

        def factor(self, progress):
            return 1.0

    fails(NoSource, "card")


def test_an_identity_that_is_none():
    class NotNeutral(Method, Mixes, family="mix", tasks=IMAGE):
        __doc__ = DOC
        identity = {"strength": 0.0}
        strength: Annotated[float, Field(description="x")] = 1.0

        def apply(self, batch, rng):
            return batch.replace(x=batch.x * 1.0000001)

    fails(NotNeutral, "identity")


def test_inputs_that_are_changed():
    class InPlace(Method, Mixes, family="mix", tasks=IMAGE):
        __doc__ = DOC

        def apply(self, batch, rng):
            batch.x.mul_(2)
            return batch

    fails(InPlace, "inputs_kept")


def test_targets_that_are_no_probabilities():
    class Greedy(Method, Mixes, family="mix", tasks=IMAGE):
        __doc__ = DOC

        def apply(self, batch, rng):
            return batch.replace(
                targets=batch.targets.mix(torch.arange(8), torch.full((8,), 1.5)).__class__(
                    batch.targets.probs_BK * 1.5, batch.targets.task
                )
            )

    fails(Greedy, "shapes")


def test_draws_that_depend_on_the_batch():
    class Global(Method, Draws, family="augment", tasks=IMAGE):
        __doc__ = DOC

        def draw(self, view, rng):
            x = torch.rand(1).item()  # from the global generator
            return view.warped_about_centre(np.diag([1 + x, 1 + x, 1])[None].repeat(len(view), axis=0))

    fails(Global, "seeded")


def test_state_that_is_not_saved():
    class Forgetful(Method, Watches, family="average", tasks=IMAGE):
        __doc__ = DOC

        def start(self, net, context):
            class Counting(Runtime):
                def __init__(self):
                    self.count = 0

                def after_step(self, progress):
                    self.count += 1
                    with torch.no_grad():
                        net.head.bias.add_(0.001 * self.count)

            return Counting()

    fails(Forgetful, "trains")


def test_state_that_is_not_saved_of_audio_alone():
    """A method is tried on every medium that it is for."""

    class Deaf(Method, Watches, family="average", tasks=IMAGE | {"audio-classification"}):
        __doc__ = DOC

        def start(self, net, context):
            class Counting(Runtime):
                def __init__(self):
                    self.count = 0

                def after_step(self, progress):
                    self.count += net.spec.medium == "audio"
                    with torch.no_grad():
                        net.head.bias.add_(0.001 * self.count)

            return Counting()

    fails(Deaf, "trains")


def test_a_loss_that_fails_for_masks_alone():
    class ForClasses(Method, WrapsLoss, family="balance", tasks=IMAGE | {"semantic-segmentation"}):
        __doc__ = DOC

        def wrap_loss(self, loss, net, context):
            masks = context.task.name == "semantic-segmentation"
            return lambda outcome: loss(outcome) / (0.0 if masks else 1.0)

    with pytest.raises(NonFiniteError):
        CHECKS["trains"](ForClasses)


def test_what_was_found_before_the_first_step_and_is_not_saved():
    class Forgetful(Method, Watches, Initialises, family="transfer", tasks=IMAGE):
        __doc__ = DOC

        def initialise(self, net, context):
            net.found = 0.1

        def start(self, net, context):
            class Adding(Runtime):
                def after_step(self, progress):
                    with torch.no_grad():
                        net.head.bias.add_(getattr(net, "found", 0.0))

            return Adding()

    fails(Forgetful, "trains")


def test_a_network_that_is_spoilt_at_the_end():
    class Spoilt(Method, Finalizes, family="average", tasks=IMAGE):
        __doc__ = DOC

        def finalize(self, net, runtime, context):
            net.head.bias.data.fill_(float("nan"))

    fails(Spoilt, "finalizes")


def test_results_that_depend_on_the_order_in_the_recipe(monkeypatch):
    """The plan sorts methods; without that, two losses in the other order would differ."""
    from whet.training import plan

    class DoubleFirst(Method, WrapsLoss, family="regularize", tasks=IMAGE):
        __doc__ = DOC
        order = 1

        def wrap_loss(self, loss, net, context):
            return lambda outcome: loss(outcome) ** 2 + outcome.logits_BK.square().sum(dim=1)

    monkeypatch.setattr(plan, "ordered", lambda methods: list(methods))
    fails(DoubleFirst, "commutes")


def test_a_predictor_that_is_not_what_was_exported():
    calls = iter(range(1, 1000))

    class Drifting(Method, WrapsPredictor, family="ensemble", tasks=IMAGE):
        __doc__ = DOC

        def wrap_predictor(self, predictor, fitted, task):
            return lambda x: predictor(x) * next(calls)

    fails(Drifting, "exports")


def test_a_loss_that_changes_without_unlabelled_samples():
    class AlwaysOn(Method, WrapsLoss, family="semi", tasks=IMAGE):
        __doc__ = DOC

        def unlabelled(self, problem):
            return Unlabelled(1.0, {"weak": ()})

        def wrap_loss(self, loss, net, context):
            return lambda outcome: 2 * loss(outcome)

    fails(AlwaysOn, "unlabelled")
