import pytest
import torch
from torch import nn

from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.methods import Muon
from whet.methods.optimize.muon import orthogonal
from whet.training.plan import Plan


def normal(*shape):
    with Rng(5).torch_scope("matrix"):
        return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_singular_values_become_nearly_one_and_directions_stay(shape):
    matrix = normal(*shape)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ orthogonal(matrix) @ right.T
    assert torch.allclose(inside, inside.diag().diag(), atol=1e-9)
    assert ((inside.diag() > 0.6) & (inside.diag() < 1.25)).all()
    assert values.max() / values.min() > 2


def test_a_hidden_matrix_moves_as_with_torch_s_muon(regression):
    """Which finds the orthogonal factor in bfloat16, so only to two digits."""
    problem = regression(backbone=lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh()))
    weight = problem.net.backbone[0].weight
    twin = nn.Parameter(weight.detach().clone())
    theirs = torch.optim.Muon([twin], lr=0.1, weight_decay=0.5, momentum=0.9)
    ours = problem.optimizer(Muon(lr=0.1, weight_decay=0.5, momentum=0.9))
    for scale in (1.0, -0.3, 2.0):
        for parameter in problem.net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        weight.grad, twin.grad = scale * normal(8, 5), scale * normal(8, 5)
        before = weight.detach().clone()
        ours.step()
        theirs.step()
        assert (weight - before).abs().mean() > 0.02
    assert torch.allclose(weight, twin, atol=0.03)


def test_kernels_are_matrices_and_all_else_goes_by_adamw(net, context):
    recipe = Recipe.from_yaml("methods: [{muon: {lr: 0.5, adamw_lr: 0.25}}]")
    model = net()
    plan = Plan(recipe, model, context((3, 3, 3)))
    rate = {weight: group["lr"] for group in plan.optimizer.param_groups for weight in group["params"]}
    hidden = {name for name, weight in model.named_parameters() if rate[weight] == 0.5}
    assert hidden == {"backbone.0.weight", "backbone.3.weight"}
    assert len(rate) == len(list(model.parameters()))
    before = model.backbone[0].weight.detach().double()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    model.backbone[0].weight.grad = normal(4, 3, 3, 3).float()
    plan.optimizer.step()
    # The first momentum is a multiple of the gradient, and so is the step ahead of it: only its directions count.
    expected = before * (1 - 0.5 * 0.01) - 0.5 * orthogonal(normal(4, 27)).view(4, 3, 3, 3)
    assert torch.allclose(model.backbone[0].weight.double(), expected, atol=1e-3)


def test_a_head_alone_is_refused(regression):
    with pytest.raises(RecipeError, match="no hidden matrix"):
        regression().optimizer(Muon())


@pytest.mark.parametrize("name", ["spectral_norm", "weight_noise", "mixout"])
def test_weights_that_are_computed_from_others_are_hidden_matrices_too(name, net, context):
    recipe = Recipe.from_yaml(f"methods: [{{muon: {{lr: 0.5, adamw_lr: 0.25}}}}, {name}]")
    plan = Plan(recipe, net(), context((3, 3, 3)))
    rate = {weight: group["lr"] for group in plan.optimizer.param_groups for weight in group["params"]}
    hidden = {name for name, weight in plan.net.named_parameters() if rate[weight] == 0.5}
    assert hidden == {f"backbone.{place}.parametrizations.weight.original" for place in (0, 3)}
