from typing import Annotated

import pytest
from pydantic import Field

from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.plugins import Registry
from whet.core.registry import registry
from whet.core.role_check import ROLE_OF
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import ROLES, ChoosesWeights, Divides, Follows, Mixes, Scales, Stage
from whet.methods import EMA, AdamW, MixUp


def test_a_class_that_does_not_act_where_it_says_is_no_method():
    with pytest.raises(TypeError, match="derives from a role"):

        class Idle(Method, family="mix", tasks={"image-classification"}):
            """Does nothing."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "sorcery", "tasks": {"image-classification"}}, "family 'sorcery'"),
        ({"family": "schedule", "tasks": {"juggling"}}, "juggling"),
        ({"tasks": {"image-classification"}}, "declares its family"),
    ],
)
def test_the_class_line_is_checked(options, message):
    with pytest.raises(TypeError, match=message):
        type(Method)("Odd", (Method, Scales), {"factor": lambda self, progress: 1.0, "__module__": __name__}, **options)


def test_a_method_of_one_s_own():
    class HalfRate(Method, Scales, family="schedule", tasks={"image-classification"}):
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

    class Other(Method, Scales, family="schedule", tasks={"image-classification"}, name="half_rate"):
        """Another of the same name."""

        def factor(self, progress):
            return 1.0

    with pytest.raises(RecipeError, match="two methods are named 'half_rate'"):
        own.add(Other)


def test_two_stages_where_a_technique_needs_two():
    assert EMA.stages() == [Stage.STEP, Stage.PREDICT]


@pytest.mark.parametrize(
    ("helper", "role"), [("parts", Divides), ("weights", ChoosesWeights), ("factor", Scales), ("predecessor", Follows)]
)
def test_a_helper_is_never_taken_for_the_function_of_a_stage(helper, role):
    """It acts there once the class derives from the role, and not before: a name alone decides nothing."""
    body = {"apply": lambda self, batch, rng: batch, "__module__": __name__}
    options = {"family": "mix", "tasks": {"image-classification"}}
    with pytest.raises(TypeError, match=rf"{helper} is the function of {role.__name__}, .*derive from {role.__name__}"):
        type(Method)("Odd", (Method, Mixes), {**body, helper: lambda self, a, b=None, c=None: a}, **options)
    with pytest.raises(TypeError, match="rename it if it is only a helper"):
        type(Method)("Odd", (Method, Mixes, role), {**body, helper: lambda self: 1}, **options)
    with pytest.raises(TypeError, match=rf"derives from {role.__name__} must define {helper}"):
        type(Method)("Odd", (Method, Mixes, role), body, **options)


def test_half_a_role_is_none():
    """Of two functions one is missing: refused when the class is defined, not when it is first called."""
    with pytest.raises(TypeError, match="must define following"):

        class Half(Method, Follows, family="distill", tasks={"image-classification"}):
            def predecessor(self, recipe):
                return recipe


def test_the_first_role_says_the_stage():
    class Both(Method, Mixes, Scales, family="mix", tasks={"image-classification"}):
        def factor(self, progress):
            return 1.0

        def apply(self, batch, rng):
            return batch

    assert Both.stage is Stage.BATCH
    assert Both.stages() == [Stage.SCHEDULE, Stage.BATCH]


def test_so_it_is_with_what_a_method_keeps_during_training():
    with pytest.raises(TypeError, match=r"factor is the function of Scales, at stage schedule; derive from Scales"):
        type(Runtime)("_Odd", (Runtime,), {"factor": lambda self, progress: 1.0})
    with pytest.raises(TypeError, match="Mixes does not apply here"):
        type(Runtime)("_Odd", (Runtime, Mixes), {"apply": lambda self, batch, rng: batch})

    class Declared(Runtime, Scales):
        def factor(self, progress):
            return 1.0

    assert Declared().factor(None) == 1.0


def test_every_stage_has_a_role_and_no_two_roles_share_a_function():
    assert set(ROLES) == set(Stage)
    assert len(Stage) == 11
    roles = [role for several in ROLES.values() for role in several]
    functions = [name for role in roles for name in vars(role) if not name.startswith("_")]
    assert len(functions) == len(set(functions)) == len(ROLE_OF)
    for role in roles:  # one may be another with more to it
        own = {name for base in role.__mro__ if base in roles for name in vars(base) if not name.startswith("_")}
        assert role.__abstractmethods__ == own


def test_names_are_the_catalogue_s():
    assert registry().get("mixup") is MixUp
    assert registry().get("adamw") is AdamW
    with pytest.raises(RecipeError, match="Did you mean 'cutmix'"):
        registry().get("cut_mix")
