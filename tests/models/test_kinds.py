"""Every kind of network of transformers: built from published weights, saved, loaded, frozen, and through a whole run."""

from pathlib import Path

import pytest
import torch
from tests.models.kinds import KINDS, built, inputs, outcome, table, write_data

from whet.models.build import load_net, save_net

TABLE = Path(__file__).parents[2] / "docs" / "models.md"
# Of every way in which a kind has been wrong before.
SAMPLE = ("clip", "deit (distilled)", "siglip2", "dinov3_vit", "bert", "t5", "wav2vec2", "unispeech-sat", "eomt")


@pytest.fixture(
    scope="module", params=[name if name in SAMPLE else pytest.param(name, marks=pytest.mark.slow) for name in KINDS]
)
def published(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    KINDS[request.param].save(folder)
    return KINDS[request.param], folder


def test_what_is_saved_answers_as_what_was_trained(published, tmp_path):
    kind, folder = published
    net = built(folder, kind.medium)
    x = inputs(net, kind.medium)
    with torch.no_grad():
        net.train()(x)  # statistics of norms move
        for parameter in net.parameters():
            parameter += 0.01 * torch.linspace(-1, 1, parameter.numel()).view(parameter.shape)
        net = net.eval().baked()
        save_net(net, tmp_path / "saved", {})
        expected, found = net(x), load_net(tmp_path / "saved")(x)
    assert expected.isfinite().all()
    assert torch.allclose(found, expected, rtol=0, atol=1e-6 * max(1.0, float(expected.abs().max())))


def test_half_of_the_blocks_are_frozen_and_the_rest_is_trained(published):
    kind, folder = published
    net = built(folder, kind.medium)
    blocks = net.blocks()
    parameters = dict(net.named_parameters())
    assert sorted(name for names in blocks for name in names) == sorted(parameters)
    count = len(net.block_names) // 2
    share = net.freeze_blocks(count)
    net.apply_freezing()
    frozen = {name for name, parameter in parameters.items() if not parameter.requires_grad}
    assert frozen == {name for names in blocks[:count] for name in names}
    assert 0 < sum(parameters[name].numel() for name in frozen) < sum(p.numel() for p in net.backbone.parameters())
    assert share == pytest.approx(
        sum(parameters[n].numel() for n in frozen) / sum(p.numel() for p in net.backbone.parameters())
    )
    net.train()
    for module in net.modules():  # what trains is in training mode, what rests is frozen whole
        own = [parameter.requires_grad for parameter in module.parameters()]
        assert module.training or not any(own)
        tied = isinstance(module, torch.nn.Embedding)  # T5's has two names; it is the same in either mode
        assert not module.training or tied or not list(module.parameters(recurse=False)) or any(own)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.sample) if name in SAMPLE else name for name in KINDS]
)
def test_a_whole_run(name, tmp_path):
    kind = KINDS[name]
    found = outcome(kind, write_data(kind.medium, tmp_path / "data"), tmp_path)
    assert found.trains and found.apart < 1e-5
    assert table({name: found}).splitlines()[-1] in TABLE.read_text(encoding="utf-8").splitlines()


def test_the_table_lists_every_kind():
    rows = [
        line
        for line in TABLE.read_text(encoding="utf-8").splitlines()
        if line.startswith(("| image", "| text", "| audio", "| masks"))
    ]
    assert [row.split("`")[1] for row in rows] == list(KINDS)
