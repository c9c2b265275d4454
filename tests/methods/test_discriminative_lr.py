from whet.core.recipe import Recipe
from whet.methods import DiscriminativeLR
from whet.training.plan import Plan


def test_the_backbone_learns_at_a_share_of_the_head_s_rate(net, context):
    recipe = Recipe.from_yaml("methods: [{discriminative_lr: {backbone: 0.1}}, {sgd: {lr: 0.5}}]")
    plan = Plan(recipe, net(), context((3, 3, 3)))
    rates = {id(p): group["lr"] for group in plan.optimizer.param_groups for p in group["params"]}
    assert {rates[id(p)] for p in plan.net.head.parameters()} == {0.5}
    assert {round(rates[id(p)], 9) for p in plan.net.backbone.parameters()} == {0.05}


def test_names_are_those_of_the_whole_network(net, context):
    changed = DiscriminativeLR(backbone=0.2).change(net(), context())
    assert set(changed.lr_scale) == {name for name, _ in changed.named_parameters() if name.startswith("backbone.")}
