import pytest

from whet.core.recipe import Recipe
from whet.methods import LayerwiseLr
from whet.training.plan import Plan


def test_rates_fall_by_the_factor_from_block_to_block(net, context):
    model = LayerwiseLr(decay=0.5).change(net(), context())
    by_block = [{model.lr_scale[name] for name in names} for names in model.blocks()]
    assert by_block == [{0.5**depth} for depth in range(len(by_block) - 1, -1, -1)]
    assert len(by_block) == 5  # two convolutions, two norms, the head


def test_the_optimizer_gets_them(net, context):
    recipe = Recipe.from_yaml("methods: [{layerwise_lr: {decay: 0.5}}, {sgd: {lr: 0.8}}]")
    plan = Plan(recipe, net(), context((3, 3, 3)))
    rates = {group["lr"] for group in plan.optimizer.param_groups}
    assert rates == {0.8, 0.4, 0.2, 0.1, 0.05}


def test_a_transformer_s_layers_are_its_blocks():
    transformers = pytest.importorskip("transformers")
    from whet.models.hub import _wrap
    from whet.models.net import NetSpec

    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16, image_size=32,
                                    num_labels=2)  # fmt: skip
    model = transformers.ViTForImageClassification(config)
    blocks = _wrap(model, NetSpec("transformers", "vit", ("a", "b"), (0.5,) * 3, (0.5,) * 3)).blocks()
    layers = [names for names in blocks if ".layers." in names[0]]
    assert len(layers) == 3
    assert len({len(names) for names in layers}) == 1
    assert len(blocks) == 5  # the embeddings before them, the head behind
    assert {name.split(".")[3] for name in blocks[0]} == {"embeddings"}
    assert [name.split(".")[-2:] for name in blocks[-1]] == [
        ["layernorm", "weight"], ["layernorm", "bias"], ["head", "weight"], ["head", "bias"],
    ]  # fmt: skip
