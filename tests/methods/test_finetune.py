import pytest
import torch
from torch import nn

from whet.core.errors import NoEffectError
from whet.core.recipe import Recipe
from whet.core.spec import ModelSpec
from whet.methods import EMA, AdamW, Finetune, Freeze
from whet.testing.bench import make_bench, train_steps


def test_every_weight_moves():
    bench = make_bench((Finetune(),))
    before = {name: parameter.clone() for name, parameter in bench.plan.net.named_parameters()}
    train_steps(bench, 2)
    assert all(not torch.equal(parameter, before[name]) for name, parameter in bench.plan.net.named_parameters())


@pytest.mark.parametrize(("setting", "kept"), [("keep", True), ("update", False)])
def test_statistics_are_kept_or_updated(setting, kept):
    bench = make_bench((Finetune(batch_norm=setting),))
    norm = next(m for m in bench.plan.net.modules() if isinstance(m, nn.BatchNorm2d))
    before, scale = norm.running_mean.clone(), norm.weight.clone()
    train_steps(bench, 2)
    assert torch.equal(norm.running_mean, before) == kept
    assert not torch.equal(norm.weight, scale)  # its scale is trained either way


def test_nothing_to_keep_is_told(net, context):
    from whet.models.net import Net, NetSpec

    plain = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(NoEffectError):
        Finetune(batch_norm="keep").change(plain, context())


@pytest.mark.parametrize(
    ("epochs", "has", "lacks"),
    [(3.0, "", ""), (2.9, "freeze", "logistic_regression"), (0.9, "logistic_regression", "finetune")],
)
def test_what_takes_its_place_where_few_epochs_fit(epochs, has, lacks):
    """From three epochs on nothing; below, fewer weights to train; below one pass, what takes one pass."""
    recipe = Recipe(
        model=ModelSpec(weights="w"), methods=(Finetune(few_epochs="turn"), Freeze(share=0.4), AdamW(), EMA())
    )
    found = recipe.method("finetune").shortened(recipe, epochs)
    if not has:
        assert found is None
        return
    other, line = found
    assert has in other and lacks not in other and line
    assert "freeze" not in other or other.method("freeze").share == 0.7
    assert Finetune().shortened(recipe, epochs) is None  # not unless it is asked for
    scratch = recipe.replace(model=ModelSpec(weights="none"))
    assert scratch.method("finetune").shortened(scratch, epochs) is None  # random features are not worth keeping


def test_a_run_that_tells_what_the_recipe_costs_never_turns():
    recipe = Recipe(model=ModelSpec(weights="w"), methods=(Finetune(few_epochs="turn", batch_norm="keep"), AdamW()))
    steady = recipe.method("finetune").steady()
    assert steady == Finetune(batch_norm="keep") and steady.shortened(recipe, 0.5) is None
