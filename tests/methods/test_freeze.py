import pytest
import torch

from whet.core.errors import NoEffectError, RecipeError
from whet.methods import Freeze
from whet.testing.bench import make_bench, train_steps


def test_frozen_blocks_stay_as_they_are_and_the_rest_moves():
    bench = make_bench((Freeze(share=0.5),))  # of the two blocks of the bench network: a convolution, its norm
    before = {name: value.clone() for name, value in bench.plan.net.state_dict().items()}
    train_steps(bench, 2)
    moved = {name for name, value in bench.plan.net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == before.keys() - {"backbone.0.weight"}


def test_a_frozen_norm_keeps_its_statistics_too(net, context):
    changed = Freeze(share=0.75).change(net(), context()).train()  # three of four blocks: all but the second norm
    statistics = {name: value.clone() for name, value in changed.backbone.state_dict().items() if "running" in name}
    changed(torch.linspace(-1, 1, 4 * 3 * 64).view(4, 3, 8, 8))
    after = changed.backbone.state_dict()
    assert {name for name in statistics if torch.equal(after[name], statistics[name])} == {
        "1.running_mean",
        "1.running_var",
    }


def test_a_layer_s_name_is_a_share_in_other_words(net, context):
    by_share = Freeze(share=0.75).change(net(), context())
    for name in ("backbone.3", "3"):
        by_name = Freeze(layer=name).change(net(), context())
        assert by_name.lr_scale == by_share.lr_scale
        assert [type(module) for module in by_name.eval_only] == [type(module) for module in by_share.eval_only]


def test_a_layer_that_is_not_there_or_not_one_is_refused(net, context):
    with pytest.raises(RecipeError, match=r"Did you mean 'backbone\.3'"):
        Freeze(layer="backbone.33").change(net(), context())
    with pytest.raises(RecipeError, match=r"more than one name: a\.layer\.1, b\.layer\.1"):
        Freeze(layer="layer.1")._position(["a.layer.1", "a.layer.11", "b.layer.1"])
    assert Freeze(layer="a.layer.1")._position(["a.layer.1", "a.layer.11", "aa.layer.1"]) == 0


def test_less_than_one_block_is_told(net, context):
    with pytest.raises(NoEffectError, match="less than one"):
        Freeze(share=0.2).change(net(), context())
