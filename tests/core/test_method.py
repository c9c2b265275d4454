from typing import Annotated

import pytest
from pydantic import Field

from whet.core.errors import RecipeError
from whet.core.method import PROTOCOLS, Method, Runtime, Search, Stage
from whet.core.plugins import Registry
from whet.core.registry import registry
from whet.methods import EMA, AdamW, MixUp


def test_a_class_that_does_not_act_where_it_says_is_no_method():
    with pytest.raises(TypeError, match="implements Mixes"):

        class Idle(Method, stage=Stage.BATCH, family="mix", tasks={"image-classification"}):
            """Does nothing."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": Stage.SCHEDULE, "family": "sorcery", "tasks": {"image-classification"}}, "family 'sorcery'"),
        ({"stage": Stage.SCHEDULE, "family": "schedule", "tasks": {"juggling"}}, "juggling"),
        ({"family": "schedule", "tasks": {"image-classification"}}, "names its stage"),
    ],
)
def test_the_class_line_is_checked(options, message):
    with pytest.raises(TypeError, match=message):
        type(Method)("Odd", (Method,), {"factor": lambda self, progress: 1.0, "__module__": __name__}, **options)


def test_a_method_of_one_s_own():
    class HalfRate(Method, stage=Stage.SCHEDULE, family="schedule", tasks={"image-classification"}):
        """Halve the learning rate."""

        share: Annotated[float, Field(gt=0), Search(0.1, 0.9)] = 0.5

        def factor(self, progress):
            return self.share

    assert HalfRate.name == "half_rate"
    assert HalfRate.stages() == [Stage.SCHEDULE]
    assert HalfRate.search_space() == {"share": Search(0.1, 0.9)}
    own = Registry("method")
    own.add(HalfRate)
    own.add(HalfRate)
    assert own.get("half_rate") is HalfRate

    class Other(Method, stage=Stage.SCHEDULE, family="schedule", tasks={"image-classification"}, name="half_rate"):
        """Another of the same name."""

        def factor(self, progress):
            return 1.0

    with pytest.raises(RecipeError, match="two methods are named 'half_rate'"):
        own.add(Other)


def test_two_stages_where_a_technique_needs_two():
    assert EMA.stages() == [Stage.STEP, Stage.PREDICT]


@pytest.mark.parametrize(
    ("helper", "stage"), [("parts", "GRADIENT"), ("weights", "PREDICT"), ("factor", "SCHEDULE"), ("change", "MODEL")]
)
def test_a_helper_is_never_taken_for_the_function_of_a_stage(helper, stage):
    """It acts there once it is declared, and not before: a name alone decides nothing."""
    body = {"apply": lambda self, batch, rng: batch, "__module__": __name__}
    options = {"stage": Stage.BATCH, "family": "mix", "tasks": {"image-classification"}}
    with pytest.raises(TypeError, match=rf"{helper} would make it act at stage \w+; declare .*also={{Stage.{stage}}}"):
        type(Method)("Odd", (Method,), {**body, helper: lambda self, a, b=None, c=None: a}, **options)
    with pytest.raises(TypeError, match="rename it if it is only a helper"):
        type(Method)("Odd", (Method,), {**body, helper: lambda self: 1}, **options, also={Stage[stage]})
    with pytest.raises(TypeError, match="implements none of its functions"):
        type(Method)("Odd", (Method,), body, **options, also={Stage[stage]})


def test_so_it_is_with_what_a_method_keeps_during_training():
    with pytest.raises(TypeError, match=r"factor would make it act at stage schedule; declare .*acts={Stage.SCHEDULE}"):
        type(Runtime)("_Odd", (Runtime,), {"factor": lambda self, progress: 1.0})

    class Declared(Runtime, acts={Stage.SCHEDULE}):
        def factor(self, progress):
            return 1.0

    assert Declared().factor(None) == 1.0


def test_every_stage_has_a_protocol():
    assert set(PROTOCOLS) == set(Stage)
    assert len(Stage) == 11


def test_names_are_the_catalogue_s():
    assert registry().get("mixup") is MixUp
    assert registry().get("adamw") is AdamW
    with pytest.raises(RecipeError, match="Did you mean 'cutmix'"):
        registry().get("cut_mix")
